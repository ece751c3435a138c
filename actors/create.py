"""Opening a payment session.

``checkout.create`` (the marketplace's command): -> pending. The session and its first attempt are committed, then the attempt's
page is opened (:mod:`paywindow.actors.pages`). A second run finds the operation and goes on where the first one stopped.
"""

import uuid
from datetime import datetime, timedelta
from typing import Any

from paywindow import clock
from paywindow.actors import answers
from paywindow.actors.pages import claim_attempt, open_page
from paywindow.actors.registry import actor
from paywindow.actors.runtime import runtime
from paywindow.errors import Problem
from paywindow.messages import CheckoutRequest
from paywindow.models import attempts, moves, operations, outbox, shares
from paywindow.models.database import transaction
from paywindow.models.snapshots import current_attempt
from paywindow.models.tables import CheckoutAttempt, Operation, PaymentSession


@actor("checkout.create")
def create(operation_id: str, client: str, fingerprint: str, request: dict[str, Any]) -> None:
    """Record the command, claim the auction and the first attempt, then open its page."""
    at = clock.now()
    operation = uuid.UUID(operation_id)
    try:
        with transaction():
            moves.lock_auction(uuid.UUID(request["auction_id"]))
            row = operations.begin(operation, "checkout.create", client, fingerprint, request, at)
            attempt = _claim_auction(row, CheckoutRequest(**request), at)
    except operations.KeyReused as reused:
        runtime().publisher.conflict(operation, reused.outcome)
        return
    if attempt is not None:
        open_page(attempt)


def _claim_auction(operation: Operation, request: CheckoutRequest, at: datetime) -> CheckoutAttempt | None:
    """Decide what the command means now; the attempt is returned if its page is for this run to open."""
    if operation.outcome is not None:
        outbox.follow_up("publish.operation", at, operation_id=str(operation.id))
        return None
    if operation.session is not None:
        # An earlier run of this message got this far; its attempt may or may not have reached Stripe.
        return attempts.claimed_of(operation.session)
    taken = moves.unreleased_of(uuid.UUID(request.auction_id))
    if taken is not None:
        _join(operation, taken, request, at)
        return None
    try:
        terms = shares.terms(request, runtime().settings)
    except Problem as problem:
        operations.refuse(operation, problem, at)
        return None
    session = _insert_session(request, terms, at)
    operation.session = session
    Operation.change(operation.id, session=operation.session_id)
    return claim_attempt(session, "first", at)


def _join(operation: Operation, session: PaymentSession, request: CheckoutRequest, at: datetime) -> None:
    """Answer a create for an auction that already has its session (money rule 1)."""
    same = (
        str(session.buyer_id) == request.buyer_id
        and session.amount_minor == request.amount_minor
        and session.currency == request.currency
    )
    if not same:
        detail = "Another buyer, amount or currency was asked for than in the auction's open payment session."
        operations.refuse(operation, Problem("auction_taken", detail, sessionId=str(session.id)), at)
        return
    operation.session = session
    attempt = current_attempt(session)
    if attempt is not None and attempt.status == "claimed":
        Operation.change(operation.id, session=operation.session_id)  # answered by whoever opens the page
    else:
        operations.finish(operation, 200, answers.created(session), at)


def _insert_session(request: CheckoutRequest, terms: dict[str, Any], at: datetime) -> PaymentSession:
    values = {**request.asdict(), **terms}
    expires_at = at + timedelta(minutes=request.window_minutes)
    session: PaymentSession = PaymentSession.create(
        **values,
        id=uuid.uuid4(),
        livemode=runtime().gateway.livemode,
        status="pending",
        attempt_number=1,
        expires_at=expires_at,
        due_at=expires_at,
        created_at=at,
        updated_at=at,
    )
    return session
