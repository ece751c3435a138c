"""The marketplace: sends commands as the documentation tells integrators to, and remembers what it was promised.

A command has an ``Idempotency-Key``. No answer, 503 or 504: the same again, a little later. 202: the outcome is asked for; if
nobody knows of it any more (Redis was wiped before a worker had taken the message), the same again. So a command ends with
an outcome, and every 2xx on the way is a promise that the audit holds the installation to.
"""

import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import requests

_T = TypeVar("_T")
#: A purchase says what it waits for, and is gone on with when that holds.
Steps = Generator[Callable[[], bool], None, _T]

_AGAIN_SECONDS = 0.3
_TIMEOUT_SECONDS = 30
_UNAVAILABLE = (503, 504)


def later(seconds: float = _AGAIN_SECONDS) -> Callable[[], bool]:
    """A wait of real time, for what a client repeats on its own account."""
    due = time.monotonic() + seconds
    return lambda: time.monotonic() >= due


@dataclass
class Command:
    """A command and the outcomes that it was given, each time that it was sent."""

    key: str
    path: str
    promised: bool = False
    outcomes: list[tuple[int, str | None]] = field(default_factory=list)


class Market:
    """Talks to the front end. ``commands``: by key; ``surprises``: answers that no client should ever get."""

    def __init__(self, url: str, service_key: str) -> None:
        self._url = url
        self._authorization = {"Authorization": f"Bearer {service_key}"}
        self._local = threading.local()
        self._writing = threading.Lock()
        self.commands: dict[str, Command] = {}
        self.surprises: list[str] = []

    def command(self, path: str, body: dict[str, Any], key: str) -> Steps[requests.Response]:
        """Carry a command through to its outcome."""
        with self._writing:
            command = self.commands.setdefault(key, Command(key, path))
        while True:
            answer = yield from self._answer("POST", path, json=body, headers={"Idempotency-Key": key})
            command.promised |= answer.ok
            if answer.status_code == 202:
                outcome = yield from self._outcome(answer.headers["Location"])
                if outcome is None:
                    continue
                answer = outcome
            with self._writing:
                command.outcomes.append((answer.status_code, _session(answer)))
            return answer

    def _outcome(self, location: str) -> Steps[requests.Response | None]:
        while True:
            yield later()
            answer = yield from self._answer("GET", location)
            if answer.status_code == 404 and answer.json()["code"] == "not_found":
                return None
            if answer.status_code != 202:
                return answer

    def _answer(self, verb: str, path: str, **more: Any) -> Steps[requests.Response]:
        while True:
            try:
                answer = self._send(verb, path, **more)
            except (requests.ConnectionError, requests.Timeout):
                yield later()
                continue
            if answer.status_code in _UNAVAILABLE:
                yield later()
                continue
            if answer.status_code >= 500:
                self.surprises.append(f"{verb} {path}: {answer.status_code} {answer.text[:300]}")
                yield later()
                continue
            return answer

    def _send(self, verb: str, path: str, *, headers: dict[str, str] | None = None, **more: Any) -> requests.Response:
        session = self._local.__dict__.setdefault("session", requests.Session())
        headers = {**self._authorization, "Prefer": "wait=3", **(headers or {})}
        answer: requests.Response = session.request(
            verb, self._url + path, headers=headers, timeout=_TIMEOUT_SECONDS, **more
        )
        return answer


def _session(answer: requests.Response) -> str | None:
    body = answer.json()
    session = body.get("paymentSession") or {}
    found = session.get("id") or body.get("sessionId")
    return str(found) if found else None
