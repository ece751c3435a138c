"""What is struck: one installation that serves many runs, its surroundings, and what keeps it up.

Each run begins on empty tables, an empty Redis, an empty Stripe and the real time; the processes stay, so that a run costs
seconds. Where receipts are kept is a setting of the workers: they are started anew where a run wants another place.
"""

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import requests
from chaos.board import Board
from chaos.books import Books
from chaos.clock import Clock
from chaos.faults.instants import GATES
from chaos.faults.storage import lift_limit
from chaos.recovery import Recovery
from chaos.supervisor import Supervisor
from psycopg2.errors import DeadlockDetected
from support.installation import Installation, installed, until
from support.s3 import CREDENTIALS, S3

from paywindow.actors.event_walk import WANTED
from paywindow.models import tables
from paywindow.notify.signatures import new_secret

BUCKET = "receipts"
_WORKERS = ("worker-interactive", "worker-sweeps", "worker-receipts")
_SETTINGS = {
    "PAYMENT_METHOD_TYPES": "card,us_bank_account",
    "SELLER_PAYOUTS": "collect",
    "PLATFORM_FEE_PERCENT": "7.25",
    # Sweeps share 0.4 of this; the suite has no time for Stripe's own limit.
    "STRIPE_RATE_LIMIT": "1000",
    "STRIPE_TIMEOUT_SECONDS": "3",
    "FRONT_WAIT_SECONDS": "3",
}
_AUTHORIZATION = {"Authorization": "Bearer sk_test_sandbox"}
_TABLES = ", ".join(getattr(tables, name)._meta.table_name for name in tables.__all__)


