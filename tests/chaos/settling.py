"""After the storm: everything answers again, and time passes until nothing is left to do.

Nobody is helped: the same workers, sweeps and scheduler as ever find what was left lying, and operators run again what was
given up for good, when nothing else is left. Only time is sped up. Business
time jumps to the next moment at which something is due whenever nothing else is going on, and the scheduler's ticks,
which Redis counts by real time, come as soon as it looks again. Events that were dropped stay dropped: the walk along Stripe's
list and the daily comparison have to find out.
"""

import time
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from chaos.crowd import Crowd
from chaos.ground import Ground

from paywindow.dead_letters import DeadLetters
from paywindow.messages import Queue

#: What is not over, when it is due (null: when somebody else has done something), and the sweep that finds it. The share of a
#: seller who cannot have it yet counts as over until it is to be looked at again.
_UNFINISHED = """
SELECT 'follow-up ' || actor AS what, next_send_at AS due, 'outbox' AS sweep FROM outbox
UNION ALL SELECT 'event ' || type || ': ' || coalesce(last_error, ''), next_try_at, 'inbox' FROM stripe_events
    WHERE handled_at IS NULL AND parked_at IS NULL
UNION ALL SELECT 'operation ' || kind, next_try_at, 'operations' FROM operations WHERE outcome IS NULL
UNION ALL SELECT 'attempt: ' || coalesce(last_error, ''), next_try_at, 'attempts' FROM checkout_attempts
    WHERE status = 'claimed'
UNION ALL SELECT 'refund: ' || coalesce(last_error, ''), next_try_at, 'refunds' FROM refunds WHERE status = 'claimed'
UNION ALL SELECT 'pending refund', NULL, NULL FROM refunds WHERE status IN ('pending', 'requires_action')
UNION ALL SELECT 'window of a session that is ' || status, due_at, 'windows' FROM payment_sessions
    WHERE status IN ('pending', 'processing', 'failed') AND hold_reason IS NULL AND released_at IS NULL
UNION ALL SELECT 'delivery: ' || coalesce(last_error, ''), next_try_at, 'notifications' FROM notification_deliveries
    WHERE next_try_at IS NOT NULL
UNION ALL SELECT 'figures of a payment', figures_due_at, 'sellers' FROM transactions WHERE figures_due_at IS NOT NULL
UNION ALL SELECT 'share of a seller', share_due_at, 'sellers' FROM transactions
    JOIN payment_sessions AS s ON s.id = session_id LEFT JOIN connected_accounts AS a ON a.maker_id = s.maker_id
    WHERE share_due_at IS NOT NULL AND (a.transfers_capability = 'active' OR share_due_at <= %s)
UNION ALL SELECT 'file of a receipt', NULL, NULL FROM receipts WHERE stored_at IS NULL
"""
_WALKED = "SELECT max(walked_until) AS until FROM event_walks"
_COMPARED = "SELECT count(*) AS n FROM reconciliations WHERE finished_at IS NOT NULL AND started_at >= %s"
_LOOK_SECONDS = 0.08
#: How long real time may pass without anything having changed, longer than any wait of ours that is real.
_PATIENCE_SECONDS = 120.0
#: How long settling may take although something changes all the time; many times what any run has needed.
_LONGEST_SECONDS = 600.0
#: The first looks leave prompt work its time; then what is due is hurried along.
_QUIET_LOOKS = 3
_A_LITTLE = timedelta(seconds=5)
#: Nothing may fall due while the auditor looks.
_AUDIT_TAKES = timedelta(minutes=1)
#: Longer than events are left to come as webhooks, before Stripe's list is read for them.
_A_WHILE = timedelta(seconds=65)


class NeverSettles(Exception):
    """Something is still to be done, and nobody does it."""


@dataclass(frozen=True, slots=True)
class Left:
    """Something that is not over: when it is due, if time alone brings it, and the sweep that attends to it then."""

    what: str
    due: datetime | None = None
    sweep: str | None = None


