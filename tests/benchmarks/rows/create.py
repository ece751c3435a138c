"""``create``: from the marketplace's request to the page's URL, against a script that asks Stripe directly."""

import time
import uuid
from collections.abc import Iterator

import requests
from benchmarks.harness import Aim, Bench, Figure, benchmark, percentile
from benchmarks.windows import page_form

from paywindow.cli.demo import Marketplace

_CREATES = 200
_PAGE_SECONDS = 7200
_TIMEOUT_SECONDS = 30


@benchmark("create")
def create(bench: Bench) -> Iterator[Figure]:
    """One after the other, both in turns, over connections that are kept."""
    count = bench.sized(_CREATES)
    installation = bench.installation
    market, stripe = Marketplace(installation.stack), requests.Session()
    stripe.headers["Authorization"] = f"Bearer {installation.stack.environment['STRIPE_SECRET_KEY']}"
    installation.limit(None)
    installation.wait_until_idle()
    task = bench.progress.add_task("create", total=count)
    ours: list[float] = []
    directly: list[float] = []
    for _ in range(count):
        began = time.perf_counter()
        answer = stripe.post(
            f"{installation.stack.sandbox_url}/v1/checkout/sessions",
            data=page_form(uuid.uuid4(), int(time.time()) + _PAGE_SECONDS),
            headers={"Idempotency-Key": str(uuid.uuid4())},
            timeout=_TIMEOUT_SECONDS,
        )
        answer.raise_for_status()
        between = time.perf_counter()
        market.create("Walnut side table", "275.50")
        directly.append(between - began)
        ours.append(time.perf_counter() - between)
        bench.progress.advance(task)
    bench.progress.remove_task(task)
    installation.restore_limit()
    for percent, aim in ((50, Aim("ratio", "at most", 1.5)), (99, None)):
        value, baseline = (percentile(times, percent) * 1000 for times in (ours, directly))
        name = "create" if percent == 50 else f"create_p{percent}"
        series = {"ours": _ms(ours), "a script": _ms(directly)} if percent == 50 else {}
        note = f"p{percent}; against the same call to Stripe by a script"
        yield Figure(name, value, "ms", baseline, aim, note, series)


def _ms(seconds: list[float]) -> list[float]:
    return [each * 1000 for each in seconds]
