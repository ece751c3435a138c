"""The doctor's look at a bucket, against moto: each promise of the settings that the bucket does not keep."""

from typing import Any

from paywindow.receipts.bucket_check import inspect
from paywindow.settings import Settings


def problems(aws_endpoint: str, **settings: str) -> dict[str, str | None]:
    loaded = Settings.load(None, {"AWS_ENDPOINT_URL": aws_endpoint, "AWS_REGION": "eu-west-1", **settings})
    return {name: problem for name, problem, _, _ in inspect(loaded)}


def bucket(aws: Any, name: str, *, lock: bool) -> str:
    place = {"LocationConstraint": "eu-west-1"}
    aws("s3").create_bucket(Bucket=name, CreateBucketConfiguration=place, ObjectLockEnabledForBucket=lock)
    return name


def test_a_bucket_that_keeps_every_promise_has_no_problem(aws_endpoint: str, aws: Any) -> None:
    key = aws("kms").create_key()["KeyMetadata"]["Arn"]

    found = problems(
        aws_endpoint,
        PAYMENT_RECEIPT_BUCKET=bucket(aws, "whole", lock=True),
        RECEIPT_KMS_KEY_ARN=key,
        RECEIPT_LOCK_MODE="COMPLIANCE",
        RECEIPT_LOCK_DAYS="3650",
    )

    assert found == {"bucket": None, "Object Lock": None, "KMS key": None}


def test_a_bucket_that_is_not_there_is_all_that_can_be_said(aws_endpoint: str, aws: Any) -> None:
    [(name, problem)] = problems(aws_endpoint, PAYMENT_RECEIPT_BUCKET="nowhere").items()

    assert name == "bucket"
    assert problem is not None
    assert problem.startswith("404")


def test_a_lock_that_the_bucket_cannot_hold_and_a_key_that_is_off_are_problems(aws_endpoint: str, aws: Any) -> None:
    key = aws("kms").create_key()["KeyMetadata"]
    aws("kms").disable_key(KeyId=key["KeyId"])

    found = problems(
        aws_endpoint,
        PAYMENT_RECEIPT_BUCKET=bucket(aws, "open", lock=False),
        RECEIPT_KMS_KEY_ARN=key["Arn"],
        RECEIPT_LOCK_MODE="GOVERNANCE",
        RECEIPT_LOCK_DAYS="1",
    )

    assert found["bucket"] is None
    assert found["Object Lock"] == "off in the bucket, yet asked for (GOVERNANCE, 1 days)"
    assert found["KMS key"] == "the key is Disabled"


def test_a_lock_that_nobody_asks_for_is_no_problem(aws_endpoint: str, aws: Any) -> None:
    found = problems(aws_endpoint, PAYMENT_RECEIPT_BUCKET=bucket(aws, "plain", lock=False))

    assert found == {"bucket": None, "Object Lock": None}
