"""The auditor: what must hold once everything has settled, whatever happened before.

Every check yields one line for each violation. They look from outside, at Stripe's ledger, Postgres, the receipts' store, the
marketplace's own memory and the processes of the machine.
"""

import hashlib
import json
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from chaos.ground import BUCKET, Ground
from chaos.market import Market
from support import accounts

from paywindow import ids
from paywindow.actors.event_walk import WANTED
from paywindow.dead_letters import DeadLetters
from paywindow.models import database

CLIENT = "dev"
FINAL = ("completed", "expired", "canceled")


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that must not be: which rule, of what, and how."""

    invariant: str
    subject: str
    detail: str

    def __str__(self) -> str:
        return f"{self.invariant}: {self.subject}: {self.detail}"


@dataclass
class Evidence:
    """What the checks look at, read once."""

    ground: Ground
    market: Market

    def __post_init__(self) -> None:
        self.rows = self.ground.books.rows
        self.ledger = self.ground.shop.stripe.ledger()
        self.sessions = {str(row["id"]): row for row in self.rows("SELECT * FROM payment_sessions")}


Check = Callable[[Evidence], Iterator[tuple[str, str]]]


def audit(ground: Ground, market: Market) -> list[Violation]:
    """All violations."""
    evidence = Evidence(ground, market)
    found = [Violation(name, *told) for name, check in CHECKS.items() for told in check(evidence)]
    return found + _product_audit(ground)


def books_equal_ledger(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """Every charge, refund, dispute, fee and balance, to the minor unit."""
    database.connect_to_read(evidence.ground.database_url)
    try:
        accounts.compare(evidence.ground.shop, evidence.ledger)
    except AssertionError as difference:
        yield "books", str(difference)[:1000]
    finally:
        database.disconnect()


def one_charge_an_auction(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """Of several successful charges of an auction all but one were given back, or wait for an operator."""
    pages = {page["payment_intent"]: page for page in evidence.ledger["sessions"]}
    kept: dict[str, list[str]] = defaultdict(list)
    for charge in evidence.ledger["charges"]:
        page = pages[charge["payment_intent"]]
        session = evidence.sessions.get(page["client_reference_id"])
        held = session is not None and session["hold_reason"] is not None
        if charge["status"] == "succeeded" and charge["amount_refunded"] < charge["amount"] and not held:
            kept[page["metadata"]["auction_id"]].append(charge["id"])
    for auction, charges in kept.items():
        if len(charges) > 1:
            yield auction, f"paid by {', '.join(charges)}"


def no_open_pages(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """No page can be paid any more: every session is over."""
    for page in evidence.ledger["sessions"]:
        session = evidence.sessions.get(page["client_reference_id"])
        if page["status"] == "open" and (session is None or session["hold_reason"] is None):
            yield page["id"], f"of session {page['client_reference_id']} is open"


def sessions_final(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """Every session is completed, expired or canceled, was refused by Stripe for good, or is held for a reason on record."""
    for session_id, row in evidence.sessions.items():
        refused = row["status"] == "failed" and row["released_at"] is not None
        if row["status"] not in FINAL and not refused and row["hold_reason"] is None:
            yield session_id, f"is {row['status']}"
        if row["status"] in ("expired", "canceled") and row["released_at"] is None and row["hold_reason"] is None:
            yield session_id, f"is {row['status']} and keeps its auction"


def promises_kept(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """What was answered 2xx is in Postgres, with one outcome, however often it was asked for."""
    known = {str(row["id"]): row for row in evidence.rows("SELECT id, outcome, session_id FROM operations")}
    for command in evidence.market.commands.values():
        subject = f"{command.path} {command.key}"
        row = known.get(str(ids.operation_id(CLIENT, command.key)))
        if command.promised and row is None:
            yield subject, "was acknowledged and is not in the database"
        elif row is not None and row["outcome"] is None:
            yield subject, "has no outcome"
        if len(set(command.outcomes)) > 1:
            yield subject, f"had several outcomes: {sorted(set(command.outcomes), key=str)}"
        for _, session_id in command.outcomes:
            if session_id is not None and session_id not in evidence.sessions:
                yield subject, f"was told of session {session_id}, which does not exist"
    for surprise in evidence.market.surprises:
        yield "front end", surprise


def events_known(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """Every webhook that was answered 200, and every event that means something, is in the inbox, and handled."""
    known = {
        row["id"]: row for row in evidence.rows("SELECT id, type, handled_at, parked_at, last_error FROM stripe_events")
    }
    for event in evidence.ground.all_events():
        if event["id"] not in known and event["type"] in WANTED:
            yield event["id"], f"{event['type']} was never learned of"
    for event_id, row in known.items():
        if row["handled_at"] is None:
            yield event_id, f"{row['type']} is {'parked' if row['parked_at'] else 'not handled'}: {row['last_error']}"


def nothing_unfinished(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """No follow-up, attempt, refund or delivery is on its way."""
    for what, query in {
        "outbox": "SELECT actor || ' ' || arguments AS what FROM outbox",
        "attempt": "SELECT id::text || ' ' || coalesce(last_error, '') AS what FROM checkout_attempts WHERE status = 'claimed'",
        "refund": "SELECT id::text || ' ' || coalesce(last_error, '') AS what FROM refunds WHERE status = 'claimed'",
        "delivery": "SELECT notification_id::text AS what FROM notification_deliveries WHERE delivered_at IS NULL",
        "lease": "SELECT id AS what FROM stripe_events WHERE next_try_at IS NOT NULL",
    }.items():
        for row in evidence.rows(query):
            yield what, row["what"]


def notifications_delivered(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """Every notification came at least once, as it was written."""
    bodies = evidence.ground.board.bodies
    for row in evidence.rows("SELECT id, type, payload FROM notifications"):
        if str(row["id"]) not in bodies:
            yield str(row["id"]), f"{row['type']} never came"
        elif bodies[str(row["id"])] != row["payload"]:
            yield str(row["id"]), f"{row['type']} came with another body"


def receipts_gapless(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """The numbers of each series are 1, 2, 3... up to its counter."""
    numbers: dict[str, list[int]] = defaultdict(list)
    for row in evidence.rows("SELECT series, number FROM receipts ORDER BY number"):
        numbers[row["series"]].append(row["number"])
    counters = {row["series"]: row["last_number"] for row in evidence.rows("SELECT * FROM receipt_counters")}
    for series in numbers.keys() | counters.keys():
        if numbers[series] != list(range(1, counters.get(series, 0) + 1)):
            yield series, f"has the numbers {numbers[series]}, and its counter says {counters.get(series)}"


def receipts_present(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """Each receipt's file is there, once, with the bytes that are on record; and there are no others."""
    stored = Counter(_stored_keys(evidence.ground))
    for row in evidence.rows("SELECT receipt_number, storage_key, sha256 FROM receipts"):
        key = row["storage_key"]
        if stored[key] != 1:
            yield row["receipt_number"], f"has {stored[key]} files"
        elif hashlib.sha256(_read(evidence.ground, key)).hexdigest() != row["sha256"]:
            yield row["receipt_number"], "has a file with other bytes than are on record"
        del stored[key]
    for key in stored:
        yield key, "is a file without a receipt"


