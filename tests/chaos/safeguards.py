"""The test of the tests: safeguards that can be taken out of the workers, and what the audit must find then.

Each is a change of the text of one or two modules, made while a process imports them (``mutated/sitecustomize.py``); nothing in
the product knows of it. A text that the code does not have any more ends the process, and fails a test of this table.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_HOOK = Path(__file__).with_name("mutated")


@dataclass(frozen=True, slots=True)
class Change:
    """In the source of ``module``, ``old`` gives way to ``new``."""

    module: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Safeguard:
    """What it is for, how it is taken out, and the invariants of which at least one is violated without it."""

    protects: str
    changes: tuple[Change, ...]
    missed_by: frozenset[str]

    def without(self, folder: Path, environment: Mapping[str, str]) -> dict[str, str]:
        """What a process's environment needs beside its own so that it runs without the safeguard."""
        file = folder / "mutation.json"
        file.write_text(json.dumps([(each.module, each.old, each.new) for each in self.changes]))
        path = filter(None, (str(_HOOK), environment.get("PYTHONPATH")))
        return {"PYTHONPATH": os.pathsep.join(path), "PAYWINDOW_TEST_MUTATION": str(file)}

    def taken_out(self, folder: Path) -> bool:
        """Whether some process has imported every module without it."""
        applied = folder / "mutation.applied"
        modules = set(applied.read_text().split()) if applied.exists() else set()
        return modules == {each.module for each in self.changes}


SAFEGUARDS: dict[str, Safeguard] = {
    "savepoint-inbox": Safeguard(
        "An event whose handler fails stays in the inbox with its error, and is tried again for hours.",
        (
            Change(
                "paywindow.actors.events",
                "        with savepoint():\n            verdict =",
                "        if row is not None:\n            verdict =",
            ),
        ),
        frozenset({"queues_worked", "event_handled", "books_equal_stripe"}),
    ),
    "outbox-sweep": Safeguard(
        "A follow-up whose message was lost is sent again.",
        (Change("paywindow.actors.sweeps", "        outbox.claim_overdue(clock.now(), BATCH)\n", "        return\n"),),
        frozenset({"follow_up_done"}),
    ),
    "attempt-guard": Safeguard(
        "A page that Stripe opened for an attempt that its session does not want any more is closed.",
        (
            Change(
                "paywindow.actors.pages",
                '    outbox.follow_up("checkout.close_page", at, attempt_id=str(attempt.id))\n    _refuse_waiting(',
                "    _refuse_waiting(",
            ),
        ),
        frozenset({"attempt_ended", "books_equal_stripe"}),
    ),
    "auction-lock": Safeguard(
        "Of two creates for an auction the second finds the first one's session.",
        (
            Change(
                "paywindow.models.moves",
                '_AUCTIONS_LOCK = "pg_advisory_xact_lock('
                "(('x' || left(replace(auction_id::text, '-', ''), 16))::bit(64) >> 1)::bigint)\"\n",
                '_AUCTIONS_LOCK = "NULL"\n',
            ),
        ),
        frozenset({"one_session_an_auction"}),
    ),
    "reconcile": Safeguard(
        "A payment of which no webhook came is learned of all the same.",
        (
            Change(
                "paywindow.actors.event_walk",
                'as many pages as the sweeps\' share of calls allows."""\n',
                'as many pages as the sweeps\' share of calls allows."""\n    return\n',
            ),
            Change(
                "paywindow.actors.reconcile",
                '    """Go on with the daily comparison, or begin it when a day has passed."""\n',
                '    """Go on with the daily comparison, or begin it when a day has passed."""\n    return\n',
            ),
        ),
        frozenset({"books_equal_stripe"}),
    ),
}
