"""Refunds that are made here: claimed and frozen before Stripe is called, gone on with until its answer is known."""

import uuid
from datetime import datetime, timedelta

from peewee import SQL

from paywindow import jsons
from paywindow.messages import build
from paywindow.models import claims, shares
from paywindow.models.database import send_after_commit
from paywindow.models.tables import CheckoutAttempt, Operation, Refund, Transaction
from paywindow.refunds import freeze_params

#: How long a claimed refund is left to the worker that claimed it before a sweep takes it up.
LEASE = timedelta(seconds=45)
_FIRST_BACKOFF = timedelta(seconds=15)
_LONGEST_BACKOFF = timedelta(minutes=15)
# With jitter, as for attempts: what failed together must not come back together.
_NEXT_TRY = "%s + LEAST(%s * power(2, LEAST(tries, 20)), %s) * (0.75 + random() * 0.5)"


def claim(
    paid: Transaction,
    amount_minor: int,
    at: datetime,
    *,
    made_by: str,
    why: str | None,
    reason: str = "requested_by_customer",
    release_auction: bool = False,
    operation: Operation | None = None,
) -> Refund:
    """Freeze a refund of a part of ``paid``, or of all. From here the call may be repeated, but never changed.

    The caller holds the lock of the payment session and has compared the amount with what is left. Without an
    ``operation``, whose actor goes on by itself, ``refunds.make`` is sent.
    """
    attempt = CheckoutAttempt.get_by_id(paid.attempt_id)
    identifier = uuid.uuid4()
    params = freeze_params(
        refund_id=str(identifier),
        session_id=str(paid.session_id),
        payment_intent_id=paid.stripe_payment_intent_id,
        amount_minor=amount_minor,
        reason=reason,
        checkout=jsons.loads(attempt.params),
        split_by_stripe=not shares.reversed_by_us(paid),
    )
    row: Refund = Refund.create(
        id=identifier,
        transaction=paid,
        operation=operation,
        made_by=made_by,
        why=why,
        release_auction=release_auction,
        params=jsons.dumps(params),
        next_try_at=at + LEASE,
        amount_minor=amount_minor,
        currency=paid.currency,
        status="claimed",
        reason=reason,
        created_at=at,
        updated_at=at,
    )
    if operation is None:
        send_after_commit(build("refunds.make", refund_id=str(identifier)))
    return row


def begin(refund_id: uuid.UUID, at: datetime) -> Refund | None:
    """The refund, if Stripe's answer is not recorded yet; that Stripe is about to be called is written down.

    ``first_called_at`` is set a moment early, so that the age of the key is never underestimated.
    """
    row: Refund | None = Refund.select().where(Refund.id == refund_id).for_update().get_or_none()
    if row is None or row.status != "claimed":
        return None
    if row.first_called_at is None:
        row.first_called_at = at
        row.save(only=[Refund.first_called_at])
    return row


def postpone(refund: Refund, error: str, at: datetime) -> None:
    """Stripe could not be asked, or its answer is unknown: the sweep tries again, each time after about twice the wait."""
    Refund.update(
        tries=Refund.tries + 1, last_error=error, next_try_at=SQL(_NEXT_TRY, (at, _FIRST_BACKOFF, _LONGEST_BACKOFF))
    ).where(Refund.id == refund.id, Refund.status == "claimed").execute()


def end(refund: Refund, status: str, code: str | None, error: str | None, at: datetime) -> bool:
    """Stripe made no refund of this row: ``failed``, ``held`` or ``canceled``. False when another run recorded something else."""
    changed: int = (
        Refund.update(status=status, failure_reason=code, last_error=error, next_try_at=None, updated_at=at)
        .where(Refund.id == refund.id, Refund.status.in_(["claimed", "held"]), Refund.stripe_refund_id.is_null())
        .execute()
    )
    return changed == 1


def count_due(at: datetime, limit: int) -> int:
    """How many claimed refunds are due, counted up to ``limit``."""
    due: int = Refund.select(Refund.id).where(Refund.status == "claimed", Refund.next_try_at <= at).limit(limit).count()
    return due


def claim_due(at: datetime, limit: int) -> int:
    """Send ``refunds.make`` for up to ``limit`` claimed refunds whose time has come; returns how many."""
    rows = claims.claim_due(Refund, Refund.next_try_at, at, limit, Refund.status == "claimed", next_try_at=at + LEASE)
    for row in rows:
        send_after_commit(build("refunds.make", refund_id=str(row.id)))
    return len(rows)
