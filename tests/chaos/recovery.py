"""How long work stands still after a fault: from the blow to the next settlement of what was acknowledged before it, and after.

Work is acknowledged when the front end has answered 200 to the webhook that tells of a payment; it is finished when the payment
is settled in Postgres. A watcher notes when each payment is first seen settled, in real time.
"""

import threading
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import psycopg2
from chaos.books import Books

_LOOK_SECONDS = 0.1
_SETTLED = "SELECT stripe_payment_intent_id AS payment FROM transactions WHERE settled_at IS NOT NULL"
_PAYMENTS = "SELECT id, payment_intent_id AS payment FROM stripe_events WHERE type = 'checkout.session.completed'"
#: Blow to settlement, by "kind, before" and "kind, after", in seconds.
Times = dict[str, list[float]]


@dataclass(frozen=True, slots=True)
class _Struck:
    kind: str
    at: float


class Recovery:
    """Watches one run after the other."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._stopping = threading.Event()
        self._struck: list[_Struck] = []
        self._settled: dict[str, float] = {}
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin with a run."""
        self._stopping.clear()
        self._struck, self._settled = [], {}
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def struck(self, kind: str) -> None:
        """A blow falls now."""
        self._struck.append(_Struck(kind, time.time()))

    def stop(self, attempts: list[dict[str, Any]]) -> Times:
        """End the watch. ``attempts``: all deliveries of webhooks, as the sandbox lists them."""
        self.abandon()
        payments = {row["id"]: row["payment"] for row in self._books.rows(_PAYMENTS)}
        acknowledged: dict[str, float] = {}
        for attempt in attempts:
            if attempt["status"] == 200 and attempt["event"] in payments:
                acknowledged.setdefault(payments[attempt["event"]], attempt["at"])
        times: Times = defaultdict(list)
        for blow in self._struck:
            for when, seconds in self._times(blow, acknowledged):
                times[f"{blow.kind}, work acknowledged {when}"].append(round(seconds, 2))
        return dict(times)

    def abandon(self) -> None:
        """End the watch of a run that has failed. May be called again."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def _times(self, blow: _Struck, acknowledged: dict[str, float]) -> list[tuple[str, float]]:
        """How long the first settlement took of what waited when the blow fell, and of what came after it."""
        done = [(at, self._settled[payment]) for payment, at in acknowledged.items() if payment in self._settled]
        before = [settled - blow.at for at, settled in done if at <= blow.at < settled]
        after = [settled - blow.at for at, settled in done if at > blow.at]
        return [(name, min(found)) for name, found in (("before", before), ("after", after)) if found]

    def _watch(self) -> None:
        while not self._stopping.wait(_LOOK_SECONDS):
            try:
                rows = self._books.rows(_SETTLED)
            except psycopg2.Error:
                continue  # Postgres is being struck; what it settled is seen when it is back
            at = time.time()
            for row in rows:
                self._settled.setdefault(row["payment"], at)
        self._books.close()
