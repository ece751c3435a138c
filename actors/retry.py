"""Trying again after a failed payment, on request.

``payment.retry`` (the buyer, or the marketplace for the buyer): failed -> pending on a new page, one retry counted. The old
page is closed first (``POST /v1/checkout/sessions/{id}/expire``, idempotent by itself); if it is found paid, that is recorded
and the answer says so. The new page comes under the new attempt's key. Of two requests at once, the later one finds the
session no longer failed. ``payment.grant_retry`` (an admin): failed stays, with one more try, which the timer takes up at once.

The retries that the timer makes are in :mod:`paywindow.actors.windows`. A second run finds the outcome, or goes on with
the attempt that the first one claimed.
"""

import uuid
from dataclasses import replace
from typing import Any

from paywindow import clock, metrics
from paywindow.actors import answers
from paywindow.actors.pages import claim_attempt, close_page, open_page, record_closed
from paywindow.actors.registry import actor
from paywindow.actors.runtime import runtime
from paywindow.checkout import Checkout
from paywindow.errors import Problem, StripeRefused
from paywindow.models import analytics, attempts, moves, operations, outbox, retries, windows
from paywindow.models.database import transaction
from paywindow.models.moves import Cause
from paywindow.models.snapshots import current_attempt, public_session
from paywindow.models.tables import CheckoutAttempt, Operation, PaymentSession
from paywindow.states import PAYABLE, Event, Status


@actor("payment.retry")
def retry(operation_id: str, client: str, fingerprint: str, request: dict[str, Any]) -> None:
    """Replace the page of a failed payment, within the limit."""
    operation, cause = uuid.UUID(operation_id), Cause(answers.who(client), clock.now(), why=request.get("reason"))
    try:
        with transaction():
            session = moves.lock_session(uuid.UUID(request["session_id"]))
            row = operations.begin(operation, "payment.retry", client, fingerprint, request, cause.at)
            attempt = _page_to_replace(row, session, cause)
    except operations.KeyReused as reused:
        runtime().publisher.conflict(operation, reused.outcome)
        return
    if attempt is None:
        return
    if attempt.status != "claimed":
        try:
            page = close_page(attempt)
        except StripeRefused as refusal:
            with transaction():
                operations.refuse_for_stripe(row, attempt.session_id, refusal, clock.now())
            return
        # Lateness counts from now on: the buyer may have paid while Stripe was asked.
        cause = replace(cause, at=clock.now())
        with transaction():
            attempt = _replace(row, attempt, page, cause)
        if attempt is None:
            return
    open_page(attempt)


@actor("payment.grant_retry")
def grant_retry(operation_id: str, client: str, fingerprint: str, request: dict[str, Any]) -> None:
    """Allow a failed payment one more try, and have it tried."""
    operation, cause = uuid.UUID(operation_id), Cause(answers.who(client), clock.now(), why=request.get("reason"))
    try:
        with transaction():
            session = moves.lock_session(uuid.UUID(request["session_id"]))
            row = operations.begin(operation, "payment.grant_retry", client, fingerprint, request, cause.at)
            _grant(row, session, cause)
    except operations.KeyReused as reused:
        runtime().publisher.conflict(operation, reused.outcome)


def _page_to_replace(row: Operation, session: PaymentSession | None, cause: Cause) -> CheckoutAttempt | None:
    """Answer what needs no call to Stripe; else the attempt to close first, or the one that an earlier run claimed."""
    if row.outcome is not None:
        outbox.follow_up("publish.operation", cause.at, operation_id=str(row.id))
        return None
    if session is None:
        operations.refuse(row, Problem("not_found", "There is no such payment session."), cause.at)
        return None
    if row.session_id is not None:
        return attempts.claimed_of(session)
    row.session = session
    try:
        _check(session, cause)
    except Problem as refusal:
        operations.refuse(row, refusal, cause.at)
        return None
    return current_attempt(session)


def _replace(row: Operation, attempt: CheckoutAttempt, page: Checkout | None, cause: Cause) -> CheckoutAttempt | None:
    """Count the retry and claim the new attempt, unless the old page brought money or another request was faster."""
    record_closed(attempt, page, cause)
    session = moves.lock_session(attempt.session_id)
    row = Operation.select().where(Operation.id == row.id).for_update().get()
    if session is None or row.outcome is not None:
        return None
    if row.session_id is not None:
        return attempts.claimed_of(session)  # another run of the same message was faster
    row.session = session
    try:
        _check(session, cause)
    except Problem as refusal:
        operations.refuse(row, refusal, cause.at)
        # Its page may have been closed for nothing: show that, and have the sweep see to a new one.
        moves.touch(session.id, cause.at)
        if session.status in PAYABLE:
            windows.attend(session, cause.at)
        return None
    if session.attempt_number != attempt.number:
        raise moves.Stale(f"payment session {session.id} has another page now, which has to be closed first")
    Operation.change(row.id, session=row.session_id)  # answered when the page is open
    metrics.RETRY_ATTEMPTS.labels("request").inc()
    return start_retry(session, cause)


def start_retry(session: PaymentSession, cause: Cause) -> CheckoutAttempt:
    """Count a retry and claim its attempt, in the current transaction; the old page is known to be dead."""
    moves.apply(
        session,
        Event.RETRIED,
        cause,
        attempt_number=session.attempt_number + 1,
        retry_count=session.retry_count + 1,
        retry_at=None,
        due_at=session.expires_at,
    )
    analytics.track(analytics.RETRY_INITIATED, session, cause.at, retry_count=session.retry_count)
    return claim_attempt(session, "retry", cause.at)


def _check(session: PaymentSession, cause: Cause) -> None:
    """Whether a retry may be made now. Raises :class:`Problem` with the reason why not."""
    attempt = current_attempt(session)
    if (
        session.status == Status.PENDING
        and attempt is not None
        and (attempt.kind, attempt.status) == ("retry", "claimed")
    ):
        raise Problem("retry_under_way", "A new page is being opened already.", sessionId=str(session.id))
    try:
        moves.check(session, Event.RETRIED)
    except Problem as refusal:
        # Whoever asks to pay again is best told how the payment stands.
        raise Problem(
            refusal.code, refusal.detail, **refusal.extra, paymentSession=public_session(session, None)
        ) from None
    _check_time(session, cause)
    if retries.left(session, runtime().settings) == 0:
        raise Problem("retry_limit_reached", f"All {session.retry_count} retries were used.", sessionId=str(session.id))


def _check_time(session: PaymentSession, cause: Cause) -> None:
    if session.released_at is not None or cause.at >= session.expires_at:
        raise Problem("session_expired", "The payment window has closed.", sessionId=str(session.id))


def _grant(row: Operation, session: PaymentSession | None, cause: Cause) -> None:
    if row.outcome is not None:
        outbox.follow_up("publish.operation", cause.at, operation_id=str(row.id))
        return
    if session is None:
        operations.refuse(row, Problem("not_found", "There is no such payment session."), cause.at)
        return
    row.session = session
    try:
        moves.check(session, Event.GRANT_RETRY)
        _check_time(session, cause)
    except Problem as refusal:
        operations.refuse(row, refusal, cause.at)
        return
    granted = session.retries_granted + 1
    moves.apply(session, Event.GRANT_RETRY, cause, retries_granted=granted, retry_at=cause.at, due_at=cause.at)
    operations.finish(row, 200, answers.created(session), cause.at)
