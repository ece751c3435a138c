"""Calling a sale off.

``checkout.cancel`` (the marketplace's command): pending or failed -> canceled; the auction is released. Stripe is asked first:
``POST /v1/checkout/sessions/{id}/expire`` (idempotent by itself). If the page turns out to be paid, the payment is recorded
and the cancel is refused; if a payment is being confirmed, it is refused too. A second run finds the outcome and repeats it.
"""

import uuid

from paywindow import clock
from paywindow.actors.payment import record_payment
from paywindow.actors.registry import actor
from paywindow.actors.runtime import runtime
from paywindow.checkout import Checkout, read_checkout
from paywindow.errors import Problem
from paywindow.models import attempts, moves, operations, outbox
from paywindow.models.database import transaction
from paywindow.models.moves import Cause
from paywindow.models.snapshots import current_attempt, public_session
from paywindow.models.tables import CheckoutAttempt, Operation, PaymentSession
from paywindow.states import PAYABLE, Event, Kind, Status, answer


@actor("checkout.cancel")
def cancel(operation_id: str, client: str, fingerprint: str, request: dict[str, str | None]) -> None:
    """Close the page at Stripe, then the session here, unless money came first."""
    operation, session_id = uuid.UUID(operation_id), uuid.UUID(request["session_id"])
    cause = Cause(f"service:{client}", clock.now(), why=request.get("reason"))
    try:
        with transaction():
            # The session's lock first, as everywhere; the operation's row second.
            session = moves.lock_session(session_id)
            row = operations.begin(operation, "checkout.cancel", client, fingerprint, dict(request), cause.at)
            attempt = _page_to_close(row, session, cause)
    except operations.KeyReused as reused:
        runtime().publisher.conflict(operation, reused.outcome)
        return
    page = None
    if attempt is not None and attempt.status == "open":
        page = read_checkout(runtime().gateway.expire_checkout(attempt.page_id))
    if attempt is not None:
        with transaction():
            _close(session_id, operation, attempt, page, cause)


def _page_to_close(row: Operation, session: PaymentSession | None, cause: Cause) -> CheckoutAttempt | None:
    """Answer what needs no call to Stripe; else the attempt whose page must be closed first."""
    if row.outcome is not None:
        outbox.follow_up("publish.operation", cause.at, operation_id=str(row.id))
    elif session is None:
        operations.refuse(row, Problem("not_found", "There is no such payment session."), cause.at)
    elif answer(Event.CANCEL, Status(session.status), held=session.hold_reason is not None).kind is Kind.MOVE:
        row.session = session
        row.save(only=[Operation.session])
        return current_attempt(session)
    else:
        _finish(row, session, cause)
    return None


def _close(
    session_id: uuid.UUID, operation_id: uuid.UUID, attempt: CheckoutAttempt, page: Checkout | None, cause: Cause
) -> None:
    if page is not None and (page.paid or page.awaiting_money):
        record_payment(page, cause)
    session = moves.lock_session(session_id)
    row = Operation.select().where(Operation.id == operation_id).for_update().get()
    if session is None or row.outcome is not None:
        return
    now = current_attempt(session)
    replaced = now is None or (now.id, now.status) != (attempt.id, attempt.status)
    if replaced and session.status in PAYABLE:
        # Its page was opened or replaced meanwhile: that one has to be closed, so look again.
        raise moves.Stale(f"payment session {session_id} has another page now")
    if page is not None and page.status == "expired":
        attempts.close(attempt, cause.at)
    _finish(row, session, cause)


def _finish(row: Operation, session: PaymentSession, cause: Cause) -> None:
    """Cancel, or say why not."""
    row.session = session
    try:
        moves.apply(session, Event.CANCEL, cause, canceled_at=cause.at)
    except Problem as refusal:
        operations.refuse(row, refusal, cause.at)
    else:
        operations.finish(row, 200, {"paymentSession": public_session(session, None)}, cause.at)
