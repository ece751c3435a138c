"""One installation watched by a real Prometheus and a real Alertmanager, with somebody who is paged.

Rules, routes and templates are those of ``docker/``; only their windows are made short and their addresses local.
"""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from paywindow import clock, messages
from paywindow.broker import make_broker
from paywindow.embedded.ports import free_port
from paywindow.embedded.processes import Supervised, spawn

DOCKER = Path(__file__).parents[3] / "docker"
WINDOW = "40s"
# Ages by the real clock, which no test can move. All others are ages of rows, by the business clock.
_REAL_AGES = {"PaymentsNotMeasured": (120, 20), "PaymentsNoScheduler": (60, 15), "PaymentsQueueDelayed": (30, 3)}


class Receiver:
    """In place of Slack, PagerDuty and Opsgenie: keeps what each was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, dict[str, Any]]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.told.append((self.path, json.loads(body)))
                self.send_response(202)
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_: Any) -> None:
                """The test looks at what was told instead."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Listen no longer."""
        self._server.shutdown()
        self._server.server_close()

    def slack(self) -> dict[str, list[str]]:
        """Alert -> what the channel was told about it: FIRING, RESOLVED..."""
        found: dict[str, list[str]] = {}
        for path, body in list(self.told):
            if path == "/slack":
                status, alert = re.match(r"\[(\w+)\] (\w+):", body["attachments"][0]["title"]).groups()
                found.setdefault(alert, []).append(status)
        return found

    def paged(self) -> dict[str, set[str]]:
        """Alert -> what PagerDuty was told: trigger, resolve."""
        found: dict[str, set[str]] = {}
        for path, body in list(self.told):
            if path.startswith("/pagerduty"):
                found.setdefault(_alert(body["payload"]["summary"]), set()).add(body["event_action"])
        return found

    def escalated(self) -> dict[str, str]:
        """Alert -> its priority in Opsgenie."""
        return {
            _alert(body["message"]): body["priority"]
            for path, body in list(self.told)
            if path.startswith("/opsgenie") and "message" in body
        }


def _alert(title: str) -> str:
    return re.match(r"\[\w+\] (\w+):", title)[1]


@dataclass
class Monitored:
    """The installation with its monitoring."""

    shop: Any
    folder: Path
    clock_file: Path
    receiver: Receiver
    prometheus_url: str
    programs: list[Supervised] = field(default_factory=list)
    started: float = field(default_factory=time.time)

    def query(self, expression: str, **more: Any) -> list[dict[str, Any]]:
        """Ask Prometheus; instantly, or over a range if ``start``, ``end`` and ``step`` are given."""
        path = "query_range" if "start" in more else "query"
        answer = requests.get(
            f"{self.prometheus_url}/api/v1/{path}", params={"query": expression, **more}, timeout=30
        ).json()
        assert answer["status"] == "success", (expression, answer)
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    def number(self, expression: str) -> float | None:
        """The only value of an expression, if there is one."""
        found = self.query(expression)
        return float(found[0]["value"][1]) if found else None

    def targets(self) -> dict[str, str]:
        """Job -> health, as Prometheus sees it."""
        found = requests.get(f"{self.prometheus_url}/api/v1/targets", timeout=30).json()["data"]["activeTargets"]
        return {target["labels"]["job"]: target["health"] for target in found}

    def pass_time(self, **length: float) -> None:
        """Move business time of everything."""
        offset = float(self.clock_file.read_text()) if self.clock_file.exists() else 0.0
        clock.set_offset(self.clock_file, timedelta(seconds=offset) + timedelta(**length))
        self.shop.stripe.expire_due()

    def enqueue(self, actor: str, **arguments: Any) -> None:
        """Put a message into the queue."""
        make_broker(self.shop.redis.url).enqueue(messages.build(actor, **arguments))


def short_rules() -> dict[str, Any]:
    """The real rules with windows of less than a minute and without the time that an alert must last."""
    rules: dict[str, Any] = yaml.safe_load((DOCKER / "prometheus/rules/payments.yml").read_text())
    for rule in (rule for group in rules["groups"] for rule in group["rules"]):
        rule.pop("for", None)
        rule["expr"] = re.sub(r"\[\d+[mh]\]", f"[{WINDOW}]", rule["expr"])
        if rule.get("alert") in _REAL_AGES:
            real, short = _REAL_AGES[rule["alert"]]
            assert f"> {real}" in rule["expr"]
            rule["expr"] = rule["expr"].replace(f"> {real}", f"> {short}")
    return rules


