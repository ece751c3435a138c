"""The doctor's look at a bucket, against moto: each promise of the settings that the bucket does not keep."""

import os
from collections.abc import Iterator
from typing import Any

import boto3  # type: ignore[import-untyped]
import pytest
from moto.server import ThreadedMotoServer

from paywindow.receipts.bucket_check import inspect
from paywindow.settings import Settings


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def aws(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Clients of the same services, for setting them up."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    return lambda service: boto3.session.Session().client(service, endpoint_url=endpoint)


def problems(endpoint: str, **settings: str) -> dict[str, str | None]:
    loaded = Settings.load(None, {"AWS_ENDPOINT_URL": endpoint, "AWS_REGION": "eu-west-1", **settings})
    return {name: problem for name, problem, _, _ in inspect(loaded)}


def bucket(aws: Any, name: str, *, lock: bool) -> str:
    place = {"LocationConstraint": "eu-west-1"}
    aws("s3").create_bucket(Bucket=name, CreateBucketConfiguration=place, ObjectLockEnabledForBucket=lock)
    return name


def test_a_bucket_that_keeps_every_promise_has_no_problem(endpoint: str, aws: Any) -> None:
    key = aws("kms").create_key()["KeyMetadata"]["Arn"]

    found = problems(
        endpoint,
        PAYMENT_RECEIPT_BUCKET=bucket(aws, "whole", lock=True),
        RECEIPT_KMS_KEY_ARN=key,
        RECEIPT_LOCK_MODE="COMPLIANCE",
        RECEIPT_LOCK_DAYS="3650",
    )

    assert found == {"bucket": None, "Object Lock": None, "KMS key": None}


def test_a_bucket_that_is_not_there_is_all_that_can_be_said(endpoint: str, aws: Any) -> None:
    [(name, problem)] = problems(endpoint, PAYMENT_RECEIPT_BUCKET="nowhere").items()

    assert name == "bucket"
    assert problem is not None
    assert problem.startswith("404")


def test_a_lock_that_the_bucket_cannot_hold_and_a_key_that_is_off_are_problems(endpoint: str, aws: Any) -> None:
    key = aws("kms").create_key()["KeyMetadata"]
    aws("kms").disable_key(KeyId=key["KeyId"])

    found = problems(
        endpoint,
        PAYMENT_RECEIPT_BUCKET=bucket(aws, "open", lock=False),
        RECEIPT_KMS_KEY_ARN=key["Arn"],
        RECEIPT_LOCK_MODE="GOVERNANCE",
        RECEIPT_LOCK_DAYS="1",
    )

    assert found["bucket"] is None
    assert found["Object Lock"] == "off in the bucket, yet asked for (GOVERNANCE, 1 days)"
    assert found["KMS key"] == "the key is Disabled"


def test_a_lock_that_nobody_asks_for_is_no_problem(endpoint: str, aws: Any) -> None:
    found = problems(endpoint, PAYMENT_RECEIPT_BUCKET=bucket(aws, "plain", lock=False))

    assert found == {"bucket": None, "Object Lock": None}
