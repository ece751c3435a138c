"""Comparing the books with Stripe, a page at a time.

``sweeps.reconciliation`` (scheduler) goes on with the daily comparison, as many steps as the sweeps' share of calls allows;
``paywindow reconcile`` makes one of its own, by the same steps. First Stripe's lists are compared with the rows
here, then what the books have beyond these is looked for at Stripe, one by one. What still disagrees when it is read again is
a finding (:mod:`paywindow.discrepancies`). Where the money rules decide, it is made good by the handler of the event that
should have told of it, or by expiring a page (``POST /v1/checkout/sessions/{id}/expire``, idempotent by itself).

Where a comparison has come to is kept in its row, so that it survives any death; a second run of a step finds what was
mended in order, and the position moved.
"""

import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from types import ModuleType
from typing import Any

from peewee import InterfaceError, OperationalError

from paywindow import clock, metrics
from paywindow.actors import (
    compare_disputes,
    compare_pages,
    compare_payments,
    compare_refunds,
    compare_transfers,
)
from paywindow.actors.comparing import Evidence, Suspicion, is_held
from paywindow.actors.event_walk import wanted
from paywindow.actors.registry import actor
from paywindow.actors.runtime import runtime
from paywindow.checkout import moment
from paywindow.discrepancies import DISCREPANCIES, OUTCOMES
from paywindow.errors import StripeUnavailable, Transient
from paywindow.messages import build
from paywindow.models import event_walks, inbox, reconciliations
from paywindow.models.database import send_after_commit, transaction
from paywindow.models.tables import Reconciliation

logger = logging.getLogger(__name__)

#: Steps that one run of the sweep makes at most; each reads a page, or looks for some rows.
STEPS = 10
#: Rows that are looked for at Stripe in one step.
LOOKED_FOR = 25


@dataclass(frozen=True, slots=True)
class Step:
    """What one step did: where the stage goes on (``after``; ``None``: it is finished), and what it met."""

    after: str | None
    reached_at: datetime | None
    compared: int
    seen: tuple[str, ...] = ()


@actor("sweeps.reconciliation")
def reconcile() -> None:
    """Go on with the daily comparison, or begin it when a day has passed."""
    livemode = runtime().gateway.livemode
    with transaction():
        run = reconciliations.due(livemode, FIRST_DAILY_STAGE, clock.now())
        _show(livemode)
    if run is None:
        return
    steps = 0
    while steps < STEPS and runtime().budget.claim_for_sweep(1):
        steps += 1
        try:
            if not step(run.id):
                return
        except StripeUnavailable as error:
            logger.warning("the comparison with Stripe is left for later: %s", error)
            return
    if steps:
        with transaction():
            send_after_commit(build("sweeps.reconciliation"))


def step(run_id: uuid.UUID) -> bool:
    """Make the next step; false when there is none, or another process is making them.

    Raises :class:`~paywindow.errors.StripeUnavailable` when Stripe does not answer: the step is to be made again.
    """
    with transaction():
        run = Reconciliation.get_by_id(run_id)
    if run.finished_at is not None:
        return False
    done = STAGES[run.stage](run)
    names = list(STAGES)
    following = names[names.index(run.stage) + 1 :]
    stage = run.stage if done.after is not None else (following[0] if following else None)
    with transaction():
        moved = reconciliations.advance(run, stage, done.after, done.reached_at, done.compared, done.seen, clock.now())
        if moved and stage is None and run.who == reconciliations.SCHEDULE:
            _show(run.livemode)
    return moved and stage is not None


def _show(livemode: bool) -> None:
    """Tell the metrics what the last daily comparison found."""
    last = reconciliations.last_finished(livemode)
    if last is None:
        return
    counts = reconciliations.counts(last)
    for code in DISCREPANCIES:
        for outcome in OUTCOMES:
            metrics.RECONCILIATION_DRIFT.labels(code, outcome).set(counts.get((code, outcome), 0))
    metrics.RECONCILIATION_FINISHED.set(last.finished_at.timestamp())


def _events(run: Reconciliation) -> Step:
    """Events that Stripe lists and the inbox lacks. The daily comparison leaves that to ``sweeps.stripe_events``."""
    since = max(run.since, clock.now() - event_walks.REACH)
    if since >= run.until:
        return Step(None, None, 0)
    events, more = runtime().gateway.list_page("event", since, run.until, run.after)
    with transaction():
        missing = inbox.missing(wanted(events))
        for event in missing:
            subject = event["data"]["object"]
            told = Suspicion(
                "event_never_received",
                event["id"],
                None,
                "not in the inbox",
                f"{event['type']} about {subject.get('id')}, {moment(event['created']):%Y-%m-%d %H:%M:%S} UTC",
            )
            _record(run, told, "repaired" if run.repairs else "repairable")
        if run.repairs:
            inbox.adopt(missing, clock.now())
    return _listed(events, more)