def _local_routes(folder: Path, receiver: Receiver) -> dict[str, Any]:
    """The real routes, told at once, to local addresses, with keys from files."""
    config: dict[str, Any] = yaml.safe_load((DOCKER / "alertmanager/alertmanager.yml").read_text())
    config["global"] |= {
        "pagerduty_url": f"{receiver.url}/pagerduty",
        "opsgenie_api_url": f"{receiver.url}/opsgenie/",
    }
    config["route"] |= {"group_wait": "0s", "group_interval": "1s"}
    config["templates"] = [str(DOCKER / "alertmanager/templates/*.tmpl")]
    for settings in (
        settings for each in config["receivers"] for name, all_ in each.items() if name != "name" for settings in all_
    ):
        for name in [name for name in settings if name.endswith("_file")]:
            key = folder / Path(settings[name]).name
            key.write_text(f"{receiver.url}/slack" if name == "api_url_file" else "key-of-a-test")
            settings[name] = str(key)
    return config


def _scrapes(ports: dict[str, int]) -> list[dict[str, Any]]:
    """The real jobs, at the addresses of this machine."""
    config = yaml.safe_load((DOCKER / "prometheus/prometheus.yml").read_text())
    jobs = [job["job_name"] for job in config["scrape_configs"]]
    assert sorted(jobs) == sorted(f"paywindow-{name}" for name in ports)
    return [
        {"job_name": job, "static_configs": [{"targets": [f"127.0.0.1:{ports[job.removeprefix('paywindow-')]}"]}]}
        for job in jobs
    ]


@pytest.fixture(scope="session")
def monitored(
    open_installation: Callable[..., AbstractContextManager[Any]],
    require_program: Callable[[str], str],
    tmp_path_factory: pytest.TempPathFactory,
    until: Callable[[Callable[[], Any], str], Any],
) -> Iterator[Monitored]:
    """An installation with two processes of its most busy role, its Prometheus and its Alertmanager."""
    programs = {name: require_program(name) for name in ("prometheus", "prometheus-alertmanager")}
    folder = tmp_path_factory.mktemp("monitoring")
    receiver, ports = Receiver(), {name: free_port() for name in programs}
    with open_installation(PAYWINDOW_CLOCK_FILE=str(folder / "clock"), RECEIPT_DOCUMENTS_PER_RENDERER="1") as shop:
        _run_two_processes(shop, until)
        addresses = {name: f"127.0.0.1:{port}" for name, port in ports.items()}
        found = Monitored(shop, folder, folder / "clock", receiver, f"http://{addresses['prometheus']}")
        _write(folder / "alertmanager.yml", _local_routes(folder, receiver))
        _write(folder / "rules.yml", short_rules())
        _write(
            folder / "prometheus.yml",
            {
                "global": {"scrape_interval": "2s", "scrape_timeout": "2s", "evaluation_interval": "1s"},
                "rule_files": [str(folder / "rules.yml")],
                "alerting": {
                    "alertmanagers": [{"static_configs": [{"targets": [addresses["prometheus-alertmanager"]]}]}]
                },
                "scrape_configs": _scrapes(shop.stack.metrics_ports),
            },
        )
        try:
            found.programs.extend(_start(folder, programs, addresses))
            until(lambda: set(_health(found).values()) == {"up"}, "Prometheus to see all processes")
            yield found
        finally:
            for program in found.programs:
                program.stop()
            receiver.stop()


def _run_two_processes(shop: Any, until: Callable[[Callable[[], Any], str], Any]) -> None:
    name = "worker-interactive"
    before = _ready(shop, name)
    shop.stack.processes[name].stop()
    shop.stack._spawn(
        name,
        ["worker", "--role", "interactive", "--processes", "2", "--threads", "4"],
        METRICS_PORT=str(shop.stack.metrics_ports[name]),
        PROMETHEUS_MULTIPROC_DIR=str(shop.stack.folder / "metrics" / name),
    )
    until(lambda: _ready(shop, name) == before + 3, "two processes, and the one that serves their metrics")


def _ready(shop: Any, name: str) -> int:
    return int(shop.stack.processes[name].log_tail(1000).count("ready for action"))


def _start(folder: Path, programs: dict[str, str], addresses: dict[str, str]) -> list[Supervised]:
    arguments = {
        "prometheus": ["--config.file", str(folder / "prometheus.yml"), "--storage.tsdb.path", str(folder / "tsdb")],
        "prometheus-alertmanager": [
            "--config.file",
            str(folder / "alertmanager.yml"),
            "--storage.path",
            str(folder / "alerts"),
            "--cluster.listen-address=",
        ],
    }
    return [
        spawn(
            [program, *arguments[name], f"--web.listen-address={addresses[name]}", "--log.level=warn"],
            env={},
            log_path=folder / f"{name}.log",
        )
        for name, program in programs.items()
    ]


def _health(monitored: Monitored) -> dict[str, str]:
    try:
        return monitored.targets()
    except requests.RequestException:  # not listening yet, or not ready
        return {"prometheus": "not yet"}


def _write(path: Path, content: Any) -> None:
    path.write_text(yaml.safe_dump(content, sort_keys=False))
