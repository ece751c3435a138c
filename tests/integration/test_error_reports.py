"""Errors reach Sentry over HTTP, scrubbed and with their ids; without a DSN its SDK is not even imported."""

import gzip
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

PROGRAM = """
import os, sys
from paywindow import error_reports, logs, messages
from paywindow.broker import make_broker
from paywindow.errors import Permanent
from paywindow.settings import Role, Settings
from dramatiq import Actor, Worker

settings = Settings.load(Role.SCHEDULER)
logs.configure(settings, "worker")
error_reports.start(settings, "worker")
if settings.sentry_dsn is None:
    print("sentry_sdk" in sys.modules)
    sys.exit()

def fail(session_id, email):
    card = "4242 4242 4242 4242"
    raise Permanent(f"{email} pays with {card} and sk_test_abcdef; {os.environ['SECRET']}")

broker = make_broker(os.environ["REDIS_URL"])
Actor(fail, broker=broker, actor_name="publish.session", queue_name="follow-ups", priority=0, options={})
logs.bind(request_id="the-request")
broker.enqueue(messages.build("publish.session", session_id="the-session", email="ada@example.com"))
worker = Worker(broker, worker_timeout=25, worker_threads=1)
worker.start()
broker.join("follow-ups")
worker.stop()
import sentry_sdk
sentry_sdk.flush(30)
"""


class Sentry(ThreadingHTTPServer):
    """Takes what the SDK sends."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Envelopes)
        self.texts: list[str] = []

    @property
    def dsn(self) -> str:
        return f"http://0123456789abcdef@127.0.0.1:{self.server_port}/7"

    def events(self) -> list[dict[str, Any]]:
        parsed = [json.loads(line) for text in self.texts for line in text.splitlines() if line.startswith("{")]
        return [each for each in parsed if "event_id" in each and "level" in each]


class _Envelopes(BaseHTTPRequestHandler):
    server: Sentry

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.texts.append(
            (gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body).decode()
        )
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: Any) -> None:
        """Silent."""


@pytest.fixture
def sentry() -> Iterator[Sentry]:
    with Sentry() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.shutdown()


def _run(redis_url: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    environment = {"PATH": os.environ["PATH"], "REDIS_URL": redis_url, "SECRET": "correct horse", **settings}
    return subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True, timeout=120
    )


def test_an_actors_error_arrives_scrubbed_with_its_ids_as_tags(redis_url: str, sentry: Sentry) -> None:
    done = _run(
        redis_url,
        SENTRY_DSN=sentry.dsn,
        SENTRY_ENVIRONMENT="staging",
        SENTRY_RELEASE="shop@42",
        BUYER_TOKEN_SECRETS="correct horse",
    )

    (event,) = [event for event in sentry.events() if event["tags"].get("actor") == "publish.session"]
    assert event["tags"] == {
        "role": "worker",
        "request_id": "the-request",
        "session_id": "the-session",
        "actor": "publish.session",
        "message_id": event["tags"]["message_id"],
    }
    assert (event["environment"], event["release"], event["level"]) == ("staging", "shop@42", "error")
    (error,) = event["exception"]["values"]
    assert (error["type"], error["value"]) == ("Permanent", "[email] pays with [card] and [key]; [configured]")
    assert not any("vars" in frame for frame in error["stacktrace"]["frames"])
    for private in ("ada@example.com", "4242 4242", "sk_test_abcdef", "correct horse"):
        assert private not in "".join(sentry.texts)
        assert private not in done.stderr


def test_without_a_dsn_the_sdk_is_not_imported(redis_url: str) -> None:
    assert _run(redis_url).stdout == "False\n"
