"""Recovery on its own: one blow at a time, on an installation that has nothing else to cope with.

Some payments are being settled when the blow falls: their webhooks are acknowledged, and their worker waits for a row that
the drill has locked. Others are paid right after it. The drill notes when the last of each is settled.
"""

import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
from chaos.ground import Ground, prepared
from chaos.recovery import Times
from support.installation import until

_AT_ONCE = 4
_BUSY = "SELECT count(*) AS n FROM pg_locks WHERE NOT granted"
_SETTLED = "SELECT count(*) AS n FROM transactions WHERE settled_at IS NOT NULL AND session_id = ANY(%s::uuid[])"


def drill(times: int) -> Times:
    """Each blow so many times; seconds from it to the last settlement, by blow and by when the work was acknowledged."""
    found: Times = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="paywindow-chaos-") as folder, prepared(Path(folder) / "it") as ground:
        ground.begin("folder")
        for _ in range(times):
            for name, strike in _BLOWS.items():
                before, after = _drill(ground, strike)
                found[f"{name} alone, work acknowledged before"].append(before)
                found[f"{name} alone, work acknowledged after"].append(after)
    return dict(found)


def _kill_worker(ground: Ground) -> None:
    ground.shop.kill("worker-interactive")


def _restart_redis(ground: Ground) -> None:
    ground.shop.redis.kill()
    ground.shop.redis.start()


_BLOWS: dict[str, Callable[[Ground], None]] = {"worker kill": _kill_worker, "Redis restart": _restart_redis}


def _drill(ground: Ground, strike: Callable[[Ground], None]) -> tuple[float, float]:
    sessions = ground.shop.open_sessions(2 * _AT_ONCE)
    first, second = sessions[:_AT_ONCE], sessions[_AT_ONCE:]
    with closing(psycopg2.connect(ground.database_url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT FROM payment_sessions WHERE id = ANY(%s::uuid[]) FOR UPDATE", [_ids(first)])
        for session in first:
            ground.shop.pay(session, wait=True)  # until the webhook is acknowledged
        until(lambda: ground.books.value(_BUSY) > 0, "the worker to be settling")
        began = time.monotonic()
        strike(ground)
    for session in second:
        ground.shop.pay(session)
    with ThreadPoolExecutor(2) as watchers:
        waits = [watchers.submit(_seconds, ground, _ids(group), began) for group in (first, second)]
        before, after = (wait.result() for wait in waits)
    return before, after


def _seconds(ground: Ground, ids: list[str], began: float) -> float:
    until(lambda: ground.books.value(_SETTLED, ids) == len(ids), "all payments to be settled")
    ground.books.close()
    return round(time.monotonic() - began, 2)


def _ids(sessions: list[dict[str, Any]]) -> list[str]:
    return [session["paymentSession"]["id"] for session in sessions]
