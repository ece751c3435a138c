"""The services of ``docker/compose.yml`` start with the commands, variables and files that they have there, and say when they
are up.

There is no container engine; what stands in for a container is a process with exactly its environment, and a folder in place of
/run/secrets. Addresses and ports are this machine's own.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import requests
import yaml

from paywindow.embedded import EmbeddedRedis
from paywindow.embedded.ports import free_port
from paywindow.embedded.processes import Supervised, spawn
from paywindow.keys import hash_service_key, new_service_key
from paywindow.settings import Role, Settings

DOCKER = Path(__file__).parents[2] / "docker"
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((DOCKER / "compose.yml").read_text())["services"]
PROCESSES = [name for name, service in SERVICES.items() if "build" in service and name != "migrate"]

Until = Callable[[Callable[[], Any], str], Any]


class Containers:
    """The compose file's own services as processes, in the order in which they depend on each other."""

    def __init__(self, folder: Path, secrets: dict[str, str], addresses: dict[str, str]) -> None:
        self.folder = folder
        self.running: dict[str, Supervised] = {}
        self._addresses = addresses
        self.ports = {name: free_port() for name in PROCESSES}
        (folder / "tmp").mkdir()
        (folder / "secrets").mkdir()
        for name, text in secrets.items():
            (folder / "secrets" / name).write_text(f"{text}\n")

    def environment(self, name: str) -> dict[str, str]:
        """What the service gets in its container, as it would be on this machine."""
        example = (DOCKER / "paywindow.env.example").read_text().splitlines()
        settings = dict(line.split("=", 1) for line in example if line and not line.startswith("#"))
        settings |= SERVICES[name]["environment"]
        for variable, value in settings.items():
            settings[variable] = value.replace("/run/secrets", str(self.folder / "secrets"))
        own = {variable: value for variable, value in self._addresses.items() if variable in settings}
        if "METRICS_PORT" in settings:
            own["METRICS_PORT"] = str(self.ports[name])
        # The image's own variables.
        image = {"HOME": str(self.folder / "tmp"), "TMPDIR": str(self.folder / "tmp"), "LANG": "C.UTF-8"}
        image["RECEIPT_FOLDER"] = str(self.folder / "receipts")
        return {"PATH": os.environ["PATH"], **image, **settings, **own}

    def start(self, name: str) -> Supervised:
        self.running[name] = spawn(
            [sys.executable, "-P", "-m", "paywindow.cli", *SERVICES[name]["command"]],
            env=self.environment(name),
            log_path=self.folder / f"{name}.log",
            cwd=self.folder / "tmp",
        )
        return self.running[name]

    def is_healthy(self, name: str) -> bool:
        """Run the service's health check in its environment."""
        kind, program, *words = SERVICES[name]["healthcheck"]["test"]
        assert (kind, program) == ("CMD", "paywindow")
        done = subprocess.run(
            [sys.executable, "-P", "-m", "paywindow.cli", *words],
            env=self.environment(name),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode in (0, 1), done.stdout + done.stderr
        return done.returncode == 0


@pytest.fixture
def containers(tmp_path: Path, empty_database_url: str, redis_url: str) -> Iterator[Containers]:
    secrets = {
        "database_url": empty_database_url,
        "stripe_secret_key": "sk_test_of_nobody",
        "stripe_webhook_secret": "whsec_of_nobody",
        "service_keys": f"shop:checkout+read:{hash_service_key(new_service_key())}",
        "buyer_token_secrets": "b" * 44,
        "receipt_url_secret": "r" * 44,
    }
    addresses = {
        "REDIS_URL": redis_url,
        "FRONT_HOST": "127.0.0.1",
        "FRONT_PORT": str(free_port()),
        "METRICS_HOST": "127.0.0.1",
    }
    found = Containers(tmp_path, secrets, addresses)
    yield found
    for process in found.running.values():
        process.ask_to_stop()
    for process in found.running.values():
        process.stop()


def test_every_service_starts_from_its_own_environment_is_healthy_and_stops_in_order(
    containers: Containers, until: Until
) -> None:
    assert containers.start("migrate").wait() == 0, containers.running["migrate"].log_tail()
    for name in PROCESSES:
        containers.start(name)
    for name in PROCESSES:
        process = containers.running[name]
        until(lambda name=name, process=process: containers.is_healthy(name) or not process.running, f"{name} to live")
        assert process.running, process.log_tail()
        served = f"http://127.0.0.1:{containers.ports[name]}/metrics"
        until(lambda served=served: "payments_" in _text(served), f"the metrics of {name}")

    written = {path.name for path in containers.folder.iterdir()}
    assert written == {"secrets", "tmp", *(f"{name}.log" for name in ["migrate", *PROCESSES])}

    for name in PROCESSES:
        containers.running[name].ask_to_stop()
    for name in PROCESSES:
        assert containers.running[name].wait() == 0, containers.running[name].log_tail()
        assert not containers.is_healthy(name)


def test_a_process_that_stands_still_is_not_healthy_and_redis_being_away_says_nothing(
    containers: Containers, redis_server: EmbeddedRedis, until: Until
) -> None:
    scheduler = containers.start("scheduler")
    settings = Settings.load(Role.SCHEDULER, containers.environment("scheduler"))
    with redis.Redis.from_url(settings.state_url) as state:
        until(lambda: state.keys("pw:alive:scheduler:*"), "a sign of life")
        assert containers.is_healthy("scheduler")

        scheduler.send_signal(signal.SIGSTOP)
        until(lambda: not state.keys("pw:alive:scheduler:*"), "the sign of life to end")
        assert not containers.is_healthy("scheduler")

    redis_server.stop()
    assert containers.is_healthy("scheduler")
    scheduler.send_signal(signal.SIGCONT)


def _text(url: str) -> str:
    try:
        return requests.get(url, timeout=5).text
    except requests.ConnectionError:  # not listening yet
        return ""
