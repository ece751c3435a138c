"""``create``: from the marketplace's request to the page's URL, against a script that asks Stripe directly, and the floor."""

import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import requests
from benchmarks.create_floor import TABLE
from benchmarks.harness import Aim, Bench, Figure, benchmark, percentile
from benchmarks.installation import Installation, wait_for
from benchmarks.windows import page_form

from paywindow.cli.demo import Marketplace
from paywindow.embedded.ports import LOOPBACK, free_port
from paywindow.embedded.processes import spawn

_TESTS = Path(__file__).parents[2]
_CREATES = 200
_PAGE_SECONDS = 7200
_TIMEOUT_SECONDS = 30


@benchmark("create")
def create(bench: Bench) -> Iterator[Figure]:
    """One after the other, in turns, over connections that are kept."""
    count = bench.sized(_CREATES)
    installation = bench.installation
    installation.limit(None)
    installation.wait_until_idle()
    market = Marketplace(installation.stack)
    with _floor(installation) as floor:
        ways: dict[str, Callable[[], object]] = {
            "a script": _script(installation),
            "ours": lambda: market.create("Walnut side table", "275.50"),
            "floor": floor,
        }
        found: dict[str, list[float]] = {name: [] for name in ways}
        task = bench.progress.add_task("create", total=count)
        for _ in range(count):
            for name, way in ways.items():
                began = time.perf_counter()
                way()
                found[name].append((time.perf_counter() - began) * 1000)
            bench.progress.advance(task)
        bench.progress.remove_task(task)
    installation.restore_limit()
    p50, p99 = ({name: percentile(times, at) for name, times in found.items()} for at in (50, 99))
    note = "against the same call to Stripe by a script"
    aim = Aim("ratio", "at most", 1.5)
    yield Figure("create", p50["ours"], "ms", p50["a script"], aim, f"p50; {note}", found)
    yield Figure("create_p99", p99["ours"], "ms", p99["a script"], note=f"p99; {note}")
    note = "p50; two commits around Stripe's SDK in a worker behind a queue, nothing else"
    yield Figure("create_floor", p50["floor"], "ms", p50["a script"], note=note)


def _script(installation: Installation) -> Callable[[], object]:
    """Asks Stripe for a page."""
    stripe = requests.Session()
    stripe.headers["Authorization"] = f"Bearer {installation.stack.environment['STRIPE_SECRET_KEY']}"

    def ask() -> None:
        answer = stripe.post(
            f"{installation.stack.sandbox_url}/v1/checkout/sessions",
            data=_form(),
            headers={"Idempotency-Key": str(uuid.uuid4())},
            timeout=_TIMEOUT_SECONDS,
        )
        answer.raise_for_status()

    return ask


@contextmanager
def _floor(installation: Installation) -> Iterator[Callable[[], object]]:
    """Asks :mod:`benchmarks.create_floor`, which runs for the block."""
    installation.query(TABLE)
    port, client = free_port(), requests.Session()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="paywindow-bench-")))
        environment = {**installation.stack.environment, "PYTHONPATH": str(_TESTS)}
        for role in (["front", str(port)], ["worker"]):
            command = [sys.executable, "-m", "benchmarks.create_floor", *role]
            process = spawn(command, env=environment, log_path=folder / f"{role[0]}.log")
            stack.callback(process.stop)

        def ask() -> None:
            answer = client.post(f"http://{LOOPBACK}:{port}/", json=_form(), timeout=_TIMEOUT_SECONDS)
            answer.raise_for_status()

        def answers() -> bool:
            try:
                ask()
            except requests.ConnectionError:
                return False
            return True

        wait_for(answers, "the floor's front end")
        yield ask
    installation.query("DROP TABLE bench_creates")


def _form() -> dict[str, str]:
    return page_form(uuid.uuid4(), int(time.time()) + _PAGE_SECONDS)
