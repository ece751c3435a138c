"""Who gets what of a payment session, and what the seller was sent so far.

The terms are frozen in the session when it is created. What the seller is *due* follows from the payment, the fee and the
refunds; what the seller *has* is what Stripe passed on or we sent, less what came back. For a collected payment, and for
what a dispute takes and gives back of any, ``sellers.settle_up`` brings the two together, one :class:`SellerMovement` at a time.
"""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from peewee import SQL, fn

from paywindow import ids, jsons, split
from paywindow.checkout import Destination
from paywindow.errors import Problem
from paywindow.messages import CheckoutRequest, build
from paywindow.models import claims, disputes, outbox, refunds, sellers
from paywindow.models.database import send_after_commit
from paywindow.models.tables import Dispute, PaymentSession, Refund, SellerMovement, Transaction
from paywindow.settings import Settings

DESTINATION, COLLECT = "destination", "collect"
#: Refunds that took, or will take, money from the books; the others came to nothing.
_COUNTED = ("pending", "requires_action", "succeeded")
#: How long a share that is being sent is left to the worker that sends it.
LEASE = timedelta(minutes=10)
#: Readiness wakes the shares that wait for it; this is for the case that it was not noticed.
LOOK_AGAIN = timedelta(days=1)
#: How long Stripe's figures are waited for before they are asked for: they come with ``charge.updated``, within an hour.
FIGURES_PATIENCE = timedelta(hours=1)
_LONGEST_PATIENCE = timedelta(days=1)


def terms(request: CheckoutRequest, settings: Settings) -> dict[str, Any]:
    """The columns of a new session that say who gets what.

    Raises :class:`Problem` ``seller_not_ready`` when the maker cannot take the payment and the settings refuse such.
    """
    if request.maker_id is None:
        return {}
    fee, rule = request.platform_fee_minor, settings.fee_rule
    if fee is None and rule is not None:
        fee = rule.fee(request.amount_minor, request.currency)
    if settings.seller_payouts == "off":
        return {"platform_fee_minor": fee}
    account = sellers.of_maker(uuid.UUID(request.maker_id))
    if account is not None and sellers.can_charge(account):
        return {
            "platform_fee_minor": fee or 0,
            "split": DESTINATION,
            "destination_account": account.stripe_account_id,
            "on_behalf_of": settings.seller_on_behalf_of and account.card_payments_capability == "active",
        }
    if settings.seller_payouts == "refuse":
        missing = sellers.missing(account)
        raise Problem(
            "seller_not_ready",
            f"The maker's account at Stripe still lacks: {', '.join(missing)}.",
            makerId=request.maker_id,
            missing=missing,
        )
    return {"platform_fee_minor": fee or 0, "split": COLLECT}


def destination(session: PaymentSession) -> Destination | None:
    """Where Stripe passes the session's payment on to, if it does."""
    if session.destination_account is None:
        return None
    return Destination(session.destination_account, session.platform_fee_minor or 0, session.on_behalf_of)


def of_new_payment(session: PaymentSession, at: datetime, *, settled: bool) -> dict[str, Any]:
    """The columns of a new transaction that lead to Stripe's figures and to the seller's share."""
    collected = settled and session.split == COLLECT
    return {
        "destination_account": session.destination_account,
        "figures_due_at": at + FIGURES_PATIENCE,
        "share_due_at": at if collected else None,
    }


def settle_up_later(paid: Transaction, session: PaymentSession, at: datetime) -> None:
    """What the seller is due, or what Stripe moved by itself, may have changed: look once the transaction has committed."""
    if session.split == COLLECT and paid.settled_at is not None:
        _settle_up(paid, at)
    elif paid.destination_account is not None:
        outbox.follow_up("figures.read", at, transaction_id=str(paid.id))
        if owed(paid, session):
            _settle_up(paid, at)  # a refund that Stripe does not split


def follow_dispute(paid: Transaction, session: PaymentSession, at: datetime) -> None:
    """A bank took money back, or returned it: have the seller's share follow."""
    if session.split is not None:
        _settle_up(paid, at)


def _settle_up(paid: Transaction, at: datetime) -> None:
    Transaction.update(share_due_at=at).where(Transaction.id == paid.id).execute()
    outbox.follow_up("sellers.settle_up", at, transaction_id=str(paid.id))


