"""Ending a session on request.

``checkout.cancel`` (the marketplace calls the sale off): pending or failed -> canceled. ``window.expire`` (an admin closes the
window now): pending or failed -> expired. Both release the auction. Stripe is asked first: ``POST
/v1/checkout/sessions/{id}/expire`` (idempotent by itself). If the page turns out to be paid, the payment is recorded and the
request refused; if a payment is being confirmed, it is refused too. A second run finds the outcome and repeats it.
"""

import uuid
from dataclasses import replace
from typing import Any

from paywindow import clock
from paywindow.actors import answers
from paywindow.actors.pages import close_page, record_closed
from paywindow.actors.registry import actor
from paywindow.actors.runtime import runtime
from paywindow.checkout import Checkout
from paywindow.errors import Problem, StripeRefused
from paywindow.models import moves, operations, outbox
from paywindow.models.database import transaction
from paywindow.models.moves import Cause
from paywindow.models.snapshots import current_attempt, public_session
from paywindow.models.tables import CheckoutAttempt, Operation, PaymentSession
from paywindow.states import PAYABLE, Event, Kind, Status, answer


@actor("checkout.cancel")
def cancel(operation_id: str, client: str, fingerprint: str, request: dict[str, Any]) -> None:
    """Close the page at Stripe and cancel the session, unless money came first."""
    _stop(Event.CANCEL, "checkout.cancel", operation_id, client, fingerprint, request)


@actor("window.expire")
def expire(operation_id: str, client: str, fingerprint: str, request: dict[str, Any]) -> None:
    """Close the page at Stripe and the window here, unless money came first."""
    _stop(Event.EXPIRE, "window.expire", operation_id, client, fingerprint, request)


def _stop(event: Event, kind: str, operation_id: str, client: str, fingerprint: str, request: dict[str, Any]) -> None:
    operation, session_id = uuid.UUID(operation_id), uuid.UUID(request["session_id"])
    cause = Cause(answers.who(client), clock.now(), why=request.get("reason"))
    try:
        with transaction():
            # The session's lock first, as everywhere; the operation's row second.
            session = moves.lock_session(session_id)
            row = operations.begin(operation, kind, client, fingerprint, request, cause.at)
            attempt = _page_to_close(row, session, event, cause)
    except operations.KeyReused as reused:
        runtime().publisher.conflict(operation, reused.outcome)
        return
    if attempt is None:
        return
    try:
        page = close_page(attempt)
    except StripeRefused as refusal:
        with transaction():
            operations.refuse_for_stripe(row, session_id, refusal, clock.now())
        return
    # Lateness counts from now on: the buyer may have paid while Stripe was asked.
    cause = replace(cause, at=clock.now())
    with transaction():
        _close(row, attempt, page, event, cause)


def _page_to_close(
    row: Operation, session: PaymentSession | None, event: Event, cause: Cause
) -> CheckoutAttempt | None:
    """Answer what needs no call to Stripe; else the attempt whose page must be closed first."""
    if row.outcome is not None:
        outbox.follow_up("publish.operation", cause.at, operation_id=str(row.id))
    elif session is None:
        operations.refuse(row, Problem("not_found", "There is no such payment session."), cause.at)
    elif answer(event, Status(session.status), held=session.hold_reason is not None).kind is Kind.MOVE:
        return current_attempt(session)
    else:
        _finish(row, session, event, cause)
    return None


def _close(row: Operation, attempt: CheckoutAttempt, page: Checkout | None, event: Event, cause: Cause) -> None:
    record_closed(attempt, page, cause)
    session = moves.lock_session(attempt.session_id)
    row = Operation.select().where(Operation.id == row.id).for_update().get()
    if session is None or row.outcome is not None:
        return
    now = current_attempt(session)
    has_another_page = now is not None and (now.id != attempt.id or (attempt.status, now.status) == ("claimed", "open"))
    if has_another_page and session.status in PAYABLE:
        raise moves.Stale(f"payment session {session.id} has another page now, which has to be closed first")
    _finish(row, session, event, cause)


def _finish(row: Operation, session: PaymentSession, event: Event, cause: Cause) -> None:
    """End the session, or say why not."""
    changes = {"canceled_at": cause.at} if event is Event.CANCEL else {}
    row.session = session
    try:
        moves.apply(session, event, cause, **changes)
    except Problem as refusal:
        operations.refuse(row, refusal, cause.at)
    else:
        operations.finish(row, 200, {"paymentSession": public_session(session, None)}, cause.at)
