"""Moving the deadline: an admin's overrides.

``window.extend``: pending, processing or failed stays, with a later deadline; the open page stays, and is replaced when it dies
before the window does. ``window.reopen``: expired -> pending, with a new deadline and a new page, unless the auction is
taken (its lock is held). Both are audited with their reason and announced. No call to Stripe but the new page's (reopen), under
the new attempt's key. A second run finds the outcome, or goes on with the attempt that the first one claimed.
"""

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from paywindow import clock
from paywindow.actors import answers
from paywindow.actors.pages import claim_attempt, open_page
from paywindow.actors.registry import actor
from paywindow.actors.runtime import runtime
from paywindow.errors import Problem
from paywindow.models import attempts, moves, notifications, operations, outbox, windows
from paywindow.models.database import transaction
from paywindow.models.moves import Cause
from paywindow.models.snapshots import current_attempt
from paywindow.models.tables import CheckoutAttempt, Operation, PaymentSession
from paywindow.settings import LONGEST_WINDOW_MINUTES
from paywindow.states import Event

#: A window may be moved at most this far from now.
LONGEST = timedelta(minutes=LONGEST_WINDOW_MINUTES)

_Override = Callable[[Operation, PaymentSession, dict[str, Any], Cause], CheckoutAttempt | None]


@actor("window.extend")
def extend(operation_id: str, client: str, fingerprint: str, request: dict[str, Any]) -> None:
    """Move the deadline of an open window, by minutes or until a moment."""
    _override(_extend, "window.extend", operation_id, client, fingerprint, request)


@actor("window.reopen")
def reopen(operation_id: str, client: str, fingerprint: str, request: dict[str, Any]) -> None:
    """Open an expired window again, for minutes from now or until a moment."""
    _override(_reopen, "window.reopen", operation_id, client, fingerprint, request)


def _override(
    override: _Override, kind: str, operation_id: str, client: str, fingerprint: str, request: dict[str, Any]
) -> None:
    operation = uuid.UUID(operation_id)
    cause = Cause(answers.who(client), clock.now(), why=request.get("reason"))
    try:
        with transaction():
            session = moves.lock_session(uuid.UUID(request["session_id"]))
            row = operations.begin(operation, kind, client, fingerprint, request, cause.at)
            attempt = _answer(override, row, session, request, cause)
    except operations.KeyReused as reused:
        runtime().publisher.conflict(operation, reused.outcome)
        return
    if attempt is not None:
        open_page(attempt)


def _answer(
    override: _Override, row: Operation, session: PaymentSession | None, request: dict[str, Any], cause: Cause
) -> CheckoutAttempt | None:
    if row.outcome is not None:
        outbox.follow_up("publish.operation", cause.at, operation_id=str(row.id))
        return None
    if session is None:
        operations.refuse(row, Problem("not_found", "There is no such payment session."), cause.at)
        return None
    if row.session_id is not None:
        # An earlier run reopened the window; its page may or may not have reached Stripe.
        return attempts.claimed_of(session)
    row.session = session
    try:
        return override(row, session, request, cause)
    except Problem as refusal:
        operations.refuse(row, refusal, cause.at)
        return None


def _extend(row: Operation, session: PaymentSession, request: dict[str, Any], cause: Cause) -> None:
    until = _deadline(request, session.expires_at, cause.at)
    moves.check(session, Event.EXTEND)
    if cause.at >= session.expires_at:
        # The window is being closed: Stripe may have been asked already.
        raise Problem("session_expired", "The deadline has passed.", sessionId=str(session.id))
    if session.released_at is not None:
        raise Problem("session_expired", "The auction was released already.", sessionId=str(session.id))
    if until <= session.expires_at:
        raise _invalid(request, "must be later than the present deadline")
    # What is due already (a page to replace, or to close for good) stays due; looking too early does no harm.
    due_at = min(session.due_at, windows.next_due(until, current_attempt(session), session.retry_at))
    moves.apply(session, Event.EXTEND, cause, expires_at=until, due_at=due_at)
    notifications.announce("window.extended", session, cause.at, reason=cause.why)
    operations.finish(row, 200, answers.created(session), cause.at)


def _reopen(row: Operation, session: PaymentSession, request: dict[str, Any], cause: Cause) -> CheckoutAttempt:
    until = _deadline(request, cause.at, cause.at)
    moves.check(session, Event.REOPEN)
    taken = moves.unreleased_of(session.auction_id)
    if taken is not None:
        raise Problem("auction_taken", "The auction has another open payment session.", sessionId=str(taken.id))
    moves.apply(
        session,
        Event.REOPEN,
        cause,
        expires_at=until,
        due_at=until,
        released_at=None,
        attempt_number=session.attempt_number + 1,
        retry_at=None,
        failure_code=None,
        failure_message=None,
    )
    notifications.announce("window.extended", session, cause.at, reason=cause.why, reopened=True)
    Operation.change(row.id, session=row.session_id)  # answered when the page is open
    return claim_attempt(session, "roll", cause.at)


def _deadline(request: dict[str, Any], start: datetime, at: datetime) -> datetime:
    if request.get("until") is not None:
        until = datetime.fromisoformat(request["until"])
    else:
        until = start + timedelta(minutes=int(request["minutes"]))
    if until <= at:
        raise _invalid(request, "must lie in the future")
    if until > at + LONGEST:
        raise _invalid(request, f"must not be more than {LONGEST.days} days away")
    return until


def _invalid(request: dict[str, Any], rule: str) -> Problem:
    field = "until" if request.get("until") is not None else "minutes"
    return Problem("invalid_request", f"{field} {rule}.", errors=[{"field": field, "rule": rule}])
