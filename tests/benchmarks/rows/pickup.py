"""``pickup``: from enqueue to the start of an actor, on an idle system, and what being idle costs."""

import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import redis
from benchmarks.cpu import cpu_seconds, family
from benchmarks.harness import Aim, Bench, Figure, benchmark, percentile
from benchmarks.installation import wait_for
from benchmarks.pickup_workers import QUEUE, TIMES
from dramatiq import Message

from paywindow.embedded.processes import spawn
from paywindow.embedded.redis import EmbeddedRedis
from paywindow.messages import ROLES

_TESTS = Path(__file__).parents[2]
_MESSAGES = 100
_REST_SECONDS = 0.03, 0.1
_IDLE_SECONDS = 10.0

_DRAMATIQ = ["--processes", "1", "--threads", "8", "--path", str(_TESTS)]
_COMMANDS = {
    "ours": [
        *("dramatiq", "benchmarks.pickup_workers:app", *_DRAMATIQ),
        *("--skip-logging", "--queues", *ROLES["interactive"]),
    ],
    "Dramatiq": ["dramatiq", "benchmarks.pickup_workers:app", *_DRAMATIQ],
    "Celery": [
        "celery",
        "--app",
        "benchmarks.pickup_workers:app",
        "worker",
        "--concurrency",
        "8",
        "--loglevel",
        "WARNING",
    ],
}


@benchmark("pickup")
def pickup(bench: Bench) -> Iterator[Figure]:
    """One worker process each, one message at a time, at random moments."""
    count = bench.sized(_MESSAGES)
    bench.installation.wait_until_idle()
    task = bench.progress.add_task("pickup", total=len(_COMMANDS))
    found: dict[str, list[float]] = {}
    for name in _COMMANDS:
        found[name] = _pickups(bench, name, count)
        bench.progress.advance(task)
    share = _idle_share(bench)
    bench.progress.remove_task(task)
    p50, p99 = ({name: percentile(times, at) for name, times in found.items()} for at in (50, 99))
    aim = Aim("value", "at most", 3)
    yield Figure("pickup", p50["ours"], "ms", p50["Dramatiq"], aim, "p50; Dramatiq's defaults", found)
    yield Figure("pickup_p99", p99["ours"], "ms", p99["Dramatiq"], note="p99; Dramatiq's defaults")
    yield Figure("pickup_celery", p50["ours"], "ms", p50["Celery"], note="p50; Celery's defaults")
    note = "of one core, all processes of an idle installation, Postgres and Redis included"
    yield Figure("pickup_idle", share * 100, "%", aim=Aim("value", "at most", 3), note=note)


def _pickups(bench: Bench, name: str, count: int) -> list[float]:
    """Milliseconds each message took."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="paywindow-bench-")))
        url = stack.enter_context(EmbeddedRedis(folder / "redis")).url
        times = stack.enter_context(closing(redis.Redis.from_url(url.removesuffix("/0") + "/5")))
        mode = {"Dramatiq": "defaults"}.get(name, name.lower())
        given = bench.installation.stack.environment
        environment = {**given, "REDIS_URL": url, "MODE": mode, "PYTHONPATH": str(_TESTS)}
        environment["PROMETHEUS_MULTIPROC_DIR"] = str(folder / "metrics")
        (folder / "metrics").mkdir()
        worker = spawn([sys.executable, "-m", *_COMMANDS[name]], env=environment, log_path=folder / "log")
        stack.callback(worker.stop)
        send = _sender(name, url, stack)
        for number in range(count + 1):
            send()
            wait_for(lambda done=number: times.llen(TIMES) > done, "the worker", poll_seconds=0.01)  # type: ignore[misc]
            time.sleep(random.uniform(*_REST_SECONDS))
        # The first one waited for the worker to start.
        return [int(each) / 1e6 for each in times.lrange(TIMES, 1, -1)]


def _sender(name: str, url: str, stack: ExitStack) -> Callable[[], Any]:
    if name == "Celery":
        from celery import Celery

        app = stack.enter_context(closing(Celery(broker=url)))
        return lambda: app.send_task("note", [time.monotonic_ns()])
    from dramatiq.brokers.redis import RedisBroker

    broker = RedisBroker(url=url)  # type: ignore[no-untyped-call]
    broker.declare_queue(QUEUE)

    def send() -> None:
        queue = QUEUE
        message: Message[Any] = Message(queue, "note", (time.monotonic_ns(),), {}, {})
        broker.enqueue(message)

    return send


def _idle_share(bench: Bench) -> float:
    """The part of a core that all processes of the installation use while nothing happens."""
    bench.installation.wait_until_idle()
    stack = bench.installation.stack
    assert stack.postgres is not None
    assert stack.redis is not None
    roots = [*(process.pid for process in stack.processes.values()), stack.postgres.pid, stack.redis.pid]
    seconds = _IDLE_SECONDS if bench.sized(_MESSAGES) == _MESSAGES else 1.0
    before, began = sum(map(cpu_seconds, family(roots))), time.monotonic()
    time.sleep(seconds)
    after = sum(map(cpu_seconds, family(roots)))
    return (after - before) / (time.monotonic() - began)
