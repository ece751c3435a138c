"""The seller's statement: beside the receipt, with the platform's figures, and never for the buyer."""

import json
import uuid
from io import BytesIO
from typing import TYPE_CHECKING, Any

from pypdf import PdfReader

from paywindow import messages
from paywindow.actors.runtime import runtime
from paywindow.models.tables import Outbox, Receipt
from paywindow.published import reply_key

if TYPE_CHECKING:
    from conftest import Shop
else:
    Shop = Any

MAKER = str(uuid.uuid4())


def sell(shop: Shop, **changes: Any) -> Any:
    session = shop.open_session(**changes)
    shop.pay(session)
    shop.deliver()
    return session


def documents(shop: Shop) -> dict[str, Any]:
    return {row.kind: row for row in shop.rows(Receipt)}


def located(shop: Shop, reply: uuid.UUID) -> dict[str, Any]:
    return json.loads(shop.state.get(reply_key(reply)))  # type: ignore[no-any-return]


def words(receipt: Any) -> str:
    pages = PdfReader(BytesIO(runtime().receipts.get(receipt.storage_key))).pages
    return " ".join(" ".join(page.extract_text() for page in pages).split())


def test_a_sale_of_a_maker_has_a_receipt_and_a_statement(shop: Shop) -> None:
    session = sell(shop, maker_id=MAKER, platform_fee_minor=2755, buyer_email="jenny@example.com")

    found = documents(shop)
    assert set(found) == {"receipt", "statement"}
    assert found["statement"].receipt_number == f"S-{found['statement'].issued_at.year}-000001"
    assert found["statement"].total_minor == 24795
    assert found["statement"].storage_key != found["receipt"].storage_key
    assert shop.rows(Outbox) == []
    statement = words(found["statement"])
    for part in ("$275.50", "-$27.55", "$247.95", MAKER, found["receipt"].receipt_number, "Walnut side table"):
        assert part in statement
    assert shop.snapshot(session)["statement"]["ready"] is True


def test_the_buyers_copy_has_no_figure_of_the_platform_and_the_sellers_none_of_the_buyer(shop: Shop) -> None:
    sell(shop, maker_id=MAKER, platform_fee_minor=2755, buyer_email="jenny@example.com")

    found = documents(shop)
    for part in ("27.55", "247.95", "fee", "Payout", MAKER):
        assert part not in words(found["receipt"])
    for part in ("jenny@example.com", "4242", "Visa"):
        assert part not in words(found["statement"])
    assert "jenny" not in found["statement"].render_data


def test_without_a_maker_there_is_no_statement_and_without_a_fee_all_is_paid_out(shop: Shop) -> None:
    alone = sell(shop)
    assert shop.snapshot(alone)["statement"] is None
    assert set(documents(shop)) == {"receipt"}

    sell(shop, maker_id=MAKER)
    assert documents(shop)["statement"].total_minor == 27550


def test_a_buyer_neither_sees_nor_fetches_the_statement(shop: Shop) -> None:
    session = sell(shop, maker_id=MAKER)
    statement = documents(shop)["statement"]

    assert str(statement.id) not in json.dumps(shop.snapshot(session, "buyer"), default=str)
    for asker, status in ((session.id, 404), (None, 200)):
        reply = uuid.uuid4()
        shop.run(messages.locate_receipt(reply, statement.id, asker, "somebody"))
        assert located(shop, reply)["status"] == status


def test_a_statement_waits_for_its_receipt(shop: Shop) -> None:
    shop.deaf_to = {"receipts.render"}
    session = shop.open_session(maker_id=MAKER)
    shop.pay(session)
    shop.deliver()

    found = documents(shop)
    assert json.loads(found["statement"].render_data)["refers_to"] == found["receipt"].receipt_number
