"""Attempts: claim before Stripe is called, attach what it answered, close what is no longer wanted."""

import uuid
from datetime import datetime, timedelta
from typing import Any

from peewee import SQL

from paywindow import logs
from paywindow.checkout import Checkout
from paywindow.messages import build
from paywindow.models import claims
from paywindow.models.database import send_after_commit
from paywindow.models.tables import CheckoutAttempt, PaymentSession

#: How long a claimed attempt is left to the worker that claimed it before a sweep takes it up.
LEASE = timedelta(seconds=45)
_FIRST_BACKOFF = timedelta(seconds=15)
_LONGEST_BACKOFF = timedelta(minutes=15)
# With jitter: attempts that failed together in an outage must not come back together.
_NEXT_TRY = "%s + LEAST(%s * power(2, LEAST(tries, 20)), %s) * (0.75 + random() * 0.5)"


def claim(session: PaymentSession, *, kind: str, params: str, idempotency_key: str, at: datetime) -> CheckoutAttempt:
    """Freeze an attempt: number, parameters, key. From here the call may be repeated, but never changed.

    ``first_called_at`` is set now, a moment early, so that the age of the key is never underestimated.
    """
    attempt: CheckoutAttempt = CheckoutAttempt.create(
        id=uuid.uuid4(),
        session=session,
        number=session.attempt_number,
        kind=kind,
        status="claimed",
        params=params,
        idempotency_key=idempotency_key,
        first_called_at=at,
        next_try_at=at + LEASE,
        created_at=at,
    )
    logs.bind(session_id=session.id, attempt_id=attempt.id)
    return attempt


def claimed(attempt_id: uuid.UUID) -> CheckoutAttempt | None:
    """The attempt, if Stripe's answer is not recorded yet."""
    return _one("WHERE id = %s AND status = 'claimed'", attempt_id)


def claimed_of(session: PaymentSession) -> CheckoutAttempt | None:
    """The session's current attempt, if Stripe's answer is not recorded yet."""
    current = "WHERE session_id = %s AND number = %s AND status = 'claimed'"
    return _one(current, session.id, session.attempt_number)


def of_checkout(checkout_id: str) -> CheckoutAttempt | None:
    """The attempt whose page this is."""
    return _one("WHERE stripe_checkout_id = %s", checkout_id)


def of_payment_intent(payment_intent_id: str) -> CheckoutAttempt | None:
    """The attempt on whose page this PaymentIntent was made, if that is known already."""
    return _one("WHERE stripe_payment_intent_id = %s", payment_intent_id)


def numbered(session_id: uuid.UUID, number: int) -> CheckoutAttempt | None:
    """A session's attempt by number."""
    return _one("WHERE session_id = %s AND number = %s", session_id, number)


def complete_params(attempt: CheckoutAttempt, params: str) -> CheckoutAttempt:
    """Fill in what the parameters still lacked, before the first call; returns the attempt as it stands.

    Of two runs the first one's text stays: from the first call on nothing may change.
    """
    CheckoutAttempt.update(params=params).where(
        CheckoutAttempt.id == attempt.id, CheckoutAttempt.params == attempt.params
    ).execute()
    found: CheckoutAttempt = CheckoutAttempt.get_by_id(attempt.id)
    return found


def attach(attempt: CheckoutAttempt, page: Checkout) -> bool:
    """Record the page that Stripe opened; false when another run already did."""
    changed: int = (
        CheckoutAttempt.update(
            status="open",
            stripe_checkout_id=page.id,
            url=page.url,
            page_expires_at=page.expires_at,
            next_try_at=None,
            last_error=None,
        )
        .where(CheckoutAttempt.id == attempt.id, CheckoutAttempt.status == "claimed")
        .execute()
    )
    return changed == 1


def refuse(attempt: CheckoutAttempt, error: str, at: datetime) -> bool:
    """Record that Stripe will never open this page; false when another run recorded something else."""
    changed: int = (
        CheckoutAttempt.update(status="refused", last_error=error, next_try_at=None, closed_at=at)
        .where(CheckoutAttempt.id == attempt.id, CheckoutAttempt.status == "claimed")
        .execute()
    )
    return changed == 1


def postpone(attempt: CheckoutAttempt, error: str, at: datetime) -> None:
    """Stripe could not be asked, or its answer is unknown: the sweep tries again, each time after about twice the wait."""
    CheckoutAttempt.update(
        tries=CheckoutAttempt.tries + 1,
        last_error=error,
        next_try_at=SQL(_NEXT_TRY, (at, _FIRST_BACKOFF, _LONGEST_BACKOFF)),
    ).where(CheckoutAttempt.id == attempt.id, CheckoutAttempt.status == "claimed").execute()


def know_payment_intent(attempt: CheckoutAttempt, payment_intent_id: str) -> None:
    """Remember which PaymentIntent was made on the attempt's page, as Stripe's own Checkout Session says."""
    CheckoutAttempt.change(attempt.id, stripe_payment_intent_id=payment_intent_id)


def complete(attempt: CheckoutAttempt, at: datetime) -> bool:
    """The buyer submitted on this page: it cannot be used again. False when that was known already."""
    changed: int = (
        CheckoutAttempt.update(status="complete", closed_at=at)
        .where(CheckoutAttempt.id == attempt.id, CheckoutAttempt.status != "complete")
        .execute()
    )
    return changed == 1


def close(attempt: CheckoutAttempt, at: datetime) -> bool:
    """The page expired at Stripe, unpaid; false when that was known."""
    changed: int = (
        CheckoutAttempt.update(status="closed", closed_at=at)
        .where(CheckoutAttempt.id == attempt.id, CheckoutAttempt.status == "open")
        .execute()
    )
    return changed == 1


def count_due(at: datetime, limit: int) -> int:
    """How many claimed attempts are due, counted up to ``limit``."""
    due: int = (
        CheckoutAttempt.select(CheckoutAttempt.id)
        .where(CheckoutAttempt.status == "claimed", CheckoutAttempt.next_try_at <= at)
        .limit(limit)
        .count()
    )
    return due


def claim_due(at: datetime, limit: int) -> int:
    """Send ``checkout.open`` for up to ``limit`` claimed attempts whose time has come; returns how many."""
    rows = claims.claim_due(
        CheckoutAttempt,
        CheckoutAttempt.next_try_at,
        at,
        limit,
        CheckoutAttempt.status == "claimed",
        next_try_at=at + LEASE,
    )
    for row in rows:
        send_after_commit(build("checkout.open", attempt_id=str(row.id)))
    return len(rows)


def _one(clause: str, *values: Any) -> CheckoutAttempt | None:
    found = CheckoutAttempt.read_one(clause, *values)
    if found is not None:
        logs.bind(session_id=found.session_id, attempt_id=found.id)
    return found
