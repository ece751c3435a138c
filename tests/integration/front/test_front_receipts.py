"""Receipts: metadata, the way to the file, and the file itself while receipts lie in a local folder."""

import asyncio
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from paywindow.receipts.local_store import LocalStore

RECEIPT = uuid.uuid4()
FILE_URL = "https://files.example/signed"


def described(**changes: Any) -> dict[str, Any]:
    return {"receipt": {"id": str(RECEIPT), "number": "R-2026-000001", "ready": True}, "url": FILE_URL, **changes}


@pytest.fixture
def session_id() -> uuid.UUID:
    return uuid.uuid4()


async def test_the_marketplace_reads_any_receipt_but_never_the_signed_link(
    front: Any, workers: Any, shop: dict[str, str]
) -> None:
    waiting = asyncio.create_task(front.get(f"/payments/receipts/{RECEIPT}", headers=shop))
    message = await workers.take("receipts.locate")
    assert (message.kwargs["receipt_id"], message.kwargs["session_id"]) == (str(RECEIPT), None)
    workers.reply(message, 200, described())
    response = await waiting
    assert (response.status, await response.json()) == (200, {"receipt": described()["receipt"]})


async def test_a_download_leads_to_the_file(front: Any, workers: Any, shop: dict[str, str]) -> None:
    path = f"/payments/receipts/{RECEIPT}/download"
    waiting = asyncio.create_task(front.get(path, headers=shop, allow_redirects=False))
    workers.reply(await workers.take("receipts.locate"), 200, described())
    response = await waiting
    assert (response.status, response.headers["Location"]) == (302, FILE_URL)
    assert response.headers["Cache-Control"] == "no-store"


async def test_a_file_that_is_not_stored_yet_is_a_404(front: Any, workers: Any, shop: dict[str, str]) -> None:
    waiting = asyncio.create_task(front.get(f"/payments/receipts/{RECEIPT}/download", headers=shop))
    workers.reply(await workers.take("receipts.locate"), 200, described(url=None))
    assert (await waiting).status == 404


async def test_a_buyer_reads_the_receipt_of_the_own_session(
    front: Any, workers: Any, snapshot: Any, session_id: uuid.UUID, token: Callable[[uuid.UUID], str]
) -> None:
    # Given: a browser with an old cookie, a stranger's, and the right one
    unknown, other = uuid.uuid4(), uuid.uuid4()
    workers.publish.unknown_session(unknown)
    workers.publish.session(other, snapshot(other))
    workers.publish.session(session_id, snapshot(session_id, receipt={"id": str(RECEIPT)}))
    cookies = "; ".join(f"pw_{each.hex}={token(each)}" for each in (unknown, other, session_id))
    # When: it asks for the receipt
    waiting = asyncio.create_task(front.get(f"/payments/receipts/{RECEIPT}", headers={"Cookie": cookies}))
    # Then: the workers are asked about that session alone
    message = await workers.take("receipts.locate")
    assert message.kwargs["session_id"] == str(session_id)
    workers.reply(message, 200, described())
    assert (await waiting).status == 200


async def test_a_buyer_reads_no_other_receipt(
    front: Any, workers: Any, snapshot: Any, session_id: uuid.UUID, token: Callable[[uuid.UUID], str]
) -> None:
    workers.publish.session(session_id, snapshot(session_id, receipt={"id": str(uuid.uuid4())}))
    path = f"/payments/receipts/{RECEIPT}"
    assert (await front.get(path, params={"token": token(session_id)})).status == 404
    assert (await front.get(path, params={"token": "junk"})).status == 401
    assert (await front.get(path)).status == 401
    assert await workers.nothing_queued()


async def test_a_browser_without_a_token_gets_a_page(front: Any) -> None:
    response = await front.get(f"/payments/receipts/{RECEIPT}/download", headers={"Accept": "text/html"})
    assert (response.status, response.content_type) == (401, "text/html")


async def test_a_signed_link_serves_the_local_file_and_an_altered_one_does_not(make_front: Any, tmp_path: Path) -> None:
    # Given: a stored receipt
    front = await make_front(RECEIPT_FOLDER=str(tmp_path))
    store = LocalStore(tmp_path, "https://pay.example", "link-signing-secret")
    store.put("receipts/2026/R-1.pdf", b"%PDF-1.7 ...")
    link = urlsplit(store.signed_url("receipts/2026/R-1.pdf", filename="R-1.pdf", expires_in=60))
    # Then: the link answers with it
    response = await front.get(f"{link.path}?{link.query}")
    assert (response.status, response.content_type, await response.read()) == (200, "application/pdf", b"%PDF-1.7 ...")
    assert 'filename="R-1.pdf"' in response.headers["Content-Disposition"]
    # And: nothing else does
    for path, query in (
        (link.path, link.query[:-1]),
        (link.path, ""),
        (link.path, link.query.replace("expires=", "expires=9")),
        (link.path, link.query.partition("signature=")[0] + "signature=%ff%e9"),
        (link.path.replace("R-1", "R-2"), link.query),
        ("/payments/receipts/files/..%2f..%2fetc/passwd", link.query),
    ):
        assert (await front.get(f"{path}?{query}")).status == 403
    gone = urlsplit(store.signed_url("receipts/2026/R-9.pdf", filename="R-9.pdf", expires_in=60))
    assert (await front.get(f"{gone.path}?{gone.query}")).status == 404