@dataclass(frozen=True, slots=True)
class Parts:
    """Who has what of a payment, in minor units: ``amount = refunded + disputed + platform_fee + seller``.

    ``disputed``: what banks took back and have not returned. ``platform_fee`` is before Stripe's own fees, and negative when the
    buyer got money back that the seller was left with. ``sent``: what has reached the seller's account.
    """

    refunded: int
    disputed: int
    platform_fee: int
    seller: int
    sent: int


@dataclass(frozen=True, slots=True)
class Gone:
    """What is no longer there of a payment, in minor units.

    ``refunded``: went back to the buyer or is on its way. ``disputed``: banks took it back and have not returned it;
    ``disputed_of_seller`` is the part of it that the seller bears.
    """

    refunded: int
    disputed: int
    disputed_of_seller: int


def gone(paid: Transaction, given_back: Iterable[Refund], disputed: Sequence[Dispute]) -> Gone:
    """What is gone of a payment by the refunds and disputes that were read; refunds of other payments do not count."""
    refunded = sum(
        int(row.amount_minor) for row in given_back if row.transaction_id == paid.id and row.status in _COUNTED
    )
    return Gone(refunded, disputes.withdrawn(paid, disputed), disputes.withdrawn(paid, disputed, ("seller",)))


def _gone(paid: Transaction) -> Gone:
    return gone(paid, refunds.of_payment(paid), disputes.of(paid))


def parts(paid: Transaction, session: PaymentSession, gone_of_it: Gone | None = None) -> Parts:
    """Who has what of a payment now. Until Stripe's figures are known, as agreed; from then on, as Stripe moved it.

    ``gone_of_it`` spares the queries to who has read refunds and disputes.
    """
    without, fee = gone_of_it or _gone(paid), paid.platform_fee_minor or 0
    refunded, disputed = without.refunded, without.disputed
    left = paid.amount_minor - refunded - disputed
    if session.maker_id is None:
        return Parts(refunded, disputed, left, 0, 0)
    if session.split == DESTINATION and paid.stripe_transfer_id is not None:
        kept = fee - paid.platform_fee_returned_minor
        seller = paid.transferred_minor - paid.transfer_reversed_minor - kept
        return Parts(refunded, disputed, left - seller, seller, seller)
    seller = _due(paid, without)
    sent = paid.transferred_minor - paid.transfer_reversed_minor
    return Parts(refunded, disputed, left - seller, seller, sent)


def owed(paid: Transaction, session: PaymentSession) -> int:
    """What is still to be sent to the seller, in minor units; negative: to be taken back.

    Stripe splits a destination charge by itself, and what refunds take of it: ours to move is only what disputes take, and
    what refunds take from then on.
    """
    if session.split == COLLECT:
        now = parts(paid, session)
        return now.seller - now.sent
    without = _gone(paid)
    lost = _share_without(paid, without.refunded - _refunds_split_here(paid)) - _due(paid, without)
    returned = _sum(_done(paid, "transfer"))
    return _sum(_done(paid, "reversal")) - returned - lost


def due(paid: Transaction) -> int:
    """What the seller is due of a payment as agreed, whatever Stripe has moved.

    A refund is borne in proportion, and so is what banks took back where the policy leaves that to the seller.
    """
    return _due(paid, _gone(paid))


def _due(paid: Transaction, without: Gone) -> int:
    return _share_without(paid, without.refunded + without.disputed_of_seller)


def _share_without(paid: Transaction, gone: int) -> int:
    """The seller's share once ``gone`` of the amount went back to the buyer."""
    return split.seller_share(
        paid.amount_minor, paid.platform_fee_minor or 0, min(gone, paid.amount_minor), paid.currency
    )


def reversed_by_us(paid: Transaction) -> bool:
    """Whether a dispute had us take the share out of the transfer that Stripe made of a destination charge.

    Once the dispute is won the share lies in a transfer of ours, and Stripe has nothing to call back: from then on refunds are
    split here. Also when such a reversal is under way, or was refused, so that the two ways never alternate.
    """
    return paid.stripe_transfer_id is not None and bool(
        SellerMovement.select()
        .where(
            SellerMovement.transaction == paid.id,
            SellerMovement.kind == "reversal",
            SellerMovement.stripe_transfer_id == paid.stripe_transfer_id,
        )
        .exists()
    )


