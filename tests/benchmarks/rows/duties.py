"""``duties``: what is between the least that aiohttp can do and our front end, part by part."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from benchmarks.events import a_payment
from benchmarks.harness import Bench, Figure, benchmark
from benchmarks.snapshots import a_snapshot

_TESTS = Path(__file__).parents[2]
_ROUNDS = 12
_REQUESTS = 500


@benchmark("duties")
def duties(bench: Bench) -> Iterator[Figure]:
    """CPU of one process without its sockets and Redis, each duty left out in turn."""
    stack = bench.installation.stack
    _, snapshot = a_snapshot(bench)
    given = {
        "event": a_payment(bench.installation),
        "snapshot": {"v": snapshot.version, **asdict(snapshot)},
        "key": stack.service_key,
        "requests": bench.sized(_REQUESTS),
        "rounds": len(bench.rounded(_ROUNDS)),
    }
    task = bench.progress.add_task("duties", total=1)
    with tempfile.TemporaryFile("w+") as log:
        run = subprocess.run(
            [sys.executable, "-m", "benchmarks.duties"],
            env={**stack.environment, "PYTHONPATH": str(_TESTS)},
            input=json.dumps(given),
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            check=False,
        )
        if run.returncode != 0:
            log.seek(0)
            raise RuntimeError(log.read()[-10_000:])
    found = json.loads(run.stdout)
    bench.progress.remove_task(task)
    for name, path, least in (("ingest_duties", "webhook", "bare"), ("status_duties", "read", "hello")):
        whole = found[path].pop("nothing")
        parts = ", ".join(f"{duty} {whole - without:.0f}" for duty, without in found[path].items())
        yield Figure(name, whole, "µs", found[least]["nothing"], note=f"CPU without sockets and Redis; of it {parts}")
