"""After the storm: everything answers again, and time passes until nothing is left to do.

Nobody is helped: the same workers, sweeps and scheduler as ever find what was left lying. Only time is sped up. Business
time jumps to the next moment at which something is due whenever nothing else is going on, and the scheduler's ticks,
which Redis counts by real time, come as soon as it looks again. Events that were dropped stay dropped: the walk along Stripe's
list and the daily comparison have to find out.
"""

import time
from datetime import datetime, timedelta
from typing import Any

from chaos.crowd import Crowd
from chaos.ground import Ground

#: What is not over, and when it is due (null: when somebody else has done something).
_UNFINISHED = """
SELECT 'follow-up ' || actor AS what, next_send_at AS due FROM outbox
UNION ALL SELECT 'event ' || type || ': ' || coalesce(last_error, ''), next_try_at FROM stripe_events
    WHERE handled_at IS NULL AND parked_at IS NULL
UNION ALL SELECT 'operation ' || kind, next_try_at FROM operations WHERE outcome IS NULL
UNION ALL SELECT 'attempt: ' || coalesce(last_error, ''), next_try_at FROM checkout_attempts WHERE status = 'claimed'
UNION ALL SELECT 'refund: ' || coalesce(last_error, ''), next_try_at FROM refunds WHERE status = 'claimed'
UNION ALL SELECT 'pending refund', NULL FROM refunds WHERE status IN ('pending', 'requires_action')
UNION ALL SELECT 'window of a session that is ' || status, due_at FROM payment_sessions
    WHERE status IN ('pending', 'processing', 'failed') AND hold_reason IS NULL AND released_at IS NULL
UNION ALL SELECT 'delivery: ' || coalesce(last_error, ''), next_try_at FROM notification_deliveries
    WHERE next_try_at IS NOT NULL
UNION ALL SELECT 'figures of a payment', figures_due_at FROM transactions WHERE figures_due_at IS NOT NULL
UNION ALL SELECT 'share of a seller', share_due_at FROM transactions JOIN payment_sessions AS s ON s.id = session_id
    JOIN connected_accounts AS a ON a.maker_id = s.maker_id
    WHERE share_due_at IS NOT NULL AND a.transfers_capability = 'active'
UNION ALL SELECT 'file of a receipt', NULL FROM receipts WHERE stored_at IS NULL
"""
_WALKED = "SELECT max(walked_until) AS until FROM event_walks"
_COMPARED = "SELECT count(*) AS n FROM reconciliations WHERE finished_at IS NOT NULL AND started_at >= %s"
_LOOK_SECONDS = 0.05
#: How long real time may pass without anything having changed, longer than any wait of ours that is real.
_PATIENCE_SECONDS = 120.0
#: The first looks leave prompt work its time; then what is due is hurried along.
_QUIET_LOOKS = 3
_A_LITTLE = timedelta(seconds=5)
#: Longer than events are left to come as webhooks, before Stripe's list is read for them.
_A_WHILE = timedelta(seconds=65)


class NeverSettles(Exception):
    """Something is still to be done, and nobody does it."""


class Settling:
    """Lets one run come to its end."""

    def __init__(self, ground: Ground, crowd: Crowd) -> None:
        self._ground = ground
        self._crowd = crowd
        self._quiet = 0
        self._seen: Any = None
        self._changed = time.monotonic()

    def settle(self) -> None:
        """Until everything is over, Stripe's list was read to its end, and a daily comparison has come to nothing more.

        Raises :class:`NeverSettles` with what is left.
        """
        self._until_nothing_is_left()
        began = self._ground.clock.now() + timedelta(days=1)
        self._ground.clock.jump(timedelta(days=1, minutes=3))
        while not self._ground.books.value(_COMPARED, began):
            self._look(("the daily comparison", None))
        self._until_nothing_is_left()

    def _until_nothing_is_left(self) -> None:
        while left := self._left():
            self._look(*left)

    def _look(self, *left: tuple[str, datetime | None]) -> None:
        """Wait a moment; if nothing is going on, let time pass."""
        self._complain(left)
        busy = self._crowd.busy() or self._queued()
        self._quiet = 0 if busy else self._quiet + 1
        if self._quiet >= _QUIET_LOOKS:
            self._quiet = 0
            if any(moment is None for _, moment in left):
                self._ground.finish_at_stripe()
            due = [moment for _, moment in left if moment is not None]
            ahead = max(min(due) - self._ground.clock.now(), timedelta()) + _A_LITTLE if due else _A_WHILE
            self._ground.clock.jump(ahead)
            self._tick()
        time.sleep(_LOOK_SECONDS)

    def _left(self) -> list[tuple[str, datetime | None]]:
        rows = self._ground.books.rows(_UNFINISHED)
        left = [(row["what"], row["due"]) for row in rows] + [(name, None) for name in self._crowd.unfinished()]
        if not left and self._queued():
            left = [("messages in Redis", None)]
        if not left and not self._walked():
            left = [("Stripe's list of events is not read to its end", None)]
        return left

    def _walked(self) -> bool:
        newest = self._ground.events(limit=1)
        walked = self._ground.books.value(_WALKED)
        return not newest or (walked is not None and walked.timestamp() > newest[0]["created"])

    def _queued(self) -> int:
        """How many messages wait, are delayed, or are being worked on, also by workers that are dead.

        Not counted: sweeps, of which there is always one, and what was given up, whose rows say what is left to do.
        """
        with self._ground.shop.redis_client() as client:
            keys = [key for key in client.scan_iter("dramatiq:*.msgs", count=1000) if not key.endswith(b".XQ.msgs")]
            keys = [key for key in keys if not key.startswith(b"dramatiq:sweeps.")]
            return sum(int(client.hlen(key)) for key in keys)

    def _tick(self) -> None:
        """Every sweep's next tick is now."""
        with self._ground.shop.redis_client() as client:
            ticks = [key for key in client.scan_iter("pw:tick:*", count=1000) if not key.endswith(b":message")]
            if ticks:
                client.delete(*ticks)

    def _complain(self, left: tuple[tuple[str, datetime | None], ...]) -> None:
        state = sorted(what for what, _ in left)
        if state != self._seen:
            self._seen, self._changed = state, time.monotonic()
        elif time.monotonic() - self._changed > _PATIENCE_SECONDS:
            raise NeverSettles("; ".join(f"{what}, due {due}" for what, due in left[:10]))