def _refunds_split_here(paid: Transaction) -> int:
    """What we gave back of a destination charge without asking Stripe to split it, in minor units."""
    ours = Refund.select().where(Refund.transaction == paid.id, Refund.status << _COUNTED, Refund.params.is_null(False))
    return sum(int(row.amount_minor) for row in ours if not jsons.loads(row.frozen).get("reverse_transfer"))


def next_movement(paid: Transaction, session: PaymentSession, at: datetime) -> SellerMovement | None:
    """The movement to make now: one whose outcome is not recorded yet, else a new one, frozen; ``None`` if all is even.

    ``None`` also while the seller cannot receive money. A new one is refused at once where Stripe would have to transfer in
    another currency than it settled the payment in. The caller holds the session's lock.
    """
    claimed: SellerMovement | None = SellerMovement.get_or_none(
        SellerMovement.transaction == paid.id, SellerMovement.status == "claimed"
    )
    if claimed is not None:
        return claimed
    difference = owed(paid, session)
    if difference > 0:
        account = sellers.of_maker(session.maker_id) if session.maker_id else None
        if account is None or not sellers.can_receive(account):
            return None
        movement = _claim(paid, "transfer", difference, account.stripe_account_id, None, at)
        if settled_elsewhere(paid, session):
            why = (
                f"the payment settled in {paid.stripe_fee_currency}, and only that currency can be transferred from it"
            )
            refuse(movement, why, at)
            movement = SellerMovement.get_by_id(movement.id)
        return movement
    if difference < 0:
        return _claim_reversal(paid, -difference, at)
    return None


def settled_elsewhere(paid: Transaction, session: PaymentSession) -> bool:
    """Whether a collected payment reached the platform's balance in another currency than it was paid in.

    Stripe transfers from it in that currency alone (https://docs.stripe.com/connect/separate-charges-and-transfers), and what
    the seller is due is agreed in the payment's.
    """
    return session.split == COLLECT and paid.stripe_fee_currency not in (None, paid.currency)


def refused(paid: Transaction) -> SellerMovement | None:
    """The payment's last movement, if that was refused."""
    last: SellerMovement | None = (
        SellerMovement.select()
        .where(SellerMovement.transaction == paid.id)
        .order_by(SellerMovement.number.desc())
        .first()
    )
    return last if last is not None and last.status == "refused" else None


def is_outstanding(movement: Any) -> Any:
    """The condition that a refused ``movement`` (a table, in a query) is its payment's last, and something is left to move.

    One that is being tried anew is outstanding until its answer is known.
    """
    later = SellerMovement.alias()
    followed = later.select().where(
        later.transaction == movement.transaction, later.number > movement.number, later.status != "claimed"
    )
    waiting = Transaction.select().where(
        Transaction.id == movement.transaction, Transaction.share_due_at.is_null(False)
    )
    return fn.EXISTS(waiting) & ~fn.EXISTS(followed)


def moved_by_us(paid: Transaction) -> tuple[int, int]:
    """What we sent of a destination charge, and what we took back of that, beside what Stripe's own transfer tells."""
    back = [each for each in _done(paid, "reversal") if each.stripe_transfer_id != paid.stripe_transfer_id]
    return _sum(_done(paid, "transfer")), _sum(back)


def finish(movement: SellerMovement, stripe_id: str, at: datetime) -> None:
    """Record that Stripe moved the money; a second time changes nothing. The caller holds the session's lock."""
    transfer = movement.kind == "transfer"
    ids_of = {"stripe_transfer_id": stripe_id} if transfer else {"stripe_reversal_id": stripe_id}
    changed = (
        SellerMovement.update(status="done", finished_at=at, last_error=None, **ids_of)
        .where(SellerMovement.id == movement.id, SellerMovement.status == "claimed")
        .execute()
    )
    if not changed or _told_by_figures(movement):
        return
    column = Transaction.transferred_minor if transfer else Transaction.transfer_reversed_minor
    sums: dict[Any, Any] = {column: column + movement.amount_minor}
    Transaction.update(sums).where(Transaction.id == movement.transaction_id).execute()


def _told_by_figures(movement: SellerMovement) -> bool:
    """Whether what was taken back is in Stripe's figures of the charge, and must not be counted twice."""
    paid: Transaction = Transaction.get_by_id(movement.transaction_id)
    return movement.kind == "reversal" and movement.stripe_transfer_id == paid.stripe_transfer_id


