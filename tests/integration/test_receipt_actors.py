"""Receipts: one a payment, numbered without gaps, saying what was true when it was issued, stored once."""

import hashlib
import io
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pypdf
import pytest

from paywindow import jsons, messages
from paywindow.actors import receipts as actors
from paywindow.actors.runtime import runtime
from paywindow.models import database as db
from paywindow.models import receipt_contents
from paywindow.models.tables import PaymentSession, Receipt, ReceiptCounter
from paywindow.published import reply_key

if TYPE_CHECKING:
    from conftest import Shop
else:
    Shop = Any
from paywindow.receipts.storage import storage_key


def settled(shop: Shop, **changes: Any) -> PaymentSession:
    """A session that is paid and settled; its receipt's message waits in the queue."""
    session = shop.open_session(**changes)
    shop.pay(session)
    shop.deaf_to = {"receipts.issue", "receipts.render"}
    shop.deliver()
    shop.deaf_to = set()
    return session


def issue_message(shop: Shop, session: PaymentSession) -> Any:
    """The message that issues the session's receipt."""
    (row,) = [row for row in shop.transactions(session) if row.settled_at]
    return messages.build("receipts.issue", transaction_id=str(row.id))


def test_a_settled_payment_gets_the_first_number_of_its_year(shop: Shop) -> None:
    session = settled(shop)

    shop.run(issue_message(shop, session))

    (receipt,) = shop.rows(Receipt)
    assert receipt.receipt_number == f"R-{receipt.issued_at.year}-000001"
    assert (receipt.total_minor, receipt.currency, receipt.kind) == (27550, "USD", "receipt")
    assert (receipt.buyer_id, receipt.auction_id) == (session.buyer_id, session.auction_id)


def test_numbers_have_no_gaps_under_twenty_threads_of_which_some_fail(
    make_shop: Callable[..., Shop], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = make_shop(DATABASE_POOL_SIZE="25")
    issuing = [issue_message(shop, settled(shop)) for _ in range(10)]
    make, failures = receipt_contents.receipt, iter([True, False, True, True, False])

    def sometimes(*arguments: Any) -> Any:
        if next(failures, False):
            raise ZeroDivisionError
        return make(*arguments)

    monkeypatch.setattr(receipt_contents, "receipt", sometimes)
    with pytest.raises(ZeroDivisionError):
        shop.together(*issuing, *issuing)
    for message in issuing:
        shop.run(message)

    numbers = sorted(row.number for row in shop.rows(Receipt))
    (counter,) = shop.rows(ReceiptCounter)
    assert numbers == list(range(1, 11))
    assert counter.last_number == 10


def test_a_receipt_says_what_was_true_when_it_was_issued(shop: Shop) -> None:
    session = settled(shop)
    shop.run(issue_message(shop, session))
    before = shop.rows(Receipt)[0].render_data
    with db.transaction():
        PaymentSession.update(description="Something else").where(PaymentSession.id == session.id).execute()

    shop.work()

    (receipt,) = shop.rows(Receipt)
    frozen = jsons.loads(receipt.render_data)
    assert receipt.render_data == before
    assert "Walnut side table" in text_of(receipt)
    assert frozen["method"] == {"brand": "visa", "last4": "4242"}
    assert frozen["template_version"] == receipt.template_version


def text_of(receipt: Receipt) -> str:
    """The words of the stored document, one space between any two."""
    pages = pypdf.PdfReader(io.BytesIO(runtime().receipts.get(receipt.storage_key))).pages
    return " ".join(word for page in pages for word in page.extract_text().split())


def test_the_document_names_its_number_the_amount_the_issuer_and_the_card(shop: Shop) -> None:
    session = settled(shop)
    shop.run(issue_message(shop, session))

    shop.work()

    (receipt,) = shop.rows(Receipt)
    body = runtime().receipts.get(receipt.storage_key)
    text = text_of(receipt)
    for part in (receipt.receipt_number, "275.50", "Harbour Auctions", "4242", "Walnut side table"):
        assert part in text
    assert (receipt.sha256, receipt.size_bytes) == (hashlib.sha256(body).hexdigest(), len(body))
    assert shop.notifications(session)[-1] == "receipt.issued"


def test_a_crash_between_storing_and_recording_is_mended_by_adopting_the_stored_file(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = settled(shop)
    shop.run(issue_message(shop, session))
    rendering = shop.take("receipts.render")
    with monkeypatch.context() as patch:
        patch.setattr(actors.receipts, "stored", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            shop.run(rendering)
    (receipt,) = shop.rows(Receipt)
    assert receipt.stored_at is None
    first = runtime().receipts.get(storage_key(receipt.series, receipt.receipt_number))

    monkeypatch.setattr(actors, "render_pdf", lambda _, **__: b"%PDF- other bytes")
    shop.run(rendering)

    (receipt,) = shop.rows(Receipt)
    assert runtime().receipts.get(receipt.storage_key) == first
    assert receipt.sha256 == hashlib.sha256(first).hexdigest()


def test_a_receipt_is_drawn_once_and_a_second_message_finds_it_stored(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = settled(shop)
    shop.run(issue_message(shop, session))
    rendering = shop.take("receipts.render")
    shop.run(rendering)
    before = shop.rows(Receipt)[0].__data__

    monkeypatch.setattr(actors, "render_pdf", lambda _: pytest.fail("drawn again"))
    shop.run(rendering)

    assert shop.rows(Receipt)[0].__data__ == before
    assert shop.notifications(session).count("receipt.issued") == 1


def test_a_receipt_is_located_with_a_link_for_its_own_session_only(shop: Shop) -> None:
    session = settled(shop)
    shop.run(issue_message(shop, session))
    shop.deaf_to = {"receipts.render"}
    (receipt,) = shop.rows(Receipt)
    found = {}
    for name, asked, by in [
        ("own", receipt.id, session.id),
        ("service", receipt.id, None),
        ("other", receipt.id, uuid.uuid4()),
        ("unknown", uuid.uuid4(), None),
    ]:
        reply = uuid.uuid4()
        shop.run(messages.locate_receipt(reply, asked, by))
        found[name] = jsons.loads(shop.state.get(reply_key(reply)))

    assert {name: reply["status"] for name, reply in found.items()} == {
        "own": 200,
        "service": 200,
        "other": 404,
        "unknown": 404,
    }
    assert found["own"]["body"]["receipt"]["number"] == receipt.receipt_number
    assert found["own"]["body"]["url"] is None  # nothing is stored yet