def comparison_agrees(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """The last daily comparison left nothing that nobody has decided about."""
    query = (
        "SELECT code, subject, ours, theirs, outcome FROM reconciliation_findings WHERE outcome IN ('left', 'repairable') "
        "AND code <> 'seller_short' AND reconciliation_id = "
        "(SELECT id FROM reconciliations WHERE finished_at IS NOT NULL ORDER BY started_at DESC LIMIT 1)"
    )
    for row in evidence.rows(query):
        yield f"{row['code']} {row['subject']}", f"here {row['ours']}, at Stripe {row['theirs']}"


def no_dead_letters(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """Nothing fails for good once faults are over: what did meanwhile was run again, and succeeded."""
    for letter in DeadLetters(evidence.ground.queues).all():
        yield letter.id, f"{letter.actor} {letter.arguments}: {letter.error}"


def no_process_leaked(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """Every process that this installation has started belongs to one that should run."""
    for stray in evidence.ground.strays():
        yield "process", stray


CHECKS: dict[str, Check] = {
    each.__name__: each
    for each in (
        books_equal_ledger,
        one_charge_an_auction,
        no_open_pages,
        sessions_final,
        promises_kept,
        events_known,
        nothing_unfinished,
        notifications_delivered,
        receipts_gapless,
        receipts_present,
        comparison_agrees,
        no_dead_letters,
        no_process_leaked,
    )
}


def _stored_keys(ground: Ground) -> list[str]:
    if ground.storage == "s3":
        return ground.s3.versions(BUCKET)
    return [str(path.relative_to(ground.receipts)) for path in ground.receipts.rglob("*") if path.is_file()]


def _read(ground: Ground, key: str) -> bytes:
    if ground.storage == "s3":
        body: bytes = ground.s3.client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        return body
    return (ground.receipts / key).read_bytes()


def _product_audit(ground: Ground) -> list[Violation]:
    """What ``paywindow doctor --audit`` finds, as an operator would run it."""
    command = [sys.executable, "-m", "paywindow.cli", "doctor", "--audit", "--at-rest", "--json"]
    run = subprocess.run(command, env=ground.shop.stack.environment, capture_output=True, text=True, check=False)
    try:
        report: Any = json.loads(run.stdout)
    except json.JSONDecodeError:
        return [Violation("doctor --audit", f"exit code {run.returncode}", (run.stdout + run.stderr)[-1000:])]
    return [
        Violation(f"doctor --audit: {each['invariant']}", str(each["subject"]), str(each["detail"]))
        for each in report["violations"]
        if not _held_still(each)
    ]


def _held_still(violation: Any) -> bool:
    """The scheduler is stopped while the auditor looks (see ``settling``), and so is not heard if that takes long."""
    return bool(violation["invariant"] == "processes_heard" and violation["subject"].startswith("scheduler:"))