class Settling:
    """Lets one run come to its end."""

    def __init__(self, ground: Ground, crowd: Crowd) -> None:
        self._ground = ground
        self._crowd = crowd
        self._quiet = 0
        #: Dead letters that operators had run again.
        self.run_again: set[str] = set()
        self._seen: Any = None
        self._began = self._changed = time.monotonic()
        #: How often each thing was seen to be left, for the complaint.
        self._looks: Counter[str] = Counter()

    def settle(self) -> None:
        """Until everything is over, Stripe's list was read to its end, and a daily comparison has come to nothing more.

        Raises :class:`NeverSettles` with what is left.
        """
        self._until_nothing_is_left()
        self._operators_look()
        self._until_nothing_is_left()
        self._ground.clock.jump(timedelta(days=1, minutes=3))
        began = self._ground.clock.now() - timedelta(minutes=1)
        while not self._ground.books.value(_COMPARED, began):
            self._look([Left("the daily comparison", sweep="reconciliation")])
        self._until_nothing_is_left()
        self._hold_still()

    def _hold_still(self) -> None:
        """Stop the scheduler, so that nothing begins while the auditor looks; some sweep is always about to."""
        self._ground.shop.freeze("scheduler")
        while (queued := self._queued(*Queue)) or self._left():
            self._complain([Left(f"{queued} messages in Redis")])
            if not queued:
                self._ground.shop.thaw("scheduler")
                self._until_nothing_is_left()
                self._ground.shop.freeze("scheduler")
            time.sleep(_LOOK_SECONDS)

    def _until_nothing_is_left(self) -> None:
        while left := self._left():
            self._look(left)

    def _look(self, left: list[Left]) -> None:
        """Wait a moment; if nothing is going on, let time pass."""
        self._complain(left)
        busy = self._crowd.busy() or self._queued()
        self._quiet = 0 if busy else self._quiet + 1
        if self._quiet >= _QUIET_LOOKS:
            self._quiet = 0
            self._let_time_pass(left)
        time.sleep(_LOOK_SECONDS)

    def _let_time_pass(self, left: list[Left]) -> None:
        if any(each.due is None for each in left):
            self._ground.finish_at_stripe()
        if all(each.due is None for each in left):
            self._operators_look()
        due = [each.due for each in left if each.due is not None]
        ahead = max(min(due) - self._ground.clock.now(), timedelta()) + _A_LITTLE if due else _A_WHILE
        self._ground.clock.jump(ahead)
        self._tick({each.sweep for each in left if each.sweep is not None})

    def _operators_look(self) -> None:
        """Nothing more happens by itself: what was given up is run again, once, as the runbook says."""
        letters = DeadLetters(self._ground.queues)
        for letter in list(letters.all()):
            if letter.id not in self.run_again:
                self.run_again.add(letter.id)
                letters.run_again(letter)

    def _left(self) -> list[Left]:
        soon = self._ground.clock.now() + _AUDIT_TAKES
        left = [Left(**row) for row in self._ground.books.rows(_UNFINISHED, soon)]
        left += [Left(name) for name in self._crowd.unfinished()]
        if not left and self._queued():
            left = [Left("messages in Redis")]
        if not left and not self._walked():
            left = [Left("Stripe's list of events is not read to its end", sweep="stripe_events")]
        return left

    def _walked(self) -> bool:
        newest = self._ground.events(limit=1)
        walked = self._ground.books.value(_WALKED)
        return not newest or (walked is not None and walked.timestamp() > newest[0]["created"])

    def _queued(self, *queues: Queue) -> int:
        """How many messages wait, are delayed, or are being worked on, also by workers that are dead.

        Not counted: sweeps, unless asked for, of which there is always one; and what was given up.
        """
        pipeline = self._ground.queues.pipeline(transaction=False)
        for queue in queues or set(Queue) - {Queue.SWEEPS}:
            for kind in ("", ".DQ"):
                pipeline.hlen(f"dramatiq:{queue.value}{kind}.msgs")
        return sum(pipeline.execute())

    def _tick(self, sweeps: set[str]) -> None:
        """The next tick of these sweeps, and of the walk along Stripe's list, is now."""
        self._ground.queues.delete(*(f"pw:tick:sweeps.{name}" for name in sweeps | {"stripe_events"}))

    def _complain(self, left: list[Left]) -> None:
        state = sorted(each.what for each in left)
        self._looks.update(set(state))
        if time.monotonic() - self._began > _LONGEST_SECONDS:
            raise NeverSettles(f"there is always something left: {self._looks.most_common(15)}; now {state[:10]}")
        if state != self._seen:
            self._seen, self._changed = state, time.monotonic()
        elif time.monotonic() - self._changed > _PATIENCE_SECONDS:
            raise NeverSettles("; ".join(f"{each.what}, due {each.due}" for each in left[:10]))
