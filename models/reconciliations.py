"""Comparisons of the books with Stripe: their course, what they have seen, and what they found."""

import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from peewee import fn

from paywindow.checkout import named_in
from paywindow.models.database import database
from paywindow.models.tables import (
    CheckoutAttempt,
    Dispute,
    PaymentSession,
    Reconciliation,
    ReconciliationFinding,
    ReconciliationSeen,
    Refund,
    SellerMovement,
    StripeEvent,
    Transaction,
)

#: Who compares when nobody asked.
SCHEDULE = "system:sweeps.reconciliation"
EVERY = timedelta(days=1)
#: A refund may fail, and an event be read, up to 30 days later; one day on top.
LOOK_BACK = timedelta(days=31)
#: What is younger is still on its way, and is left for the next comparison.
SETTLING = timedelta(minutes=2)
#: How long comparisons are kept.
KEPT = timedelta(days=90)
#: Sessions may have been created this much before what Stripe says: clocks differ.
_MARGIN = timedelta(hours=1)


def start(
    who: str, livemode: bool, since: datetime, until: datetime, stage: str, at: datetime, *, repairs: bool
) -> Reconciliation:
    """Begin a comparison of what was created in [``since``, ``until``)."""
    Reconciliation.delete().where(Reconciliation.started_at < at - KEPT).execute()
    left = Reconciliation.select(Reconciliation.id).where(Reconciliation.started_at < at - EVERY)
    ReconciliationSeen.delete().where(ReconciliationSeen.reconciliation.in_(left)).execute()
    run: Reconciliation = Reconciliation.create(
        id=uuid.uuid4(),
        who=who,
        livemode=livemode,
        repairs=repairs,
        since=since,
        until=until,
        stage=stage,
        started_at=at,
    )
    return run


def due(livemode: bool, stage: str, at: datetime) -> Reconciliation | None:
    """The daily comparison to go on with, begun now if it is time; ``None`` if the last one is done, or nothing was sold."""
    # One at a time may ask: two schedules would otherwise begin a comparison each.
    database.execute_sql("SELECT pg_advisory_xact_lock(hashtext('reconciliations'))")
    last = _last(livemode, Reconciliation.id.is_null(False))
    if last is not None and last.finished_at is None:
        return last
    if last is not None and at < last.started_at + EVERY:
        return None
    first = PaymentSession.select(fn.MIN(PaymentSession.created_at)).scalar()
    until = at - SETTLING
    if first is None or first - _MARGIN >= until:
        return None
    return start(SCHEDULE, livemode, max(at - LOOK_BACK, first - _MARGIN), until, stage, at, repairs=True)


def last_finished(livemode: bool) -> Reconciliation | None:
    """The daily comparison that was finished last."""
    return _last(livemode, Reconciliation.finished_at.is_null(False))


def _last(livemode: bool, condition: Any) -> Reconciliation | None:
    found: Reconciliation | None = (
        Reconciliation.select()
        .where(Reconciliation.who == SCHEDULE, Reconciliation.livemode == livemode, condition)
        .order_by(Reconciliation.started_at.desc())
        .first()
    )
    return found


def advance(
    run: Reconciliation,
    stage: str | None,
    after: str | None,
    reached_at: datetime | None,
    compared: int,
    seen: Iterable[str],
    at: datetime,
) -> bool:
    """Record how far the comparison has come; ``stage`` ``None``: to its end. False when another run was faster."""
    finished = {"finished_at": at} if stage is None else {"stage": stage}
    changed: int = (
        Reconciliation.update(
            after=after,
            reached_at=reached_at,
            compared=Reconciliation.compared + compared,
            steps=Reconciliation.steps + 1,
            **finished,
        )
        .where(Reconciliation.id == run.id, Reconciliation.steps == run.steps)
        .execute()
    )
    if not changed:
        return False
    if stage is None:
        ReconciliationSeen.delete().where(ReconciliationSeen.reconciliation == run.id).execute()
        return True
    rows = [{"reconciliation": run.id, "stripe_id": stripe_id} for stripe_id in sorted(set(seen))]
    if rows:
        ReconciliationSeen.insert_many(rows).on_conflict_ignore().execute()
    return True


def record(run: Reconciliation, outcome: str, note: str | None, at: datetime, **finding: Any) -> None:
    """Write a finding down, or what became of it."""
    ReconciliationFinding.insert(reconciliation=run.id, outcome=outcome, note=note, found_at=at, **finding).on_conflict(
        conflict_target=[
            ReconciliationFinding.reconciliation,
            ReconciliationFinding.code,
            ReconciliationFinding.subject,
        ],
        update={ReconciliationFinding.outcome: outcome, ReconciliationFinding.note: note},
    ).execute()


