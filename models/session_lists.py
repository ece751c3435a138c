"""Lists of sessions, newest first, a page at a time.

Pages are cut by key (creation, then id), never by counting rows: a page costs the same wherever it is, and sessions that are
opened meanwhile move nothing. Each filter that can stand alone has an index in that order.
"""

import uuid
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from peewee import Expression, ModelSelect, Tuple

from paywindow import clock, cursors
from paywindow.models.snapshots import has_deadline, public_session
from paywindow.models.tables import CheckoutAttempt, PaymentSession


def page(query: dict[str, Any]) -> dict[str, Any]:
    """The body of ``GET /payments/sessions``; see :func:`paywindow.messages.find_sessions` for the query."""
    limit = query["limit"]
    # One more than asked for: whether there is a next page.
    rows: list[PaymentSession] = list(_matching(query).limit(limit + 1))
    shown = rows[:limit]
    last = shown[-1] if len(rows) > limit else None
    now, urls = clock.now(), _open_pages(shown)
    return {
        "paymentSessions": [_public(row, urls.get(row.id), now) for row in shown],
        "nextCursor": None if last is None else cursors.encode(last.created_at, last.id),
    }


def _matching(query: dict[str, Any]) -> "ModelSelect[PaymentSession]":
    rows = PaymentSession.select().order_by(PaymentSession.created_at.desc(), PaymentSession.id.desc())
    return rows.where(*conditions) if (conditions := list(_conditions(query))) else rows


def _conditions(query: dict[str, Any]) -> Iterator[Expression]:
    created = PaymentSession.created_at
    if statuses := query.get("status"):
        # A single one is compared as such: its index is then in the order of the list.
        yield PaymentSession.status == statuses[0] if len(statuses) == 1 else PaymentSession.status.in_(statuses)
    for name in ("auction_id", "buyer_id", "maker_id"):
        if query.get(name):
            yield getattr(PaymentSession, name) == query[name]
    if query.get("held") is not None:
        yield PaymentSession.hold_reason.is_null(not query["held"])
    if query.get("created_from"):
        yield created >= datetime.fromisoformat(query["created_from"])
    if query.get("created_before"):
        yield created < datetime.fromisoformat(query["created_before"])
    if query.get("cursor"):
        yield Tuple(created, PaymentSession.id) < Tuple(*cursors.decode(query["cursor"]))


def _open_pages(sessions: list[PaymentSession]) -> dict[uuid.UUID, str | None]:
    """The Checkout pages that can be paid now, by session; one question for all of them."""
    attempts = (
        CheckoutAttempt.select(CheckoutAttempt.session, CheckoutAttempt.url)
        .join(PaymentSession, on=(CheckoutAttempt.session == PaymentSession.id))
        .where(
            CheckoutAttempt.session.in_([session.id for session in sessions]),
            CheckoutAttempt.number == PaymentSession.attempt_number,
            CheckoutAttempt.status == "open",
        )
    )
    return {attempt.session_id: attempt.url for attempt in attempts} if sessions else {}


def _public(session: PaymentSession, url: str | None, now: datetime) -> dict[str, Any]:
    closing = has_deadline(session) and session.expires_at <= now
    payable = has_deadline(session) and not closing
    return public_session(session, url if payable else None, closing=closing)
