"""Giving money back.

``payment.refund`` (the marketplace's command): the refund is claimed and its parameters frozen, under the session's lock and
within what is left of the payment; then Stripe is called, and its answer answers the command. ``refunds.make`` (a refund was
claimed without a command; sweep: its answer is not known) does the calling alone.

The call is ``POST /v1/refunds`` with the refund's id as its key, so that a repetition can only find the same refund; one whose
key Stripe may have forgotten is looked for among the payment's refunds instead. A second run finds the refund past *claimed*
and stops, or replays the same call.
"""

import logging
import uuid
from datetime import timedelta
from decimal import Decimal
from typing import Any

from paywindow import clock, jsons
from paywindow.actors import answers, refund_outcomes
from paywindow.actors.registry import actor
from paywindow.actors.runtime import runtime
from paywindow.errors import Problem, StripeRefused, StripeUnavailable
from paywindow.models import disputes, moves, operations, outbox, refund_claims, refunds
from paywindow.models.database import transaction
from paywindow.models.moves import Cause
from paywindow.models.tables import Operation, PaymentSession, Refund, Transaction
from paywindow.money import InvalidMoney, Money, to_minor
from paywindow.refunds import ALREADY_REFUNDED

logger = logging.getLogger(__name__)

#: Stripe keeps an idempotency key for at least 24 hours; from here on a repeat could give the money back a second time.
KEY_AGE_LIMIT = timedelta(hours=23)
#: A 500 is replayed under its key though the refund may be there: after so many it is looked for before the call is repeated.
TRIES_BEFORE_LOOKING = 2


@actor("payment.refund")
def refund(operation_id: str, client: str, fingerprint: str, request: dict[str, Any]) -> None:
    """Refund a payment, wholly or in part."""
    operation, cause = uuid.UUID(operation_id), Cause(answers.who(client), clock.now(), why=request["reason"])
    try:
        with transaction():
            session = _lock(request)
            row = operations.begin(operation, "payment.refund", client, fingerprint, request, cause.at)
            claimed = _claim(row, session, request, cause)
    except operations.KeyReused as reused:
        runtime().publisher.conflict(operation, reused.outcome)
        return
    if claimed is not None:
        _make(claimed.id, cause.who)


@actor("refunds.make")
def make(refund_id: str) -> None:
    """Go on with a refund whose answer is not recorded yet."""
    try:
        _make(uuid.UUID(refund_id), "system:refunds.make")
    except StripeUnavailable as error:
        # The row says when to try again; a message that retries as well would only pile up.
        logger.warning("left for later: %s", error, extra={"refund_id": refund_id})


def _lock(request: dict[str, Any]) -> PaymentSession | None:
    """The session that is meant, by its own id or by its transaction's."""
    session_id = request.get("session_id")
    if session_id is None:
        paid = Transaction.get_or_none(Transaction.id == uuid.UUID(request["transaction_id"]))
        session_id = None if paid is None else str(paid.session_id)
    return None if session_id is None else moves.lock_session(uuid.UUID(session_id))


def _claim(row: Operation, session: PaymentSession | None, request: dict[str, Any], cause: Cause) -> Refund | None:
    """Answer what needs no call to Stripe; else the refund to make, or the one that an earlier run claimed."""
    if row.outcome is not None:
        outbox.follow_up("publish.operation", cause.at, operation_id=str(row.id))
        return None
    if session is None:
        operations.refuse(row, Problem("not_found", "There is no such payment session or transaction."), cause.at)
        return None
    if row.session_id is not None:
        earlier: Refund = Refund.get(Refund.operation == row.id)
        return earlier
    row.session = session
    try:
        paid = _payment(session, request)
        amount = _amount(paid, session, request)
    except Problem as refusal:
        operations.refuse(row, refusal, cause.at)
        return None
    Operation.change(row.id, session=row.session_id)  # answered with Stripe's answer
    moves.touch(session.id, cause.at)
    return refund_claims.claim(
        paid,
        amount,
        cause.at,
        made_by=cause.who,
        why=cause.why,
        release_auction=bool(request.get("release_auction")),
        operation=row,
    )


