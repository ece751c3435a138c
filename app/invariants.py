"""What must hold in an installation, whatever has crashed: a stable name each, what it says, and what to do where it does not.

``paywindow doctor --audit`` checks all of it (:mod:`paywindow.actors.auditor`) and changes nothing. docs/audit.md shows this
table.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

#: Violations of one invariant that are kept with their details; beyond that they are only counted.
KEPT = 1000


@dataclass(frozen=True, slots=True)
class Invariant:
    """``holds``: what is true of a sound installation; ``advice``: what to do where it is not."""

    holds: str
    advice: str


INVARIANTS: dict[str, Invariant] = {
    "session_explained": Invariant(
        "Every session is final, or something will move it: a timer that is not overdue, a bank that decides, or a hold that was "
        "announced.",
        "An overdue timer: are the workers of sweeps and windows alive? A hold that nobody was told of: `paywindow sessions "
        "resolve`. Otherwise `paywindow sessions show` tells how it came to this; expire or cancel the session.",
    ),
    "status_agrees": Invariant(
        "A completed session has exactly one payment that settles it, any other session none; expired and canceled ones have "
        "freed their auction; the audit trail ends with the status.",
        "Somebody wrote to the tables by hand, or restored a part of them. Stripe has the truth about the money: `paywindow "
        "reconcile`. Correct the row by the audit trail in `paywindow sessions show`.",
    ),
    "one_session_an_auction": Invariant(
        "An auction has at most one session that has not freed it, and belongs to one payment at most.",
        "Is the index `one_unreleased_session_per_auction` there and valid? Cancel the newer session; refund its payment.",
    ),
    "attempt_ended": Invariant(
        "Every attempt has ended, or is the one that its session counts on, or is being closed.",
        "Its page may be payable although nobody wants its money: expire it in Stripe's dashboard; `paywindow reconcile "
        "--repair` does that, too.",
    ),
    "payment_placed": Invariant(
        "Every payment settles its session, is given back, or is held.",
        "Decide whether to keep or to refund it: `paywindow sessions resolve`, or a refund in Stripe's dashboard.",
    ),
    "money_adds_up": Invariant(
        "Of each payment: what went back is no more than what came, all in one currency; its status says what went back; the "
        "fee and what the seller was sent lie within the amount; what settled is what was asked, or what an operator accepted.",
        "Compare with the charge in Stripe's dashboard, whose amounts are what moved, and correct the row by it.",
    ),
    "share_followed": Invariant(
        "What a seller is due and has not, or has and is not due, is waited for with a date.",
        "Send or take back the difference by a transfer in Stripe's dashboard, or have it looked at again: set the payment's "
        "`share_due_at` to now.",
    ),
    "books_equal_stripe": Invariant(
        "The books and Stripe agree on payments, pages, refunds, disputes, transfers and events.",
        "Each finding's code is explained in [reconciliation](reconciliation.md); `paywindow reconcile --repair` mends what "
        "the rules decide.",
    ),
    "receipts_gapless": Invariant(
        "Every series of receipts, credit notes and statements is numbered without a gap, and up to its counter.",
        "Rows were deleted, or a counter was set by hand. Bring the row back from a backup; never give the number out again.",
    ),
    "receipt_issued": Invariant(
        "Every settlement has its receipt, every refund of it a credit note, every split sale a statement, or is about to "
        "get it; every document is drawn, or about to be.",
        "The follow-up was lost. Put it back: a row in `outbox` for the actor `receipts.issue`, "
        "`receipts.issue_credit_note`, `receipts.issue_statement` or `receipts.render`, due now.",
    ),
    "receipt_stored": Invariant(
        "Every stored document is there, with the SHA-256 that is on record.",
        "Restore the stored version by the id on record. The row has all that the document says: `paywindow receipts render` "
        "draws it again, with other bytes.",
    ),
    "event_handled": Invariant(
        "Every event is handled, or will be tried again at a time that is not overdue.",
        "A parked one waits for a person: `paywindow events show` tells its error, `paywindow events replay` handles it again. "
        "An overdue one waits for `sweeps.inbox`: is the worker of sweeps alive?",
    ),
    "follow_up_done": Invariant(
        "Every follow-up in the outbox will be sent again at a time that is not overdue, to an actor that exists.",
        "It waits for `sweeps.outbox`: is the worker of sweeps alive? `paywindow dead list` tells why its actor fails.",
    ),
    "command_answered": Invariant(
        "Every command has its outcome, or something under way that brings it: a page that is being opened, a refund that is "
        "being made, or the next try.",
        "The marketplace may repeat the command under the same key. `paywindow backlog operations` lists what waits.",
    ),
    "stripe_asked": Invariant(
        "What Stripe was to be asked for (a page, a refund, a movement, figures) will be asked for again, at a time that is not "
        "overdue.",
        "`paywindow backlog` shows the last error of each. It waits for a sweep: is the worker of sweeps alive, and does Stripe "
        "answer?",
    ),
    "notification_delivered": Invariant(
        "Every notification was handed to a sink and delivered, or is within its retries, or was given up with a reason.",
        "`paywindow notifications replay` begins anew. Overdue ones wait for `sweeps.notifications`: is the worker of "
        "receipts alive?",
    ),
    "queues_worked": Invariant(
        "No message is dead, overdue, or in the hands of a worker that is gone.",
        "`paywindow dead list` shows dead letters with their errors: run them again, or discard them. The others wait for a "
        "worker of their queue's role.",
    ),
    "redis_agrees": Invariant(
        "What Redis shows of a session (the snapshot, the time that its window has left) is what Postgres says, or is missing "
        "and made anew when it is asked for.",
        "`sweeps.window_mirror` repairs a remaining time within a minute. A snapshot behind Postgres means that Redis came back "
        "with older data: `paywindow backfill`, with `--days` back to when the session was created. One ahead of it means that "
        "an older database was restored: delete the keys `pw:session:*`.",
    ),
    "processes_heard": Invariant(
        "No process is connected and gives no sign of life.",
        "It is frozen, or its thread that gives signs has died: restart it.",
    ),
}


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing that must not be. ``subject``: the id, number or name that it is true of."""

    invariant: str
    subject: str
    detail: str


@dataclass(slots=True)
class Tally:
    """What was looked at for one invariant: how many things, and what is wrong with which of them."""

    invariant: str
    checked: int = 0
    violated: int = 0
    violations: list[Violation] = field(default_factory=list)

    def add(self, checked: int, found: Iterable[tuple[str, str]]) -> None:
        """Count so many more things, and those among them that are wrong: subject and detail."""
        self.checked += checked
        for subject, detail in found:
            self.violated += 1
            if len(self.violations) < KEPT:
                self.violations.append(Violation(self.invariant, subject, detail))


def as_markdown() -> str:
    """The table of docs/audit.md."""
    rows = [f"| `{name}` | {found.holds} | {found.advice} |" for name, found in INVARIANTS.items()]
    return "\n".join(["| invariant | holds | where it does not |", "| --- | --- | --- |", *rows])


if __name__ == "__main__":
    print(as_markdown())  # noqa: T201 - for whoever writes the page anew