def refuse(movement: SellerMovement, error: str, at: datetime) -> None:
    """Record that Stripe will not make this movement; a later one has a number and a key of its own."""
    SellerMovement.update(status="refused", last_error=error[:2000], finished_at=at).where(
        SellerMovement.id == movement.id, SellerMovement.status == "claimed"
    ).execute()


def look_again(paid_id: uuid.UUID, moment: datetime | None) -> None:
    """When to look at a share next; ``None``: there is nothing to wait for."""
    Transaction.update(share_due_at=moment).where(Transaction.id == paid_id).execute()


def wake(maker_id: uuid.UUID, at: datetime) -> None:
    """The maker can receive money now: the shares that waited for it are due."""
    mine = PaymentSession.select(PaymentSession.id).where(
        PaymentSession.maker_id == maker_id, PaymentSession.split == COLLECT
    )
    Transaction.update(share_due_at=at).where(
        Transaction.session << mine, Transaction.share_due_at.is_null(False)
    ).execute()


def count_due(at: datetime, limit: int) -> int:
    """How many payments have a share or figures that are due, counted up to ``limit``."""
    due: int = (
        Transaction.select(Transaction.id)
        .where((Transaction.share_due_at <= at) | (Transaction.figures_due_at <= at))
        .limit(limit)
        .count()
    )
    return due


def claim_due_shares(at: datetime, limit: int) -> int:
    """Send ``sellers.settle_up`` for up to ``limit`` shares that are due; returns how many."""
    rows = claims.claim_due(Transaction, Transaction.share_due_at, at, limit, share_due_at=at + LEASE)
    for row in rows:
        send_after_commit(build("sellers.settle_up", transaction_id=str(row.id)))
    return len(rows)


def claim_due_figures(at: datetime, limit: int) -> int:
    """Send ``figures.read`` for up to ``limit`` payments whose figures did not come by themselves; returns how many."""
    wait = SQL("%s + LEAST(%s * power(2, LEAST(figures_tries, 20)), %s)", (at, FIGURES_PATIENCE, _LONGEST_PATIENCE))
    rows = claims.claim_due(
        Transaction,
        Transaction.figures_due_at,
        at,
        limit,
        figures_due_at=wait,
        figures_tries=Transaction.figures_tries + 1,
    )
    for row in rows:
        send_after_commit(build("figures.read", transaction_id=str(row.id)))
    return len(rows)


def _claim_reversal(paid: Transaction, wanted: int, at: datetime) -> SellerMovement | None:
    """Take back from the newest transfer of which there is something left; the rest is for the next movement."""
    for sent in _done(paid, "transfer"):
        taken = sum(
            each.amount_minor for each in _done(paid, "reversal") if each.stripe_transfer_id == sent.stripe_transfer_id
        )
        if left := sent.amount_minor - taken:
            amount = min(left, wanted)
            return _claim(paid, "reversal", amount, sent.destination_account, sent.stripe_transfer_id, at)
    if paid.stripe_transfer_id is None:
        return None
    # What is left of the transfer that Stripe made of a destination charge.
    by_us, back = moved_by_us(paid)
    left = (paid.transferred_minor - by_us) - (paid.transfer_reversed_minor - back)
    amount = min(left, wanted)
    if amount <= 0:
        return None
    return _claim(paid, "reversal", amount, paid.destination_account, paid.stripe_transfer_id, at)


def _sum(rows: list[SellerMovement]) -> int:
    return sum(int(row.amount_minor) for row in rows)


def _done(paid: Transaction, kind: str) -> list[SellerMovement]:
    return list(
        SellerMovement.select()
        .where(SellerMovement.transaction == paid.id, SellerMovement.kind == kind, SellerMovement.status == "done")
        .order_by(SellerMovement.number.desc())
    )


def _claim(
    paid: Transaction, kind: str, amount: int, account: str | None, transfer_id: str | None, at: datetime
) -> SellerMovement:
    last = SellerMovement.select(fn.MAX(SellerMovement.number)).where(SellerMovement.transaction == paid.id).scalar()
    number = (last or 0) + 1
    row: SellerMovement = SellerMovement.create(
        id=uuid.uuid4(),
        transaction=paid,
        number=number,
        kind=kind,
        status="claimed",
        amount_minor=amount,
        currency=paid.currency,
        destination_account=account,
        idempotency_key=ids.movement_key(paid.id, number),
        first_called_at=at,
        stripe_transfer_id=transfer_id,
        created_at=at,
    )
    return row
