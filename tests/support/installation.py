"""An installation as processes, and everybody who deals with it: the marketplace, buyers, Stripe, and who pulls plugs.

``installed()`` starts one; the end-to-end tests share it, the chaos suite strikes it.
"""

import os
import shutil
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg2
import psycopg2.extras
import redis
import requests

from paywindow import clock
from paywindow.embedded.stack import Stack, running_stack
from paywindow.sandbox.control_client import ControlClient

_POLL_SECONDS = 0.05
# Far beyond everything that is waited for: only so that a broken program fails a test and does not hang it.
_PATIENCE_SECONDS = 180.0
_HTTP_SECONDS = 60

# Stands before the real wkhtmltopdf: as long as there is a gate (a FIFO), rendering waits at it. A renderer that stays gets a
# line for each document; those wait there too.
_GATED_RENDERER = """#!/bin/sh
folder=$(dirname "$0")
pass() {{ [ -p "$folder/gate" ] && echo "$$" >> "$folder/waiting" && read -r _ < "$folder/gate"; }}
if [ "$1" = --read-args-from-stdin ]; then
    while IFS= read -r line; do pass; printf '%s\\n' "$line"; done | exec {program} "$@"
else
    pass; exec {program} "$@"
fi
"""


def until(condition: Callable[[], Any], what: str) -> Any:
    """Wait for ``condition`` to give something true, and return that."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited in vain for {what}")
        time.sleep(_POLL_SECONDS)
    return found


class RendererGate:
    """Holds every receipt that is about to be drawn."""

    def __init__(self, folder: Path, program: str) -> None:
        self.folder = folder
        self._gate, self._waiting = folder / "gate", folder / "waiting"
        folder.mkdir(parents=True)
        wrapper = folder / "wkhtmltopdf"
        wrapper.write_text(_GATED_RENDERER.format(program=program))
        wrapper.chmod(0o755)

    def close(self) -> None:
        """From now on nothing is drawn."""
        self._waiting.unlink(missing_ok=True)
        os.mkfifo(self._gate)

    def waiting(self) -> int:
        """How many receipts stand at the gate."""
        return len(self._waiting.read_text().splitlines()) if self._waiting.exists() else 0

    def open(self) -> None:
        """Let all of them go on. Nothing happens when the gate is open."""
        if not self._gate.exists():
            return
        # Opened for both, a FIFO does not block; closing its only writer ends what the readers wait for.
        descriptor = os.open(self._gate, os.O_RDWR)
        self._gate.unlink()
        os.close(descriptor)


class Installation:
    """A running stack, and everybody who deals with it."""

    def __init__(self, stack: Stack, renderer: RendererGate, clock_file: Path) -> None:
        assert stack.sandbox_url is not None
        assert stack.postgres is not None
        assert stack.redis is not None
        self.stack = stack
        self.renderer = renderer
        self.postgres = stack.postgres
        self.redis = stack.redis
        self.stripe = ControlClient(stack.sandbox_url)
        self._clock_file = clock_file
        self._frozen: set[str] = set()

    # The marketplace

    def create(self, request: dict[str, Any] | None = None, *, key: str | None = None, wait: int | None = None) -> Any:
        """``POST /payments/checkout/create``; the response, whatever it is."""
        headers = {"Idempotency-Key": key} if key else {}
        if wait is not None:
            headers["Prefer"] = f"wait={wait}"
        return self.call("POST", "/payments/checkout/create", json=request or self.request(), headers=headers)

    def request(self, **changes: Any) -> dict[str, Any]:
        """The body of a create for a new auction."""
        return {
            "auctionId": str(uuid.uuid4()),
            "buyerId": str(uuid.uuid4()),
            "amount": 275.5,
            "currency": "USD",
            "description": "Walnut side table",
            "buyerEmail": "winner@example.com",
            **changes,
        }

    def open_session(self, **changes: Any) -> dict[str, Any]:
        """A new session with its page; the body of the answer."""
        answer = self.create(self.request(**changes))
        assert answer.status_code == 201, answer.text
        created: dict[str, Any] = answer.json()
        return created

    def open_sessions(self, count: int) -> list[dict[str, Any]]:
        """Several sessions at once."""
        with ThreadPoolExecutor(count) as pool:
            return [future.result() for future in [pool.submit(self.open_session) for _ in range(count)]]

    def call(self, verb: str, path: str, *, headers: dict[str, str] | None = None, **more: Any) -> requests.Response:
        """Any request with the service key."""
        authorization = {"Authorization": f"Bearer {self.stack.service_key}"}
        url = f"{self.stack.front_url}{path}"
        return requests.request(verb, url, headers={**authorization, **(headers or {})}, timeout=_HTTP_SECONDS, **more)

    def status(self, created: dict[str, Any]) -> dict[str, Any]:
        """How a session stands, by its create's answer."""
        answer = self.call("GET", f"/payments/checkout/{created['paymentSession']['id']}/status")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def await_status(self, created: dict[str, Any], status: str) -> dict[str, Any]:
        """Wait until the session has a status; its whole state."""

        def has_it() -> dict[str, Any] | None:
            found = self.status(created)
            return found if found["paymentSession"]["status"] == status else None

        return dict(until(has_it, f"{created['paymentSession']['id']} to be {status}"))

    def await_receipt(self, created: dict[str, Any]) -> dict[str, Any]:
        """Wait until the session is completed and its receipt can be downloaded; its whole state."""

        def has_it() -> dict[str, Any] | None:
            found = self.status(created)
            return found if (found["receipt"] or {}).get("ready") else None

        found = dict(until(has_it, f"a receipt for {created['paymentSession']['id']}"))
        assert found["paymentSession"]["status"] == "completed"
        return found

    # Stripe and the buyer

    def checkout_id(self, created: dict[str, Any]) -> str:
        """The id of the session's page at Stripe."""
        return str(self._pages(created["paymentSession"]["id"])[-1]["id"])

    def pages_of_auction(self, auction_id: str) -> list[dict[str, Any]]:
        """All pages that Stripe ever opened for an auction."""
        return [page for page in self.stripe.ledger()["sessions"] if page["metadata"]["auction_id"] == auction_id]

    def charges(self, created: dict[str, Any]) -> list[dict[str, Any]]:
        """All charges that Stripe made on the session's pages, declined ones too."""
        ledger = self.stripe.ledger()
        intents = {page["payment_intent"] for page in self._pages(created["paymentSession"]["id"], ledger)}
        return [charge for charge in ledger["charges"] if charge["payment_intent"] in intents]

    def pay(self, created: dict[str, Any], **options: Any) -> dict[str, Any]:
        """Pay the session's page without looking at it."""
        return self.stripe.pay(self.checkout_id(created), **options)

    def events(self, payment: dict[str, Any], event_type: str) -> list[dict[str, Any]]:
        """Stripe's events of one type about a payment (the answer of :meth:`pay`)."""
        answer = requests.get(
            f"{self.stack.sandbox_url}/v1/events",
            params={"type": event_type, "limit": "100"},
            headers={"Authorization": "Bearer sk_test_sandbox"},
            timeout=_HTTP_SECONDS,
        )
        answer.raise_for_status()
        about = {payment["session"], payment["payment_intent"], payment["charge"]}
        return [event for event in answer.json()["data"] if event["data"]["object"]["id"] in about]

    def _pages(self, session_id: str, ledger: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        pages = (ledger or self.stripe.ledger())["sessions"]
        return [page for page in pages if page["client_reference_id"] == session_id]

    # What was recorded

    def rows(self, query: str, *parameters: Any) -> list[dict[str, Any]]:
        """What Postgres says."""
        with (
            closing(psycopg2.connect(self.stack.environment["DATABASE_URL"])) as connection,
            connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor,
        ):
            cursor.execute(query, parameters)
            return [dict(row) for row in cursor.fetchall()]

    def assert_settled_once(self, created: dict[str, Any]) -> None:
        """One charge at Stripe, one settled transaction, one move to completed, one stored receipt of the same amount."""
        session_id = created["paymentSession"]["id"]
        (charge,) = [charge for charge in self.charges(created) if charge["paid"]]
        settled = self.rows(
            "SELECT * FROM transactions WHERE session_id = %s AND status = 'succeeded' AND settled_at IS NOT NULL",
            session_id,
        )
        assert [(row["stripe_payment_intent_id"], row["amount_minor"]) for row in settled] == [
            (charge["payment_intent"], charge["amount"])
        ]
        moves = self.rows(
            "SELECT * FROM transitions WHERE session_id = %s AND to_status = 'completed' AND from_status <> to_status",
            session_id,
        )
        assert len(moves) == 1
        (receipt,) = self.rows("SELECT * FROM receipts WHERE session_id = %s", session_id)
        assert receipt["stored_at"] is not None
        assert receipt["total_minor"] == charge["amount"]
        files = list(Path(self.stack.environment["RECEIPT_FOLDER"]).rglob(f"{receipt['receipt_number']}*.pdf"))
        assert len(files) == 1

    def assert_receipts_are_gapless(self) -> None:
        """The numbers of each series are 1, 2, 3... up to the counter."""
        for counter in self.rows("SELECT * FROM receipt_counters"):
            numbers = self.rows("SELECT number FROM receipts WHERE series = %s ORDER BY number", counter["series"])
            assert [row["number"] for row in numbers] == list(range(1, counter["last_number"] + 1))

    def let_pass(self, time: timedelta) -> None:
        """Move the business clock of all processes and the sandbox on. It never goes back: leases and due times would lie in
        the future for everybody after us."""
        before = float(self._clock_file.read_text()) if self._clock_file.exists() else 0.0
        clock.set_offset(self._clock_file, timedelta(seconds=before) + time)

    def redis_client(self) -> "redis.Redis":
        """A connection to the Redis of queues and published state."""
        return redis.Redis.from_url(self.redis.url)

    # Processes

    def kill(self, name: str) -> None:
        """SIGKILL a process and all that it forked, at one moment, as the kernel's memory killer or a power cut would."""
        process = self.stack.processes[name]
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def freeze(self, name: str) -> None:
        """Stop a process and all that it forked, without their noticing."""
        os.killpg(self.stack.processes[name].pid, signal.SIGSTOP)
        self._frozen.add(name)

    def thaw(self, name: str) -> None:
        """Let it go on."""
        self._frozen.discard(name)
        with suppress(ProcessLookupError):
            os.killpg(self.stack.processes[name].pid, signal.SIGCONT)

    def await_ready(self) -> None:
        """Wait until the front end takes requests."""
        until(self._is_ready, "the front end to be ready")

    def _is_ready(self) -> bool:
        try:
            return self.call("GET", "/readyz").status_code == 200
        except requests.ConnectionError:
            return False

    def repair(self) -> None:
        """Whatever a test did: all processes run, and Stripe behaves."""
        for name in list(self._frozen):
            self.thaw(name)
        self.renderer.open()
        self.redis.start()
        self.redis_client().config_set("maxmemory", 0)
        self.postgres.start()
        self.stripe.call("DELETE", "/faults")
        self.stripe.release_holds()
        self.stripe.webhook_mode("normal")
        for name, process in list(self.stack.processes.items()):
            if not process.running:
                self.stack.start(name)
        self.await_ready()


@contextmanager
def installed(folder: Path, renderer: str, **settings: str) -> Iterator[Installation]:
    """Start an installation in a folder, and stop it at the end. ``renderer``: the path of wkhtmltopdf.

    Nothing of the developer's own settings is passed on: a real key in the environment must not end up in a test.
    """
    gate = RendererGate(folder / "bin", renderer)
    clock_file = folder / "clock"
    environment = {
        "PATH": f"{gate.folder}:{os.environ['PATH']}",
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        clock.CLOCK_FILE_VARIABLE: str(clock_file),
    }
    with running_stack(folder / "stack", {**environment, **settings}) as stack:
        yield Installation(stack, gate, clock_file)
    shutil.rmtree(folder)