class Ground:
    """An installation and all that a fault can reach."""

    def __init__(self, shop: Installation, clock: Clock, board: Board, s3: S3) -> None:
        self.shop = shop
        self.clock = clock
        self.board = board
        self.s3 = s3
        self.database_url = shop.stack.environment["DATABASE_URL"]
        self.books = Books(self.database_url)
        self.recovery = Recovery(self.books)
        self.supervisor = Supervisor(shop.stack)
        self.storage = "folder"
        self.queues = shop.redis_client()
        self._home = shop.stack.environment["HOME"]
        self.books.execute(GATES)

    @property
    def receipts(self) -> Path:
        """The folder of receipts that are not in S3."""
        return Path(self.shop.stack.environment["RECEIPT_FOLDER"])

    @property
    def logs(self) -> Path:
        """The folder of the processes' logs, which begin with the run."""
        return self.shop.stack.folder / "logs"

    def begin(self, storage: str) -> None:
        """Forget the last run."""
        self.shop.stripe.reset()
        self._subscribe()
        with self.shop.redis_client() as client:
            client.flushall()
        until(self._emptied, "the tables to be empty")
        shutil.rmtree(self.receipts, ignore_errors=True)
        self.s3.reset(BUCKET)
        self.board.clear()
        self.clock.reset()
        for log in self.logs.iterdir():
            os.truncate(log, 0)
        if storage != self.storage:
            self._move_receipts(storage)

    def lift(self) -> None:
        """Whatever the faults left, also those that broke themselves: everything runs and answers again."""
        with suppress(ProcessLookupError):
            os.kill(self.shop.redis.pid, signal.SIGCONT)
        self.shop.redis.start()
        self.shop.postgres.start()
        self.s3.start()
        with self.shop.redis_client() as client:
            client.config_set("maxmemory", "0")
        lift_limit(self)
        self.board.refusing = False
        until(self._all_run, "the supervisor to have started everything")
        self.shop.repair()

    def events(self, **query: str | int) -> list[dict[str, Any]]:
        """A page of Stripe's list of events, newest first."""
        url = f"{self.shop.stack.sandbox_url}/v1/events"
        answer = requests.get(url, params=query, headers=_AUTHORIZATION, timeout=30)
        answer.raise_for_status()
        found: list[dict[str, Any]] = answer.json()["data"]
        return found

    def all_events(self) -> list[dict[str, Any]]:
        """All of them."""
        found: list[dict[str, Any]] = []
        while page := self.events(limit=100, **({"starting_after": found[-1]["id"]} if found else {})):
            found += page
        return found

    def finish_at_stripe(self) -> None:
        """Banks decide about refunds, buyers give up at their bank, sellers tell Stripe who they are."""
        stripe = self.shop.stripe
        stripe.settle_refunds()
        ledger = stripe.ledger()
        for page in ledger["sessions"]:
            if page["authenticating"]:
                stripe.authenticate(page["id"], passed=False)
        for account in ledger["accounts"]:
            if not account["charges_enabled"]:
                stripe.onboard(account["id"])

    def children(self, leader: int) -> list[int]:
        """The processes of a session, but for its leader: what one of ours has forked."""
        return [pid for pid, session in _sessions().items() if session == leader and pid != leader]

    def strays(self) -> list[str]:
        """Processes that were started by this installation and belong to none of those that should run."""
        known = {process.pid for process in self.shop.stack.processes.values()}
        found = []
        for pid, session in _sessions().items():
            with suppress(OSError):
                environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
                if f"HOME={self._home}".encode() in environment and session not in known:
                    found.append(f"{pid}: {Path(f'/proc/{pid}/cmdline').read_bytes().replace(bytes(1), b' ').decode()}")
        return found

    def _all_run(self) -> bool:
        return all(process.running for process in self.shop.stack.processes.values())

    def _subscribe(self) -> None:
        """Have Stripe send what going-live.md says to subscribe to, and nothing else."""
        (old,) = self.shop.stripe.webhooks()["endpoints"]
        url = f"{self.shop.stack.sandbox_url}/v1/webhook_endpoints"
        wanted = [("url", old["url"]), *(("enabled_events[]", kind) for kind in sorted(WANTED))]
        made = requests.post(url, data=wanted, headers=_AUTHORIZATION, timeout=30)
        made.raise_for_status()
        path = f"/webhooks/{made.json()['id']}/roll"
        self.shop.stripe.call("POST", path, secret=old["secrets"][0], keep_old=False)
        requests.delete(f"{url}/{old['id']}", headers=_AUTHORIZATION, timeout=30).raise_for_status()

    def _emptied(self) -> bool:
        try:
            self.books.execute(f"TRUNCATE {_TABLES}")
        except DeadlockDetected:  # with a sweep, which locks one table after the other as well
            return False
        return True

    def _move_receipts(self, storage: str) -> None:
        settings = {"PAYMENT_RECEIPT_BUCKET": BUCKET, "AWS_ENDPOINT_URL": self.s3.url, **CREDENTIALS}
        with self.supervisor.hands_off:
            for name in _WORKERS:
                self.shop.stack.processes[name].ask_to_stop()
            for name in settings:
                self.shop.stack.environment.pop(name, None)
            if storage == "s3":
                self.shop.stack.environment.update(settings)
            for name in _WORKERS:
                self.shop.stack.processes[name].stop()
                self.shop.stack.start(name)
        self.storage = storage


@contextmanager
def prepared(folder: Path) -> Iterator[Ground]:
    """An installation with its surroundings; nothing of it is left at the end. Raises :class:`RuntimeError` if something is."""
    renderer = shutil.which("wkhtmltopdf")
    if renderer is None:
        raise RuntimeError("wkhtmltopdf is needed; `make chaos` installs it")
    board, s3 = Board(), S3()
    settings = {**_SETTINGS, "NOTIFY_URLS": board.url, "NOTIFY_WEBHOOK_SECRETS": new_secret()}
    try:
        with installed(folder, renderer, **settings) as shop:
            ground = Ground(shop, Clock(folder / "clock"), board, s3)
            ground.supervisor.start()
            try:
                yield ground
            finally:
                ground.supervisor.stop()
                ground.books.close()
        shop.stack.processes.clear()
        if strays := ground.strays():
            raise RuntimeError(f"processes outlive the installation: {strays}")
    finally:
        board.close()
        s3.stop()


def _sessions() -> dict[int, int]:
    """The session of each process of the machine."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError, ProcessLookupError):
                found[int(entry.name)] = os.getsid(int(entry.name))
    return found
