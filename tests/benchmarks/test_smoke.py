"""Every benchmark runs, tiny, as `make bench` would run it; what it measures at that size means nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path

_TESTS = Path(__file__).parents[1]
_ROWS = {
    *(
        "ingest",
        "ingest_naive",
        "ingest_p99",
        "status",
        "sse",
        "settle",
        "settle_latency",
        "pickup",
        "create",
        "storm",
        "expire",
    ),
    *(
        "ingest_duties",
        "status_duties",
        "receipts",
        "growth_settle",
        "growth_create",
        "growth_status",
        "growth_sweep",
        "start_front",
        "start_worker",
    ),
}


def test_all_benchmarks_run_and_leave_their_rows(tmp_path: Path) -> None:
    output = tmp_path / "bench.json"
    environment = {**os.environ, "PYTHONPATH": str(_TESTS), "ROWS": "3", "OUTPUT": str(output)}
    run = subprocess.run([sys.executable, "-m", "benchmarks"], env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr

    rows = {row["name"]: row for row in json.loads(output.read_text())}
    assert rows.keys() >= _ROWS
    for row in rows.values():
        assert row.keys() == {"name", "value", "unit", "baseline", "ratio"}
        assert row["baseline"] is None or row["ratio"] == row["value"] / row["baseline"]
        assert row["name"] in run.stdout, "the table shows every row"
    for name in ("bench-aims.png", "bench-latencies.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


def test_a_benchmark_that_does_not_exist_is_refused_by_name(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(_TESTS), "ONLY": "expires", "OUTPUT": str(tmp_path / "bench.json")}
    run = subprocess.run([sys.executable, "-m", "benchmarks"], env=environment, capture_output=True, text=True)
    assert run.returncode == 1
    assert "no benchmark is called expires" in run.stderr
