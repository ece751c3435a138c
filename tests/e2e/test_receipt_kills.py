"""Settlements while workers and Postgres connections are killed at random: as many receipts, without gap or double, each file
the one on record.

50 settlements in ``make test``; 1,000 where ``RUNS`` is set (``make courses``). ``SEED`` repeats the choice of blows, but not the
moments at which processes are hit: those are the machine's.
"""

import json
import os
import random
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import psycopg2
from typer.testing import CliRunner

from paywindow.cli import app

SETTLEMENTS = 1_000 if "RUNS" in os.environ else 50
SETTLEMENTS_A_BLOW = 5
AT_ONCE = 10
WORKERS = ("worker-interactive", "worker-receipts", "worker-sweeps")

# What moves while payments are settled, numbered, drawn and stored.
_PROGRESS = """
SELECT (SELECT count(*) FROM transactions WHERE settled_at IS NOT NULL) + count(*) + count(stored_at) AS steps FROM receipts
"""


def test_settlements_under_random_kills_leave_as_many_sound_receipts(shop: Any, until: Any) -> None:
    chance = random.Random(int(os.environ.get("SEED", "1")))
    sessions = open_sessions(shop)
    before = steps(shop)

    with ThreadPoolExecutor(AT_ONCE) as buyers:
        paying = [buyers.submit(shop.pay, created) for created in sessions]
        # A blow each time that the work has got a random bit further: settled, numbered and stored are three steps.
        for blow in range(1, SETTLEMENTS // SETTLEMENTS_A_BLOW + 1):
            reached = before + chance.randint(3 * SETTLEMENTS_A_BLOW * (blow - 1), 3 * SETTLEMENTS_A_BLOW * blow - 1)
            until(lambda reached=reached: steps(shop) >= reached, f"the work to go on after blow {blow - 1}")
            strike(shop, chance)
        for payment in paying:
            payment.result()

    ids = [created["paymentSession"]["id"] for created in sessions]
    until(progressing(shop, lambda: stored(shop, ids) == SETTLEMENTS), "every payment to have its receipt")

    settled = shop.rows(
        "SELECT count(*) AS n, count(DISTINCT session_id) AS sessions FROM transactions "
        "WHERE settled_at IS NOT NULL AND session_id = ANY(%s::uuid[])",
        ids,
    )
    assert settled == [{"n": SETTLEMENTS, "sessions": SETTLEMENTS}]
    shop.assert_receipts_are_gapless()
    report = until(lambda: audited(shop), "nothing to be on its way any more")
    assert report["findings"] == []
    assert report["filesVerified"] == shop.rows("SELECT count(*) AS n FROM receipts")[0]["n"] >= SETTLEMENTS


def open_sessions(shop: Any) -> list[dict[str, Any]]:
    """Every second one is a maker's, so that statements are numbered and stored in the same turmoil."""

    def open_one(number: int) -> dict[str, Any]:
        created: dict[str, Any] = shop.open_session(**({"makerId": str(uuid.uuid4())} if number % 2 else {}))
        return created

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(open_one, range(SETTLEMENTS)))


def strike(shop: Any, chance: random.Random) -> None:
    """Kill a worker with all its processes, or Postgres connections, one or all."""
    victim = chance.choice([*WORKERS, "connection", "connections"])
    if victim in WORKERS:
        shop.kill(victim)
        shop.stack.start(victim)
        return
    with closing(psycopg2.connect(shop.stack.environment["DATABASE_URL"])) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() ORDER BY pid"
        )
        pids = [pid for (pid,) in cursor.fetchall()]
        for pid in pids if victim == "connections" else chance.sample(pids, min(1, len(pids))):
            cursor.execute("SELECT pg_terminate_backend(%s)", [pid])


def steps(shop: Any) -> int:
    return int(shop.rows(_PROGRESS)[0]["steps"])


def stored(shop: Any, ids: list[str]) -> int:
    found = shop.rows(
        "SELECT count(*) AS n FROM receipts "
        "WHERE kind = 'receipt' AND stored_at IS NOT NULL AND session_id = ANY(%s::uuid[])",
        ids,
    )
    return int(found[0]["n"])


def progressing(shop: Any, condition: Callable[[], bool]) -> Callable[[], bool]:
    """The condition, with a word of what the processes were doing should one of them have ended by itself."""

    def met() -> bool:
        shop.stack.check()
        return condition()

    return met


def audited(shop: Any) -> dict[str, Any] | None:
    """The report of ``paywindow receipts audit``, once nothing is on its way."""
    names = ("DATABASE_URL", "RECEIPT_FOLDER")
    runner = CliRunner(env={name: shop.stack.environment[name] for name in names})
    report: dict[str, Any] = json.loads(runner.invoke(app, ["receipts", "audit", "--json"]).stdout)
    return None if report["onTheirWay"] else report
