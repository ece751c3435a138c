"""S3 away and back: the payment is told as paid, the receipt is on its way, and nothing is lost or stored twice."""

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import boto3  # type: ignore[import-untyped]
import pytest
from moto.server import ThreadedMotoServer

from paywindow import jsons, messages, metrics
from paywindow.actors.runtime import runtime
from paywindow.models.tables import Outbox, Receipt
from paywindow.receipts.storage import StorageUnavailable, sha256

if TYPE_CHECKING:
    from conftest import Shop
else:
    Shop = Any

BUCKET = "receipts-of-the-tests"


class S3:
    """A moto server on a port of its own that can be stopped and started; what it stores stays."""

    def __init__(self) -> None:
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._server.start()
        _, self._port = self._server.get_host_and_port()
        self.url = f"http://127.0.0.1:{self._port}"

    def stop(self) -> None:
        self._server.stop()

    def start(self) -> None:
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=self._port, verbose=False)
        self._server.start()

    def versions(self) -> list[str]:
        client = boto3.session.Session().client("s3", endpoint_url=self.url)
        return [found["Key"] for found in client.list_object_versions(Bucket=BUCKET).get("Versions", [])]


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in (
        ("ACCESS_KEY_ID", "testing"),
        ("SECRET_ACCESS_KEY", "testing"),
        ("DEFAULT_REGION", "eu-west-1"),
    ):
        monkeypatch.setenv(f"AWS_{name}", value)
    server = S3()
    with urlopen(f"{server.url}/moto-api/reset", data=b""):
        client = boto3.session.Session().client("s3", endpoint_url=server.url)
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    yield server
    server.stop()


@pytest.fixture
def shop(make_shop: Callable[..., Shop], s3: S3) -> Shop:
    return make_shop(PAYMENT_RECEIPT_BUCKET=BUCKET, AWS_ENDPOINT_URL=s3.url)


def test_while_s3_is_away_the_receipt_is_on_its_way_and_comes_when_it_is_back(shop: Shop, s3: S3) -> None:
    # Given a payment that is settled while S3 is away
    session = shop.open_session()
    shop.pay(session)
    shop.deaf_to = {"receipts.render"}
    s3.stop()
    shop.deliver()
    failures = metrics.STORE_FAILURES.labels("unavailable")
    before = failures._value.get()
    (row,) = shop.rows(Outbox)

    # When the receipt is drawn, it cannot be stored
    shop.deaf_to = set()
    with pytest.raises(StorageUnavailable, match="could not be reached"):
        shop.run(messages.build(row.actor, outbox_id=row.id, **jsons.loads(row.arguments)))

    # Then the buyer sees a paid session with a numbered receipt that is not there yet, and the work is still to do
    seen = shop.snapshot(session, "buyer")
    assert seen["paymentSession"]["status"] == "completed"
    assert (seen["receipt"]["ready"], seen["receipt"]["number"][-6:]) == (False, "000001")
    assert [each.actor for each in shop.rows(Outbox)] == ["receipts.render"]
    assert failures._value.get() == before + 1

    # And when S3 is back, the sweep brings it
    s3.start()
    shop.pass_time(hours=2)
    shop.sweep()

    (receipt,) = shop.rows(Receipt)
    assert shop.snapshot(session, "buyer")["receipt"]["ready"] is True
    assert sha256(runtime().receipts.get(receipt.storage_key)) == receipt.sha256
    assert s3.versions() == [receipt.storage_key]
    assert shop.rows(Outbox) == []


def test_what_was_stored_before_a_crash_is_adopted_and_not_stored_again(shop: Shop, s3: S3) -> None:
    shop.deaf_to = {"receipts.render"}
    shop.pay(shop.open_session())
    shop.deliver()
    (receipt,) = shop.rows(Receipt)
    key = f"receipts/{receipt.series}/{receipt.receipt_number}.pdf"
    stored = runtime().receipts.put(key, b"%PDF- of the worker that died before it could record this")

    shop.deaf_to = set()
    shop.pass_time(hours=2)
    shop.sweep()

    (receipt,) = shop.rows(Receipt)
    assert (receipt.sha256, receipt.storage_version_id) == (stored.sha256, stored.version_id)
    assert s3.versions() == [key]