def _inbox(run: Reconciliation) -> Step:
    """Events that were set aside, and the stretch of time that was not read before Stripe forgot it."""
    with transaction():
        walk = event_walks.current(run.livemode) if run.after is None else None
        if walk is not None and walk.lost_until is not None and walk.lost_until > run.since:
            lost = f"{walk.lost_since:%Y-%m-%d %H:%M} to {walk.lost_until:%Y-%m-%d %H:%M} UTC"
            _record(run, Suspicion("events_out_of_reach", lost, None, "not read", "no longer listed"), "left")
        rows = reconciliations.parked(run, LOOKED_FOR)
        for row in rows:
            what = f"set aside after {row.tries} tries: {row.last_error}"
            _record(run, Suspicion("event_parked", row.id, None, what, row.type), "left")
    return Step(rows[-1].id if len(rows) == LOOKED_FOR else None, None, len(rows))


def _theirs(comparison: Any) -> Callable[[Reconciliation], Step]:
    """The stage that goes through one of Stripe's lists."""

    def stage(run: Reconciliation) -> Step:
        found, more = runtime().gateway.list_page(comparison.KIND, run.since, run.until, run.after)
        with transaction():
            suspects = comparison.judge([Evidence(each) for each in found])
        for suspect in {evidence.found["id"]: evidence.found for evidence, _ in suspects}.values():
            fresh = comparison.again(suspect)
            if fresh is not None:
                _find(run, comparison, fresh)
        listed = _listed(found, more)
        return Step(listed.after, listed.reached_at, listed.compared, tuple(map(comparison.key, found)))

    return stage


def _ours(comparison: Any, unseen: Callable[[Reconciliation, int], list[Any]]) -> Callable[[Reconciliation], Step]:
    """The stage that looks at Stripe for what no list has shown."""

    def stage(run: Reconciliation) -> Step:
        with transaction():
            rows = [comparison.ours(row) for row in unseen(run, LOOKED_FOR)]
        for row in rows:
            fresh = comparison.one(row)
            if fresh is None:
                _attend(run, comparison, None, comparison.missing(row))
            else:
                _find(run, comparison, fresh)
        return Step(rows[-1].position if len(rows) == LOOKED_FOR else None, None, len(rows))

    return stage


def _listed(found: list[dict[str, Any]], more: bool) -> Step:
    if not found:
        return Step(None, None, 0)
    return Step(found[-1]["id"] if more else None, moment(found[-1]["created"]), len(found))


def _find(run: Reconciliation, comparison: ModuleType, evidence: Evidence) -> None:
    """Judge what was just read again; what still disagrees is attended to."""
    with transaction():
        suspicions = [suspicion for _, suspicion in comparison.judge([evidence])]
    for suspicion in suspicions:
        _attend(run, comparison, evidence, suspicion)


def _attend(run: Reconciliation, comparison: ModuleType, evidence: Evidence | None, suspicion: Suspicion) -> None:
    """Record a finding and mend it, if it may be and can be."""
    was_held = is_held(suspicion.session_id)
    undecided = "held" if was_held else "left"
    with transaction():
        _record(run, suspicion, undecided if suspicion.mend is None else "repairable")
    if suspicion.mend is None or evidence is None or not run.repairs:
        return
    note = None
    try:
        suspicion.mend(run.who)
    except (Transient, OperationalError, InterfaceError):
        raise  # the step is made again
    except Exception as error:
        # Not swallowed: it is in the finding, which is left to an operator; the comparison goes on.
        note = f"{type(error).__name__}: {error}"
        logger.exception("%s of %s could not be mended", suspicion.code, suspicion.subject)
    after = comparison.again(evidence.found)
    with transaction():
        remaining = {found.code: found for _, found in comparison.judge([after] if after else [])}
    held = is_held(suspicion.session_id)
    undecided = "held" if held else "left"
    with transaction():
        # A payment that could be recorded and not settled has put its session on hold, and that is what was to be done.
        mended = "held" if held and not was_held else "repaired"
        _record(run, suspicion, undecided if suspicion.code in remaining else mended, note)
        for code, found in remaining.items():
            if code != suspicion.code and found.mend is None:
                _record(run, found, undecided)


def _record(run: Reconciliation, suspicion: Suspicion, outcome: str, note: str | None = None) -> None:
    reconciliations.record(
        run,
        outcome,
        note,
        clock.now(),
        code=suspicion.code,
        subject=suspicion.subject,
        session_id=suspicion.session_id,
        ours=suspicion.ours,
        theirs=suspicion.theirs,
    )


#: In the order in which they are gone through: payments before what hangs on them.
STAGES: dict[str, Callable[[Reconciliation], Step]] = {
    "events": _events,
    "inbox": _inbox,
    "payments": _theirs(compare_payments),
    "pages": _theirs(compare_pages),
    "refunds": _theirs(compare_refunds),
    "disputes": _theirs(compare_disputes),
    "transfers": _theirs(compare_transfers),
    "booked payments": _ours(compare_payments, reconciliations.unseen_payments),
    "booked pages": _ours(compare_pages, reconciliations.unseen_pages),
    "booked refunds": _ours(compare_refunds, reconciliations.unseen_refunds),
    "booked disputes": _ours(compare_disputes, reconciliations.unseen_disputes),
    "booked transfers": _ours(compare_transfers, reconciliations.unseen_transfers),
}
FIRST_STAGE = "events"
FIRST_DAILY_STAGE = "inbox"
