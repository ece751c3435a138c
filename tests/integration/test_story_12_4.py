"""Story 12.4, receipts: one test for each acceptance criterion, by name. The details have files of their own (test_receipt_*)."""

import uuid
from collections.abc import Callable
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from pypdf import PdfReader

from paywindow import jsons, messages, metrics
from paywindow.actors.runtime import runtime
from paywindow.models import analytics
from paywindow.models.tables import Outbox, Receipt, ReceiptDownload
from paywindow.published import reply_key
from paywindow.receipts.local_url import verify_local_url
from paywindow.receipts.render import render_pdf
from paywindow.receipts.storage import sha256
from paywindow.receipts.wkhtmltopdf import RenderFailed, RenderTimeout

if TYPE_CHECKING:
    from conftest import Shop
else:
    Shop = Any

pytestmark = pytest.mark.usefixtures("audited")


def buy(shop: Shop, **changes: Any) -> Any:
    session = shop.open_session(**changes)
    shop.pay(session)
    shop.deliver()
    return session


def locate(shop: Shop, receipt: Any, session_id: uuid.UUID | None, download_by: str | None) -> dict[str, Any]:
    message = messages.locate_receipt(uuid.uuid4(), receipt.id, session_id, download_by)
    shop.run(message)
    shop.run(message)  # a redelivered message is no second download
    found: dict[str, Any] = jsons.loads(shop.state.get(reply_key(uuid.UUID(message.kwargs["reply_id"]))))
    return found


@pytest.mark.parametrize(("locale", "title"), [("en", "Receipt"), ("de", "Zahlungsbeleg"), ("fr", "Reçu")])
def test_ac1_a_receipt_is_drawn_and_stored_with_its_hash_on_record(shop: Shop, locale: str, title: str) -> None:
    """AC1: PDF render + upload (the headers of S3: test_receipt_s3_store; every locale: test_receipt_pdf)."""
    buy(shop, locale=locale)

    (receipt,) = shop.rows(Receipt)
    body = runtime().receipts.get(receipt.storage_key)
    text = PdfReader(BytesIO(body)).pages[0].extract_text()
    assert title in text
    assert receipt.receipt_number in text
    assert (sha256(body), len(body)) == (receipt.sha256, receipt.size_bytes)


def test_ac1_the_receipt_stays_as_it_was_issued(shop: Shop, make_shop: Callable[..., Shop]) -> None:
    """AC1: data and template version are frozen at issue; later settings change nothing, and nothing is stored twice."""
    shop.deaf_to = {"receipts.render"}
    buy(shop)
    issued = shop.rows(Receipt)[0].render_data
    (row,) = shop.rows(Outbox)

    later = make_shop(RECEIPT_ISSUER_NAME="Another Company", RECEIPT_PREFIX="Q", RECEIPT_TIMEZONE="Asia/Tokyo")
    message = messages.build(row.actor, outbox_id=row.id, **jsons.loads(row.arguments))
    later.run(message)
    (first,) = later.rows(Receipt)
    later.run(message)

    (receipt,) = later.rows(Receipt)
    assert receipt.render_data == issued
    assert receipt.sha256 == first.sha256
    text = " ".join(PdfReader(BytesIO(runtime().receipts.get(receipt.storage_key))).pages[0].extract_text().split())
    assert "Harbour Auctions" in text
    assert "Another Company" not in text


def test_ac2_the_receipt_is_delivered_by_a_signed_link_that_ends(shop: Shop) -> None:
    """AC2: signed URL delivery (CloudFront: test_receipt_cloudfront; S3: test_receipt_s3_store; HTTP: test_front_receipts)."""
    session = buy(shop)
    (receipt,) = shop.rows(Receipt)

    link = urlsplit(locate(shop, receipt, session.id, "buyer")["body"]["url"])

    key = link.path.removeprefix("/payments/receipts/files/")
    query = {name: values[0] for name, values in parse_qs(link.query).items()}
    assert key == receipt.storage_key
    assert verify_local_url("link-secret", key, query) == f"{receipt.receipt_number}.pdf"
    assert "signature" not in shop.snapshot(session)["receipt"]["downloadUrl"]


def test_ac2_another_buyer_gets_neither_metadata_nor_link(shop: Shop) -> None:
    """AC2: a receipt belongs to its session's buyer."""
    buy(shop)
    other = buy(shop)
    mine = next(row for row in shop.rows(Receipt) if row.session_id != other.id)

    assert locate(shop, mine, other.id, "buyer")["status"] == 404
    assert shop.rows(ReceiptDownload) == []


def test_ac3_every_download_is_on_record(shop: Shop) -> None:
    """AC3: audit trail; looking at the metadata alone is no download and gets no link."""
    session = buy(shop)
    (receipt,) = shop.rows(Receipt)

    assert locate(shop, receipt, None, None)["body"]["url"] is None
    locate(shop, receipt, session.id, f"buyer:{session.id}")
    locate(shop, receipt, None, "backoffice")

    kept = shop.rows(ReceiptDownload)
    assert sorted((row.receipt_id, row.who) for row in kept) == [
        (receipt.id, "backoffice"),
        (receipt.id, f"buyer:{session.id}"),
    ]


def test_ac3_the_generation_is_announced_tracked_and_measured(shop: Shop) -> None:
    """AC3: metrics and analytics."""
    histogram = metrics.RENDER_SECONDS.labels("receipt")
    before = histogram._sum.get()
    shop.deaf_to = {"analytics.track"}
    session = buy(shop)

    assert shop.notifications(session)[-1] == "receipt.issued"
    (event,) = [row for row in shop.rows(Outbox) if analytics.RECEIPT_GENERATED in row.arguments]
    assert shop.rows(Receipt)[0].receipt_number in event.arguments
    assert histogram._sum.get() > before


@pytest.mark.parametrize(
    ("script", "error", "reason"), [("exit 139", RenderFailed, "failed"), ("exec sleep 600", RenderTimeout, "timeout")]
)
def test_ac3_a_renderer_that_fails_is_counted_and_tried_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str, error: type[Exception], reason: str
) -> None:
    """AC3: time-outs and crashes leave the work in the outbox, and a count."""
    broken = tmp_path / "bin" / "wkhtmltopdf"
    broken.parent.mkdir()
    broken.write_text(f"#!/bin/sh\n{script}\n")
    broken.chmod(0o755)
    shop.deaf_to = {"receipts.render"}
    session = buy(shop)
    (row,) = shop.rows(Outbox)
    message = messages.build(row.actor, outbox_id=row.id, **jsons.loads(row.arguments))
    counted = metrics.RENDER_FAILURES.labels(reason)
    before = counted._value.get()

    with monkeypatch.context() as patch, pytest.raises(error):
        patch.setenv("PATH", f"{broken.parent}:/usr/bin:/bin")
        patch.setattr("paywindow.actors.receipts.render_pdf", partial(render_pdf, timeout_seconds=0.3))
        shop.run(message)

    assert counted._value.get() == before + 1
    assert shop.snapshot(session)["receipt"]["ready"] is False
    shop.deaf_to = set()
    shop.pass_time(hours=2)
    shop.sweep()
    assert shop.snapshot(session)["receipt"]["ready"] is True
