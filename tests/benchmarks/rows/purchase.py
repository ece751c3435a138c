"""``purchase``: what one purchase costs, from the create to the stored receipt: CPU, work of Postgres and Redis, bytes."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from benchmarks.cpu import all_cpu_seconds
from benchmarks.events import pay
from benchmarks.harness import Bench, Figure, benchmark
from benchmarks.installation import Installation

from paywindow.cli.demo import Marketplace
from paywindow.messages import ROLES

_PURCHASES = 300
_AT_ONCE = 8
#: Whose CPU it is, by the processes of the installation.
_PARTS = {
    "front": ("front",),
    "workers": ("worker-interactive", "worker-sweeps", "scheduler"),
    "receipts": ("worker-receipts",),
}
_COUNTERS = """
SELECT pg_current_wal_lsn() - '0/0', xact_commit, (
    SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
) FROM pg_stat_database WHERE datname = current_database()
"""


@benchmark("purchase")
def purchase(bench: Bench) -> Iterator[Figure]:
    """So many purchases, a few at a time. What the installation costs while it idles is in it, for the time that they take."""
    installation, count = bench.installation, bench.sized(_PURCHASES)
    installation.limit(None)
    installation.wait_until_idle()
    task = bench.progress.add_task("purchase", total=count)
    market = Marketplace(installation.stack)
    market.create("to warm up", 1)
    installation.wait_until_idle()

    def buy(_: int) -> None:
        pay(installation, Marketplace(installation.stack).create("Walnut side table", "275.50"))
        bench.progress.advance(task)

    drawn = _receipts(installation)
    before = _Spent(installation)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(buy, range(count)))
    installation.sandbox.release_fees()
    installation.wait(lambda: _receipts(installation) >= drawn + count, "the receipts to be drawn")
    installation.wait_until_idle()
    spent = _Spent(installation).since(before)
    installation.restore_limit()
    bench.progress.remove_task(task)
    note = f"of {count} purchases, each with its follow-ups, webhooks and receipt"
    cpu = sum(spent[part] for part in _CPU)
    yield Figure("purchase", cpu / count * 1000, "ms", note=f"CPU {note}; without Stripe's part")
    for name, what in _CPU.items():
        yield Figure(f"purchase_{name}", spent[name] / count * 1000, "ms", note=f"CPU of {what}")
    for name, (unit, what) in _WORK.items():
        yield Figure(f"purchase_{name}", spent[name] / count, unit, note=what)


_CPU = {
    "front": "the front end",
    "workers": "workers and scheduler, but for receipts",
    "receipts": "drawing and storing the receipt, and deliveries",
    "postgres": "Postgres",
    "redis": "Redis",
}
_WORK = {
    "wal": ("bytes", "written ahead by Postgres"),
    "commits": ("commits", "of Postgres, reads that stand alone among them"),
    "stored": ("bytes", "that tables and indexes grew by"),
    "commands": ("commands", "of Redis, scripts counted as one and what they call besides"),
    "calls": ("calls", "to Stripe"),
    "remembered": ("bytes", "that Redis' memory grew by, until the snapshot expires"),
}


def _receipts(installation: Installation) -> int:
    """How many have been drawn and stored so far."""
    ((stored,),) = installation.query("SELECT count(*) FROM receipts WHERE stored_at IS NOT NULL")
    return int(stored)


class _Spent(dict[str, float]):
    """What everything has used so far."""

    def __init__(self, installation: Installation) -> None:
        super().__init__()
        stack = installation.stack
        assert stack.postgres is not None
        assert stack.redis is not None
        roots = {name: [stack.processes[each].pid for each in names] for name, names in _PARTS.items()}
        roots |= {"postgres": [stack.postgres.pid], "redis": [stack.redis.pid]}
        for name, pids in roots.items():
            self[name] = all_cpu_seconds(pids)
        installation.query("SELECT pg_stat_force_next_flush()")
        ((wal, commits, stored),) = installation.query(_COUNTERS)
        self["calls"] = sum(
            installation.measured(f"worker-{role}", "payments_stripe_request_seconds_count") for role in ROLES
        )
        found = installation.broker.info()
        self["wal"], self["commits"], self["stored"] = float(wal), float(commits), float(stored)
        self["commands"], self["remembered"] = float(found["total_commands_processed"]), float(found["used_memory"])

    def since(self, earlier: "_Spent") -> dict[str, float]:
        """How much more than ``earlier``."""
        return {name: self[name] - earlier[name] for name in self}
