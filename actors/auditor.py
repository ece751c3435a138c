"""The auditor: one pass over an installation, at work or at rest, that says what is wrong and changes nothing.

``paywindow doctor --audit`` prints what it finds. What must hold is named in :mod:`paywindow.invariants`. The rows of
Postgres are gone through by the rules of :mod:`paywindow.models.invariants`, Redis by :mod:`paywindow.actors.audit_redis`; the
books are compared with Stripe by the reconciliation (:mod:`paywindow.actors.reconcile`), which only looks and keeps its notes.

It may run beside live traffic: what is only on its way is no violation. *At rest* (nothing is sold, the queues have run
empty) more is asked: nothing may be unfinished at all, a session that waits for its buyer excepted.
"""

import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta

from paywindow import clock
from paywindow.actors import audit_redis, reconcile
from paywindow.actors.runtime import runtime
from paywindow.discrepancies import DISCREPANCIES
from paywindow.invariants import INVARIANTS, Tally, Violation
from paywindow.models import receipt_audit, reconciliations
from paywindow.models.database import transaction
from paywindow.models.invariants import money, papers, payments, sellers, work
from paywindow.models.invariants.rules import Moment, go_through
from paywindow.models.tables import Reconciliation
from paywindow.receipts.verify import problem_with

SCANS = (*payments.SCANS, *money.SCANS, *work.SCANS, *papers.SCANS)
#: Told how far a part has come: its name, how much of it is done, and of how much in all (``None``: nobody knows).
Progress = Callable[[str, int, int | None], None]


@dataclass(slots=True)
class Audit:
    """What was found: a tally for each invariant, in the order of :data:`paywindow.invariants.INVARIANTS`."""

    tallies: dict[str, Tally] = field(default_factory=lambda: {name: Tally(name) for name in INVARIANTS})

    @property
    def violations(self) -> list[Violation]:
        """All that are kept, by invariant."""
        return [found for tally in self.tallies.values() for found in tally.violations]

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not any(tally.violated for tally in self.tallies.values())


def audit(
    *,
    at_rest: bool = False,
    progress: Progress = lambda *_: None,
    compare: Callable[[uuid.UUID], bool] = reconcile.step,
) -> Audit:
    """Look at everything, with the process's :func:`~paywindow.actors.runtime.runtime`.

    ``compare`` makes a step of the comparison with Stripe; one that waits its turn, where others use Stripe as well. Raises
    :class:`~paywindow.errors.StripeUnavailable` or :class:`~paywindow.errors.StripeRefused` when they cannot be, and
    :class:`~paywindow.receipts.storage.StorageUnavailable` when files cannot be read.
    """
    found = Audit()
    moment = Moment(clock.now(), at_rest, told=bool(runtime().sinks))
    for scan in SCANS:
        _follow(scan.table, scan.count(), go_through(scan, moment, found.tallies), progress)
    _follow("sellers' shares", sellers.count(), sellers.go_through(found.tallies["share_followed"]), progress)
    _number(found)
    _follow("receipts' files", receipt_audit.count(), _files(found.tallies["receipt_stored"]), progress)
    for part, steps in audit_redis.PARTS.items():
        _follow(part, None, steps(moment, found.tallies), progress)
    _follow("Stripe", None, _compare(moment, found.tallies["books_equal_stripe"], compare), progress)
    return found


def _follow(part: str, whole: int | None, steps: Iterable[int], progress: Progress) -> None:
    done = 0
    progress(part, 0, whole)
    for step in steps:
        done += step
        progress(part, done, whole)
    progress(part, done, done)


def _number(found: Audit) -> None:
    """Numbers without gaps, and a receipt for each settlement."""
    for each in receipt_audit.series():
        wrong = [(finding.about, finding.problem) for finding in each.findings()]
        found.tallies["receipts_gapless"].add(each.count, wrong)
    lost, _ = receipt_audit.settled_without_receipt()
    found.tallies["receipt_issued"].add(0, [(finding.about, finding.problem) for finding in lost])


def _files(tally: Tally) -> Iterator[int]:
    """Read every stored file."""
    store = runtime().receipts
    for page in receipt_audit.documents():
        for row in page:
            if row.storage_key is not None and row.sha256 is not None:
                problem = problem_with(store, row.storage_key, row.sha256)
                tally.add(0, [] if problem is None else [(row.receipt_number, problem)])
        yield len(page)


def _compare(moment: Moment, tally: Tally, compare: Callable[[uuid.UUID], bool]) -> Iterator[int]:
    """Compare the books with Stripe; at work, what is younger than two minutes is left out, as always."""
    end = moment.now + timedelta(seconds=1) if moment.at_rest else moment.now - reconciliations.SETTLING
    since = end - reconciliations.LOOK_BACK
    with transaction():
        run = reconciliations.start(
            "system:audit", runtime().gateway.livemode, since, end, reconcile.FIRST_STAGE, moment.now, repairs=False
        )
    while compare(run.id):
        yield 1
    with transaction():
        compared = Reconciliation.get_by_id(run.id).compared
        rows = reconciliations.findings(run)
    told = [
        (row.subject, f"{row.code}: {DISCREPANCIES[row.code].meaning} Here: {row.ours}. At Stripe: {row.theirs}.")
        for row in rows
        if row.outcome != "held"
    ]
    tally.add(compared, told)