def findings(run: Reconciliation, limit: int | None = None) -> list[ReconciliationFinding]:
    """What was found, by code and in the order in which it was found."""
    query = (
        ReconciliationFinding.select()
        .where(ReconciliationFinding.reconciliation == run.id)
        .order_by(ReconciliationFinding.code, ReconciliationFinding.found_at, ReconciliationFinding.subject)
    )
    return list(query.limit(limit))


def counts(run: Reconciliation) -> dict[tuple[str, str], int]:
    """How many findings there are of each code and outcome."""
    kind = (ReconciliationFinding.code, ReconciliationFinding.outcome)
    rows: Any = (
        ReconciliationFinding.select(*kind, fn.COUNT(ReconciliationFinding.subject))
        .where(ReconciliationFinding.reconciliation == run.id)
        .group_by(*kind)
        .tuples()
    )
    return {(code, outcome): count for code, outcome, count in rows}


def named_session(found: dict[str, Any]) -> uuid.UUID | None:
    """The payment session that an object of Stripe's names in its metadata, if it names one at all."""
    try:
        return uuid.UUID(named_in(found)[0] or "")
    except ValueError:
        return None


def unseen_payments(run: Reconciliation, limit: int) -> list[Transaction]:
    """Payments of the books that no list of Stripe's has shown, from where the comparison has come to."""
    query = (
        Transaction.select()
        .join(PaymentSession)
        .where(Transaction.status != "failed", *_of_run(Transaction.processed_at, run))
    )
    return _unseen(query, Transaction, Transaction.stripe_payment_intent_id, run, limit)


def unseen_pages(run: Reconciliation, limit: int) -> list[CheckoutAttempt]:
    """The same of pages."""
    query = (
        CheckoutAttempt.select()
        .join(PaymentSession)
        .where(CheckoutAttempt.stripe_checkout_id.is_null(False), *_of_run(CheckoutAttempt.created_at, run))
    )
    return _unseen(query, CheckoutAttempt, CheckoutAttempt.stripe_checkout_id, run, limit)


def unseen_refunds(run: Reconciliation, limit: int) -> list[Refund]:
    """The same of refunds; one that was not sent to Stripe yet has no id, and is not meant."""
    query = (
        Refund.select(Refund, Transaction)
        .join(Transaction)
        .join(PaymentSession)
        .where(Refund.stripe_refund_id.is_null(False), *_of_run(Refund.created_at, run))
    )
    return _unseen(query, Refund, Refund.stripe_refund_id, run, limit)


def unseen_disputes(run: Reconciliation, limit: int) -> list[Dispute]:
    """The same of disputes."""
    query = (
        Dispute.select(Dispute, Transaction)
        .join(Transaction)
        .join(PaymentSession)
        .where(*_of_run(Dispute.opened_at, run))
    )
    return _unseen(query, Dispute, Dispute.stripe_dispute_id, run, limit)


def unseen_transfers(run: Reconciliation, limit: int) -> list[SellerMovement]:
    """The same of what was sent to sellers."""
    query = (
        SellerMovement.select(SellerMovement, Transaction)
        .join(Transaction)
        .join(PaymentSession)
        .where(
            SellerMovement.kind == "transfer",
            SellerMovement.status == "done",
            *_of_run(SellerMovement.created_at, run),
        )
    )
    return _unseen(query, SellerMovement, SellerMovement.stripe_transfer_id, run, limit)


def _of_run(column: Any, run: Reconciliation) -> tuple[Any, Any, Any]:
    """What belongs to the comparison: its time, and its mode. Test data stays in the books when the key becomes a live one."""
    return PaymentSession.livemode == run.livemode, *_in_time(column, run)


def _in_time(column: Any, run: Reconciliation) -> tuple[Any, Any]:
    return column >= run.since, column < run.until


def _unseen(query: Any, table: Any, stripe_id: Any, run: Reconciliation, limit: int) -> list[Any]:
    seen = ReconciliationSeen.select().where(
        ReconciliationSeen.reconciliation == run.id, ReconciliationSeen.stripe_id == stripe_id
    )
    query = query.where(~fn.EXISTS(seen))
    if run.after is not None:
        query = query.where(table.id > uuid.UUID(run.after))
    return list(query.order_by(table.id).limit(limit))


def parked(run: Reconciliation, limit: int) -> list[StripeEvent]:
    """Events that could not be handled, oldest first by id, from where the comparison has come to."""
    query = StripeEvent.select().where(
        StripeEvent.parked_at.is_null(False),
        StripeEvent.livemode == run.livemode,
        *_in_time(StripeEvent.stripe_created_at, run),
    )
    if run.after is not None:
        query = query.where(StripeEvent.id > run.after)
    return list(query.order_by(StripeEvent.id).limit(limit))
