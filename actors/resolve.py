"""Ending a hold.

``payment.resolve`` (an admin's command): ``accept`` keeps the money, ``refund`` gives it back. Accepting settles the oldest held
payment, receipt and all: any status -> completed, unless the auction has another session, the sale was called off, or the
session is paid already; further payments go back, since one is enough. Keeping money whose refund had set the auction free takes
the auction back, if it is not taken. A hold for a refund that Stripe would not make ends with the refund called off (accept) or
tried again under a new key (refund). Timers run again. Stripe is called by ``refunds.make`` alone. A second run finds the outcome
and repeats it.
"""

import uuid
from typing import Any

from paywindow import clock
from paywindow.actors import answers
from paywindow.actors.payment import give_back, issue_credit_notes, settle, settled_by
from paywindow.actors.registry import actor
from paywindow.actors.runtime import runtime
from paywindow.errors import Problem
from paywindow.models import moves, notifications, operations, outbox, refund_claims, refunds
from paywindow.models.database import transaction
from paywindow.models.moves import Cause
from paywindow.models.snapshots import current_attempt, page_url, public_session
from paywindow.models.tables import Operation, PaymentSession, Refund, Transaction
from paywindow.states import Event, Status

_OVER = {"hold_reason": None, "hold_since": None}


@actor("payment.resolve")
def resolve(operation_id: str, client: str, fingerprint: str, request: dict[str, Any]) -> None:
    """Accept or refund what is held, and end the hold."""
    operation = uuid.UUID(operation_id)
    cause = Cause(answers.who(client), clock.now(), why=request["reason"])
    try:
        with transaction():
            session = moves.lock_session(uuid.UUID(request["session_id"]))
            row = operations.begin(operation, "payment.resolve", client, fingerprint, request, cause.at)
            _answer(row, session, request["decision"], cause)
    except operations.KeyReused as reused:
        runtime().publisher.conflict(operation, reused.outcome)


def _answer(row: Operation, session: PaymentSession | None, decision: str, cause: Cause) -> None:
    if row.outcome is not None:
        outbox.follow_up("publish.operation", cause.at, operation_id=str(row.id))
        return
    if session is None:
        operations.refuse(row, Problem("not_found", "There is no such payment session."), cause.at)
        return
    row.session = session
    reason = session.hold_reason
    try:
        if decision == "accept":
            _accept(session, cause)
        else:
            _refund(session, cause)
    except Problem as refusal:
        operations.refuse(row, refusal, cause.at)
        return
    notifications.announce(
        "payment.held", session, cause.at, resolved={"hold": reason, "decision": decision, "reason": cause.why}
    )
    operations.finish(row, 200, {"paymentSession": public_session(session, page_url(session))}, cause.at)


def _accept(session: PaymentSession, cause: Cause) -> None:
    """Keep the money. Raises :class:`Problem` when it cannot settle the session; nothing is written then."""
    moves.check(session, Event.RESOLVE_ACCEPT)
    blocked = _blocked(session)
    held = _held(session, blocked)
    if session.status == Status.COMPLETED:
        if held:
            detail = "Another payment settled the session; this money can only be refunded."
            raise Problem("already_paid", detail, sessionId=str(session.id))
        moves.apply(session, Event.RESOLVE_ACCEPT, cause, **_OVER, **_auction_kept(session, blocked))
    elif not held:
        raise Problem("nothing_paid", "Nothing of the held money is left.", sessionId=str(session.id))
    else:
        _check_auction(session)
        moves.apply(session, Event.RESOLVE_ACCEPT, cause, **_OVER, **settled_by(held[0]))
        _close_page(session, held[0], cause)
    for refund in blocked:
        refund_claims.end(refund, "canceled", refund.failure_reason, refund.last_error, cause.at)
    if held:
        settle(session, held[0], cause.at)
        issue_credit_notes(held[0], cause.at)
    for paid in held[1:]:
        give_back(paid, cause.at, made_by=cause.who, why=cause.why, twice=True)


def _refund(session: PaymentSession, cause: Cause) -> None:
    """Have everything given back that is held, and let the session go on."""
    told = {}
    if session.status == Status.PROCESSING:
        told = {"failure_code": "payment_refunded", "failure_message": answers.PAYMENT_REFUNDED}
    moves.apply(session, Event.RESOLVE_REFUND, cause, **_OVER, **told, due_at=cause.at, due_tries=0)
    for refund in _blocked(session):
        refund_claims.end(refund, "failed", refund.failure_reason, refund.last_error, cause.at)
        # A part may have been given back in Stripe's dashboard meanwhile.
        amount = min(refund.amount_minor, refunds.left(refund.transaction))
        if amount == 0:
            continue
        refund_claims.claim(
            refund.transaction,
            amount,
            cause.at,
            made_by=cause.who,
            why=cause.why,
            reason=str(refund.reason),
            release_auction=refund.release_auction,
        )
    settled = refunds.settled(session)
    kept = [settled] if settled is not None and session.released_at is not None and refunds.left(settled) > 0 else []
    for paid in [*refunds.unsettled(session), *kept]:
        give_back(paid, cause.at, made_by=cause.who, why=cause.why)


def _blocked(session: PaymentSession) -> list[Refund]:
    """The refunds that Stripe would not make for now."""
    return [row for row in refunds.of_session(session) if row.status == "held"]


def _held(session: PaymentSession, blocked: list[Refund]) -> list[Transaction]:
    """The payments that settle nothing and can still be kept, oldest first."""
    called_off = {row.transaction_id: row.transaction for row in blocked if row.transaction.settled_at is None}
    found = {row.id: row for row in refunds.unsettled(session)} | called_off
    return sorted(found.values(), key=lambda row: (row.created_at, row.id))


def _auction_kept(session: PaymentSession, blocked: list[Refund]) -> dict[str, Any]:
    """An auction that a refund had set free is its session's again when that refund fell through and the money is kept.

    Raises :class:`Problem` when it has another session by now.
    """
    paid = refunds.settled(session)
    if session.released_at is None or paid is None:
        return {}
    if refunds.left(paid) == 0 and not any(refund.transaction_id == paid.id for refund in blocked):
        return {}
    _check_auction(session)
    return {"released_at": None}


def _check_auction(session: PaymentSession) -> None:
    taken = moves.unreleased_of(session.auction_id)
    if taken is not None and taken.id != session.id:
        raise Problem("auction_taken", "The auction has another payment session.", sessionId=str(taken.id))


def _close_page(session: PaymentSession, paid: Transaction, cause: Cause) -> None:
    current = current_attempt(session)
    if current is not None and current.id != paid.attempt_id and current.status == "open":
        outbox.follow_up("checkout.close_page", cause.at, attempt_id=str(current.id))
