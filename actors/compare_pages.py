"""Stripe's Checkout Sessions against the attempts and sessions in the books."""

from typing import Any

from paywindow import clock
from paywindow.actors.comparing import Evidence, Ours, Suspicion, look, stands, tell
from paywindow.actors.handlers import checkout_completed, checkout_expired, delayed_payment_failed
from paywindow.actors.pages import record_closed
from paywindow.actors.runtime import runtime
from paywindow.checkout import named_in, read_checkout
from paywindow.models import attempts
from paywindow.models.database import transaction
from paywindow.models.moves import Cause
from paywindow.models.reconciliations import named_session
from paywindow.models.tables import CheckoutAttempt, PaymentSession
from paywindow.states import PAYABLE, Status

KIND = "checkout.session"


def key(page: dict[str, Any]) -> str:
    """What says that a page was seen at Stripe."""
    return str(page["id"])


def again(page: dict[str, Any]) -> Evidence | None:
    """The page as it is now, with its payment."""
    return look(KIND, page["id"])


def one(row: Ours) -> Evidence | None:
    """The page of an attempt."""
    return look(KIND, row.stripe_id)


def missing(row: Ours) -> Suspicion:
    """The books have a page, Stripe has not."""
    return Suspicion("page_missing_at_stripe", row.stripe_id, row.session_id, row.reads, "no such page")


def judge(evidence: list[Evidence]) -> list[tuple[Evidence, Suspicion]]:
    """Compare pages with the books, in the current transaction."""
    ids = [each.found["id"] for each in evidence]
    rows = (
        CheckoutAttempt.select(CheckoutAttempt, PaymentSession)
        .join(PaymentSession)
        .where(CheckoutAttempt.stripe_checkout_id.in_(ids))
    )
    booked = {row.stripe_checkout_id: row for row in rows} if ids else {}
    found = []
    for each in evidence:
        attempt = booked.get(each.found["id"])
        suspicion = _unbooked(each.found) if attempt is None else _difference(each.found, attempt)
        if suspicion is not None:
            found.append((each, suspicion))
    return found


def _unbooked(page: dict[str, Any]) -> Suspicion | None:
    session_id, number = named_session(page), named_in(page)[1]
    if session_id is None:
        return None  # another program's
    session = PaymentSession.get_or_none(PaymentSession.id == session_id)
    theirs = f"page {page['status']}, {page['payment_status']}"
    if session is None:
        return Suspicion("session_not_booked", page["id"], session_id, "no such payment session", theirs)
    attempt = attempts.numbered(session_id, number) if number is not None else None
    if attempt is not None and attempt.status == "claimed":
        return None  # its answer is still being waited for
    return Suspicion("page_not_booked", page["id"], session_id, f"session {stands(session)}, no such page", theirs)


def _difference(page: dict[str, Any], attempt: CheckoutAttempt) -> Suspicion | None:
    session = attempt.session
    current = attempt.number == session.attempt_number and session.released_at is None
    waiting = current and attempt.status == "open" and session.status in PAYABLE
    ours = f"session {stands(session)}, page {attempt.number} of {session.attempt_number} {attempt.status}"

    def differ(code: str, theirs: str, mend: Any) -> Suspicion:
        return Suspicion(code, page["id"], session.id, ours, theirs, mend)

    if page["status"] == "open":
        if waiting:
            return None
        return differ("page_payable_though_closed", "page open", lambda who: _close(attempt, who))
    if page["status"] == "expired":
        held = session.hold_reason is not None
        if waiting and not held and page["payment_status"] == "unpaid":
            return differ("page_dead_though_open", "page expired", lambda who: tell(checkout_expired, page, who))
        return None
    return _submitted(page, attempt, session, differ) if page["payment_status"] == "unpaid" else None


def _submitted(page: dict[str, Any], attempt: CheckoutAttempt, session: PaymentSession, differ: Any) -> Any:
    """A delayed payment: being decided, or refused. Payments that came are compared by their charges."""
    if attempt.number != session.attempt_number or session.hold_reason is not None:
        return None
    intent = page.get("payment_intent")
    refused = isinstance(intent, dict) and read_checkout(page).payment_failed
    if session.status == Status.PROCESSING:
        if isinstance(intent, dict) and not refused:
            return None  # both wait
        return differ("refusal_not_booked", "payment refused", lambda who: tell(delayed_payment_failed, page, who))
    if session.status in PAYABLE and not refused and attempt.status == "open":
        return differ("submission_not_booked", "page submitted", lambda who: tell(checkout_completed, page, who))
    return None


def _close(attempt: CheckoutAttempt, who: str) -> None:
    """Expire the page at Stripe; should it be paid meanwhile, that is recorded."""
    page = read_checkout(runtime().gateway.expire_checkout(attempt.page_id))
    with transaction():
        record_closed(attempt, page, Cause(who, clock.now(), why="the page was not wanted any more"))


def ours(row: CheckoutAttempt) -> Ours:
    """A page of the books that no list has shown."""
    return Ours(row.page_id, row.session_id, f"page {row.status}, attempt {row.number}", str(row.id))
