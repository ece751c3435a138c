"""S3 away and back: the payment is told as paid, the receipt is on its way, and nothing is lost or stored twice."""

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from support.s3 import CREDENTIALS, S3

from paywindow import jsons, messages, metrics
from paywindow.actors.runtime import runtime
from paywindow.models.tables import Outbox, Receipt
from paywindow.receipts.storage import StorageUnavailable, sha256

if TYPE_CHECKING:
    from conftest import Shop
else:
    Shop = Any

BUCKET = "receipts-of-the-tests"


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    server = S3()
    server.reset(BUCKET)
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
    assert s3.versions(BUCKET) == [receipt.storage_key]
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
    assert s3.versions(BUCKET) == [key]
