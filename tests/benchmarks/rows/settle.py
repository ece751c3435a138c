"""``settle``: settlements per second from a backlog of webhooks, follow-ups included, against their SQL alone."""

import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from benchmarks.harness import Aim, Bench, Figure, benchmark
from benchmarks.installation import Installation
from benchmarks.replay import Script, overheard, replay
from benchmarks.windows import Windows

from paywindow.messages import ACTORS, ROLES

_PAYMENTS = 600
_PROCESSES, _THREADS = 2, 8
_AT_ONCE = 8
_WORKER = "worker-interactive"


@benchmark("settle")
def settle(bench: Bench) -> Iterator[Figure]:
    """All webhooks of as many payments wait in Redis; two worker processes begin. Then psycopg2 says the same SQL."""
    count = bench.sized(_PAYMENTS)
    installation = bench.installation
    with installation.without("worker-receipts"):
        with installation.without("scheduler", "worker-sweeps"):
            script, original = _overhear(bench)
        ours = _settlements(bench, count)
        purchases = _unpaid(bench, count, "settle, its SQL alone")
        known = [dict(zip(original, theirs, strict=True)) for theirs in _ids(bench, purchases)]
        url = installation.stack.environment["DATABASE_URL"]
        with installation.without("scheduler"), _nothing_left_to_do(installation, purchases):
            alone = replay(url, script, known, processes=_PROCESSES, connections=_THREADS)
        purchases.forget()
    note = f"{count} payments, {_PROCESSES} processes; {len(script.statements)} statements each"
    yield Figure("settle", ours, "payments/s", alone, Aim("ratio", "at least", 0.5), note)


def _unpaid(bench: Bench, count: int, what: str) -> Windows:
    """Sessions whose pages are open and whose windows are not over."""
    windows = Windows(bench, count, what)
    windows.load([page.expires_at for page in windows.pages])
    return windows


def _overhear(bench: Bench) -> tuple[Script, list[str]]:
    """The SQL of one payment, and the ids in it that belong to its session."""
    one, found = _unpaid(bench, 1, "settle, one payment"), []
    with overheard(bench.installation, found):
        _pay(bench, one)
        bench.installation.wait(lambda: one.open() == 0, "the payment to be settled")
        _wait_until_worked_off(bench)
    (script,), (original,) = found, _ids(bench, one)
    one.forget()
    return script, original


def _settlements(bench: Bench, count: int) -> float:
    """Payments per second, from the first settlement to the last follow-up."""
    installation, windows = bench.installation, _unpaid(bench, count, "settle")
    stack, sandbox = installation.stack, installation.sandbox
    stack.processes.pop(_WORKER).stop()
    sandbox.webhook_mode("paused")
    _pay(bench, windows)
    waiting = int(sandbox.call("POST", "/webhooks/flush")["sent"])  # type: ignore[call-overload]
    sandbox.webhook_mode("normal")
    installation.wait(lambda: installation.broker.hlen("dramatiq:events.msgs") >= waiting, "the webhooks to be taken")
    for number in range(_PROCESSES):
        stack.start(_WORKER, known_as=f"{_WORKER}{number or ''}")
    installation.wait(lambda: windows.open() == 0, "the payments to be settled")
    _wait_until_worked_off(bench)
    ended = time.time()
    (begun,) = installation.query(
        "SELECT extract(epoch FROM min(at)) FROM transitions JOIN payment_sessions ON session_id = payment_sessions.id "
        "WHERE buyer_id = %s AND to_status = 'completed'",
        windows.buyer,
    )
    for number in range(1, _PROCESSES):
        stack.processes.pop(f"{_WORKER}{number}").stop()
    windows.forget()
    return count / (ended - float(begun[0]))


def _wait_until_worked_off(bench: Bench) -> None:
    """Nothing is left for the role that settles; what it left to others, receipts for one, is theirs."""
    queues = ROLES["interactive"]
    actors = [actor for actor, queue in ACTORS.items() if queue in queues]
    unfinished = (
        "SELECT (SELECT count(*) FROM outbox WHERE actor = ANY(%s)) "
        "+ (SELECT count(*) FROM stripe_events WHERE handled_at IS NULL)"
    )

    def worked_off() -> bool:
        queued = sum(bench.installation.broker.hlen(f"dramatiq:{queue}.msgs") for queue in queues)
        return queued == 0 and bench.installation.query(unfinished, actors) == [(0,)]

    bench.installation.wait(worked_off, "the backlog to be worked off")


@contextmanager
def _nothing_left_to_do(installation: Installation, purchases: Windows) -> Iterator[None]:
    """Stripe does not know what is replayed: nobody may follow it up."""
    ((last,),) = installation.query("SELECT coalesce(max(id), 0) FROM outbox")
    yield
    installation.query("DELETE FROM outbox WHERE id > %s", last)
    installation.query("UPDATE stripe_events SET handled_at = now(), verdict = 'nothing' WHERE handled_at IS NULL")
    installation.query(
        "UPDATE transactions SET figures_due_at = NULL, share_due_at = NULL "
        "WHERE session_id IN (SELECT id FROM payment_sessions WHERE buyer_id = %s)",
        purchases.buyer,
    )


def _pay(bench: Bench, windows: Windows) -> None:
    """Pay on all pages, and have Stripe know its fees at once: that is an event, too."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(lambda page: bench.installation.sandbox.pay(page.checkout_id), windows.pages))
    bench.installation.sandbox.release_fees()


def _ids(bench: Bench, windows: Windows) -> list[list[str]]:
    """Each session's ids as they may stand in SQL, in the same order for each."""
    rows = bench.installation.query(
        "SELECT s.id, s.auction_id, s.buyer_id, a.id, a.stripe_checkout_id FROM payment_sessions AS s "
        "JOIN checkout_attempts AS a ON a.session_id = s.id WHERE s.buyer_id = %s",
        windows.buyer,
    )
    return [[*(form for each in row[:4] for form in (each, uuid.UUID(each).hex)), row[4]] for row in rows]
