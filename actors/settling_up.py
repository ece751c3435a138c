"""Sending sellers their share of payments that the platform collected, and taking back what refunds and disputes took from it.

``sellers.settle_up`` (outbox of a settlement, a refund or a dispute; sweep: the account became ready, or an answer is missing)
compares what the seller is due with what was sent, and makes one movement after the other until both agree:
``POST /v1/transfers`` with the charge as its source, or ``POST /v1/transfers/{id}/reversals``. Amount and key are committed
before the call. A second run finds the movement claimed and replays it, or finds nothing to do.
"""

import logging
import uuid
from datetime import datetime, timedelta
from typing import Any

from paywindow import clock
from paywindow.actors.registry import actor
from paywindow.actors.runtime import runtime
from paywindow.checkout import transfer_group
from paywindow.errors import StripeRefused, StripeUnavailable, Transient
from paywindow.models import moves, outbox, shares
from paywindow.models.database import transaction
from paywindow.models.tables import PaymentSession, SellerMovement, Transaction

logger = logging.getLogger(__name__)

#: Stripe keeps an idempotency key for at least 24 hours; from here on a repeat could move the money twice.
KEY_AGE_LIMIT = timedelta(hours=23)
#: After Stripe refused (the account was restricted, its balance is too low), so much later a new movement is tried.
AFTER_REFUSAL = timedelta(hours=6)
_MOVEMENT = "seller_movement_id"


@actor("sellers.settle_up")
def settle_up(transaction_id: str, outbox_id: int | None = None) -> None:
    """Bring what the seller was sent in line with what the seller is due."""
    identifier = uuid.UUID(transaction_id)
    while (movement := _next(identifier, outbox_id)) is not None:
        try:
            moved = _move(movement)
        except StripeRefused as refusal:
            _give_up(movement, str(refusal))
            continue
        at = clock.now()
        with transaction():
            paid = _locked(identifier)
            shares.finish(movement, moved, at)
            if paid.destination_account is not None:
                outbox.follow_up("figures.read", at, transaction_id=str(paid.id))
            moves.touch(paid.session_id, at)


def _next(identifier: uuid.UUID, outbox_id: int | None) -> SellerMovement | None:
    at = clock.now()
    with transaction():
        paid = _locked(identifier)
        session = paid.session
        if session.split is None or (session.split == shares.COLLECT and paid.settled_at is None):
            # Nothing is due yet; a settlement asks for this again.
            shares.look_again(paid.id, None)
            outbox.done(outbox_id)
            return None
        owed, refused = shares.owed(paid, session), shares.refused(paid)
        if owed and refused is not None and (again := _again(refused, paid, session)) > at:
            shares.look_again(paid.id, again)
            outbox.done(outbox_id)
            return None
        movement = shares.next_movement(paid, session, at)
        if movement is not None and movement.kind == "transfer" and paid.stripe_charge_id is None:
            raise Transient("the charge that a transfer is paid from is not recorded yet")
        if movement is not None and movement.status == "refused":
            _tell(movement, str(movement.last_error))
            shares.look_again(paid.id, _again(movement, paid, session))
            moves.touch(paid.session_id, at)
            outbox.done(outbox_id)
            return None
        if movement is None:
            if refused is not None and not owed:
                moves.touch(paid.session_id, at)  # what was shown as refused is not needed any more
            shares.look_again(paid.id, None if owed == 0 else at + shares.LOOK_AGAIN)
            if owed > 0:
                # As far as is known the seller cannot receive it. The event that says otherwise may have been lost, and events of
                # connected accounts are not in the platform's list: the account is read, which wakes its shares.
                outbox.follow_up("sellers.refresh", at, maker_id=str(session.maker_id))
            outbox.done(outbox_id)
        else:
            shares.look_again(paid.id, at + shares.LEASE)
    return movement


def _again(refused: SellerMovement, paid: Transaction, session: PaymentSession) -> datetime:
    """When to look again at a payment whose last movement was refused.

    After what may pass a movement is tried anew. What was settled in another currency is for an operator: nothing is tried,
    until a refund leaves nothing to send.
    """
    if shares.settled_elsewhere(paid, session):
        return clock.now() + shares.LOOK_AGAIN
    again: datetime = refused.finished_at + AFTER_REFUSAL
    return again


def _move(movement: SellerMovement) -> str:
    """Have Stripe make the movement, or find it made; the id of the transfer or the reversal."""
    gateway = runtime().gateway
    with transaction():
        paid: Transaction = Transaction.get_by_id(movement.transaction_id)
    group = transfer_group(str(paid.session_id))
    if clock.now() - movement.first_called_at > KEY_AGE_LIMIT:
        made = _find(movement, group)
        if made is None:
            raise StripeRefused("Stripe has no trace of this movement", code="movement_never_arrived")
        return made
    params: dict[str, Any] = {"amount": movement.amount_minor, "metadata": {_MOVEMENT: str(movement.id)}}
    if movement.kind == "reversal":
        return str(gateway.reverse_transfer(_reversed(movement), params, movement.idempotency_key)["id"])
    params |= {
        "currency": movement.currency.lower(),
        "destination": movement.destination_account,
        "transfer_group": group,
    }
    if paid.transferred_minor + movement.amount_minor <= paid.amount_minor:
        params["source_transaction"] = paid.stripe_charge_id
    # Else it goes out a second time, after a refund that failed: a charge is the source of no more than its amount, and
    # what was taken back lies in the platform's balance.
    return str(gateway.create_transfer(params, movement.idempotency_key)["id"])


def _find(movement: SellerMovement, group: str) -> str | None:
    """Look for a movement whose outcome stayed unknown.

    Raises :class:`StripeUnavailable` also when Stripe refuses to list them: that says nothing about this one, and another
    movement in its place could send the money twice.
    """
    gateway = runtime().gateway
    try:
        made = gateway.transfers_of(group) if movement.kind == "transfer" else gateway.reversals_of(_reversed(movement))
        for found in made:
            if (found.get("metadata") or {}).get(_MOVEMENT) == str(movement.id):
                return str(found["id"])
    except StripeRefused as refusal:
        raise StripeUnavailable(f"Stripe does not let the seller's movements be listed: {refusal}") from refusal
    return None


def _reversed(movement: SellerMovement) -> str:
    return str(movement.stripe_transfer_id)


def _give_up(movement: SellerMovement, error: str) -> None:
    with transaction():
        _locked(movement.transaction_id)
        shares.refuse(movement, error, clock.now())
        moves.touch(movement.transaction.session_id, clock.now())
    _tell(movement, error)


def _tell(movement: SellerMovement, error: str) -> None:
    """Tell the operators by the log; status, timeline, backlog and metrics show the refused movement itself."""
    facts = {"transaction_id": str(movement.transaction_id), "movement_id": str(movement.id)}
    logger.warning("a seller's %s is refused: %s", movement.kind, error, extra=facts)


def _locked(identifier: uuid.UUID) -> Transaction:
    """The transaction, with its session's lock held, as everywhere before its rows are changed."""
    session_id = Transaction.get_by_id(identifier).session_id
    moves.lock_session(session_id)
    paid: Transaction = Transaction.select().where(Transaction.id == identifier).for_update().get()
    return paid