def _payment(session: PaymentSession, request: dict[str, Any]) -> Transaction:
    """The payment to refund. Raises :class:`Problem` when there is none, or when an operator has to decide first."""
    if session.hold_reason is not None:
        detail = f"The payment session is held ({session.hold_reason}); resolve that first."
        raise Problem("session_held", detail, sessionId=str(session.id))
    wanted = request.get("transaction_id")
    paid = refunds.settled(session) if wanted is None else Transaction.get_by_id(uuid.UUID(wanted))
    if paid is None or paid.status == "failed":
        raise Problem("nothing_paid", "No payment was received that could be refunded.", sessionId=str(session.id))
    disputed = disputes.blocking(paid)
    if disputed is not None:
        detail = f"The buyer disputes the payment ({disputed.status}): the bank has the money, or may get it."
        dispute = disputes.public(disputed)
        raise Problem("payment_disputed", detail, sessionId=str(session.id), dispute=dispute)
    return paid


def _amount(paid: Transaction, session: PaymentSession, request: dict[str, Any]) -> int:
    """How much to refund, in minor units: what is asked for, or the rest. Raises :class:`Problem` when that is too much."""
    left = refunds.left(paid)
    told = {"sessionId": str(session.id), "left": Money(left, paid.currency).decimal(), "currency": paid.currency}
    if left == 0:
        raise Problem("already_refunded", "All of the payment is refunded, or on its way back.", **told)
    amount = left
    if request.get("amount") is not None:
        try:
            amount = to_minor(Decimal(request["amount"]), paid.currency)
        except InvalidMoney as error:
            raise _invalid("amount", str(error)) from error
    if amount <= 0:
        raise _invalid("amount", "must be greater than zero")
    if amount > left:
        raise Problem("refund_exceeds_payment", f"No more than {Money(left, paid.currency)} is left to refund.", **told)
    if request.get("release_auction") and (amount < left or paid.settled_at is None):
        raise _invalid("releaseAuction", "goes only with a refund of all that is left of the settled payment")
    return amount


def _invalid(field: str, rule: str) -> Problem:
    return Problem("invalid_request", f"{field} {rule}.", errors=[{"field": field, "rule": rule}])


def _make(refund_id: uuid.UUID, who: str) -> None:
    """Call Stripe for a claimed refund and record the answer, whatever it is.

    Raises :class:`StripeUnavailable` when there is no answer; the refund is then left to the sweep.
    """
    with transaction():
        claimed = refund_claims.begin(refund_id, clock.now())
    if claimed is None:
        return
    known: list[dict[str, Any]] = []
    refusal = None
    try:
        try:
            known = [_ask(claimed)]
        except StripeRefused as error:
            refusal = error
            if error.code == ALREADY_REFUNDED or error.param == "amount":
                known = list(runtime().gateway.refunds_of(jsons.loads(claimed.frozen)["payment_intent"]))
    except StripeUnavailable as error:
        with transaction():
            refund_claims.postpone(claimed, str(error), clock.now())
        raise
    with transaction():
        _record(claimed, known, refusal, Cause(who, clock.now(), why=claimed.why))


def _record(claimed: Refund, known: list[dict[str, Any]], refusal: StripeRefused | None, cause: Cause) -> None:
    paid: Transaction = Transaction.get_by_id(claimed.transaction_id)
    session = moves.lock_session(paid.session_id)
    if session is None:
        return
    for found in known:
        refund_outcomes.told(_again(session), Transaction.get_by_id(paid.id), found, cause)
    if refusal is not None:
        refund_outcomes.refused(_again(session), claimed, refusal, cause)


def _again(session: PaymentSession) -> PaymentSession:
    """The locked session as it is now, after what was recorded in between."""
    found: PaymentSession = PaymentSession.get_by_id(session.id)
    return found


def _ask(claimed: Refund) -> dict[str, Any]:
    """The refund at Stripe: posted under its key or, where posting is not safe or does not help, looked up."""
    if clock.now() - claimed.first_called_at > KEY_AGE_LIMIT:
        found = _find(claimed)
        if found is None:
            raise StripeRefused("Stripe has no refund for this row", code="refund_never_arrived")
        return found
    found = _find(claimed) if claimed.tries >= TRIES_BEFORE_LOOKING else None
    return found or runtime().gateway.create_refund(jsons.loads(claimed.frozen), str(claimed.id))


def _find(claimed: Refund) -> dict[str, Any] | None:
    """Look for a refund whose outcome stayed unknown.

    Raises :class:`StripeUnavailable` also when Stripe refuses to list refunds: that says nothing about this one.
    """
    try:
        for found in runtime().gateway.refunds_of(jsons.loads(claimed.frozen)["payment_intent"]):
            if (found.get("metadata") or {}).get("refund_id") == str(claimed.id):
                return found
    except StripeRefused as refusal:
        raise StripeUnavailable(f"Stripe does not let the payment's refunds be listed: {refusal}") from refusal
    return None
