"""Generated interleavings: whatever the order of things around a deadline, no payment is lost and none is kept twice.

Hypothesis draws what happens: buyers pay, time passes, webhooks arrive, sweeps run, admins move deadlines, Stripe breaks, workers
are killed, and all of that also in the middle of an actor, between its call to Stripe and its commit. Everything is real but
the clock, which stands still between steps, and the broker. ``make courses`` runs many more; a failure there names its seed:
``make courses SEED=<seed> RUNS=100``.
"""

import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from dramatiq import Message
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from support.interruptions import A_FEW, Stage, Trap, at_length, lay, runs_to_a_seed, seeds

from paywindow import ids, messages
from paywindow.models import database as db
from paywindow.models import snapshots
from paywindow.models.database import transaction
from paywindow.models.tables import (
    CheckoutAttempt,
    Notification,
    Operation,
    Outbox,
    PaymentSession,
    Receipt,
    ReceiptCounter,
    Refund,
    StripeEvent,
    Transaction,
    Transition,
)
from paywindow.models.windows import OPEN
from paywindow.published import session_key, window_key
from paywindow.states import PAYABLE, Event, Kind, Status, answer, releases

SWEEPS = ("sweeps.attempts", "sweeps.inbox", "sweeps.outbox", "sweeps.refunds", "sweeps.windows")
POLICIES = ("refund", "refund", "accept", "hold")

CARDS = {
    "pays": "4242424242424242",
    "declined": "4000000000000002",
    "3ds": "4000000000003220",
    "3ds no": "4000008400001629",
}
OUTAGES = ("refuse_connection", "500", "429")
#: The work is done, and the answer is lost: once (the SDK asks again) or twice (nobody knows).
LOST = st.sampled_from(["500_after_work", "timeout_after_work"])
COMMANDS = ("window.extend", "window.expire", "window.reopen", "checkout.cancel", "payment.retry")
MONEY_COMMANDS = ("payment.refund", "payment.resolve")
TABLES = (
    *(Transition, Notification, Outbox, StripeEvent, Receipt, ReceiptCounter, Refund),
    *(Transaction, Operation, CheckoutAttempt, PaymentSession),
)


#: Events that give a session its auction back; so does whatever completes it.
TAKES_BACK = ("reopen", "submitted")


@dataclass(frozen=True)
class Charge:
    """A successful charge, and how its session stood at that moment."""

    id: str
    session: uuid.UUID
    auction: uuid.UUID
    created: datetime
    deadline: datetime


class World(Stage):
    """The shop, with all auctions, sessions and buyers."""

    def reset(self) -> None:
        """A new world."""
        self.clear()
        self.failed = self.without_webhooks = self.away = False
        self.policy = POLICIES[0]
        self.auctions: list[uuid.UUID] = []
        self.sessions: list[uuid.UUID] = []
        self.pages: list[str] = []
        self.commands: list[Message[Any]] = []
        self.charges: list[Charge] = []
        with transaction():
            # A fraction of the time that TRUNCATE takes; without triggers, or the audit trail would refuse.
            db.database.execute_sql("SET LOCAL session_replication_role = replica")
            for table in TABLES:
                table.delete().execute()
            db.database.execute_sql("SELECT setseed(0.5)")  # waits have some randomness

    def act(self, name: str, *arguments: Any, **named: Any) -> None:
        """Something happens; afterwards, what must always hold is checked."""
        self.counts["steps"] += 1
        try:
            getattr(self, name)(*arguments, **named)
            self.check_always()
        except BaseException:
            self.failed = True
            raise

    # What can happen

    def pay(self, page: int, card: str) -> None:
        """A buyer pays on any page that was ever shown to him and still is one."""
        self._buyer([entry for entry in self._shown() if entry["status"] == "open"], page, "pay", card=CARDS[card])

    def authenticate(self, page: int, passed: bool) -> None:
        """A buyer comes back from the bank."""
        self._buyer([entry for entry in self._shown() if entry["authenticating"]], page, "authenticate", passed=passed)

    def last_second(self, session: int, seconds: float, card: str) -> None:
        """Time passes until a moment near the deadline, and a buyer pays."""
        self.approach(session, seconds)
        self.pay(session, card)

    def _shown(self) -> list[dict[str, Any]]:
        return [entry for entry in self.ledger()["sessions"] if entry["id"] in self.pages]

    def _buyer(self, pages: list[dict[str, Any]], which: int, step: str, **how: Any) -> None:
        if not pages:
            return
        entry = pages[which % len(pages)]
        page = entry["id"]
        result = self.shop.control(f"checkout/{page}/{step}", **how)
        if result["result"] != "succeeded":
            return
        self.counts["charges"] += 1
        session = self.shop.session(entry["client_reference_id"])
        created = datetime.fromtimestamp(int(self.moment.timestamp()), UTC)
        self.charges.append(Charge(result["charge"], session.id, session.auction_id, created, session.expires_at))

    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.pass_time(timedelta(seconds=seconds))

    def approach(self, session: int, seconds: float) -> None:
        """Time passes until a moment near the deadline, or near the page's end."""
        row = self.shop.session(self.sessions[session % len(self.sessions)])
        if row.expires_at + timedelta(seconds=seconds) > self.moment:
            self.wait((row.expires_at + timedelta(seconds=seconds) - self.moment).total_seconds())

    def webhook(self, event: int, times: int) -> None:
        """One of the events that nobody knows of yet arrives, perhaps twice."""
        new = self.news()
        if new and not self.without_webhooks:
            self.receive(new[event % len(new)], times)

    def due(self, session: int, seconds: float) -> None:
        """Time passes until a moment near the deadline, and the sweep finds what is due."""
        self.approach(session, seconds)
        self.sweep("sweeps.windows")
        self.work()

    def command(self, kind: str, session: int, minutes: int) -> None:
        """The marketplace or an admin wants something."""
        request = {"session_id": str(self.sessions[session % len(self.sessions)]), "reason": "asked for"}
        if kind in ("window.extend", "window.reopen"):
            request |= {"minutes": minutes, "until": None}
        self._command(messages.command(kind, uuid.uuid4(), "admin", ids.fingerprint(kind, request), request))

    def money(self, kind: str, session: int, share: int) -> None:
        """The marketplace gives (a part of) a payment back, or an admin ends a hold."""
        request: dict[str, Any] = {
            "session_id": str(self.sessions[session % len(self.sessions)]),
            "reason": "asked for",
        }
        if kind == "payment.refund":
            amount = None if share == 0 else str(share * 50)
            request |= {"transaction_id": None, "amount": amount, "release_auction": share == 0}
        else:
            request["decision"] = "accept" if share % 2 else "refund"
        self._command(messages.command(kind, uuid.uuid4(), "admin", ids.fingerprint(kind, request), request))

    def next_bidder(self, auction: int, minutes: int) -> None:
        """The marketplace offers an auction to somebody else."""
        wanted = self.auctions[auction % len(self.auctions)]
        request = self.shop.request(auction_id=str(wanted), window_minutes=minutes, late_policy=self.policy)
        self._command(self.shop.create_message(request))

    def winner(self, minutes: int) -> None:
        """Another auction has been won."""
        self.auctions.append(uuid.uuid4())
        self.next_bidder(len(self.auctions) - 1, minutes)

    def _command(self, message: Message[Any]) -> None:
        self.commands.append(message)
        self.run(message)

    def repeat(self, command: int) -> None:
        """A client repeats a command under the same key."""
        self.run(self.commands[command % len(self.commands)])

    def outage(self, kind: str) -> None:
        """Stripe cannot be used until it comes back."""
        self.away = True
        for path in ("/v1/checkout", "/v1/refunds"):
            self.shop.fault(kind, path_prefix=path, times=1_000_000)

    def hiccup(self, kind: str, times: int, path: str) -> None:
        """The answer to the next call is lost."""
        self.away = True
        self.shop.fault(kind, path_prefix="/v1/", path_suffix=path, method="POST", times=times)

    def back(self) -> None:
        """Stripe can be used again."""
        self.away = False
        self.shop.mend()

    def interrupt(self, point: str, after: int, between: tuple[Any, ...] | None, during: tuple[Any, ...]) -> None:
        """While one thing happens, the actor that comes to a point is killed, or another thing gets in between."""
        self.trap = Trap(point, after, None if between is None else lambda: self.act(*between))
        self.act(*during)

    # Checks

    def check_always(self) -> None:
        """What must hold at every moment."""
        pages = {page["id"]: page for page in self.ledger()["sessions"]}
        with transaction():
            sessions = {row.id: row for row in PaymentSession.select().order_by(PaymentSession.created_at)}
            attempts = list(CheckoutAttempt.select().where(CheckoutAttempt.stripe_checkout_id.is_null(False)))
        self.sessions = list(sessions)
        payable = []
        for attempt in attempts:
            page, session = attempt.stripe_checkout_id, sessions[attempt.session_id]
            current = attempt.status == "open" and attempt.number == session.attempt_number
            if current and session.status in PAYABLE and session.hold_reason is None and page not in self.pages:
                self.pages.append(page)
            if pages[page]["status"] == "open":
                payable.append(session.id)
                hidden = session.released_at is None or page not in self.pages
                assert hidden, f"a page can be paid, though its session is {session.status}"
        assert len(payable) == len(set(payable)), "two pages of a session can be paid"
        unreleased = [row.auction_id for row in sessions.values() if row.released_at is None]
        assert len(unreleased) == len(set(unreleased)), "two open sessions of an auction"
        with transaction():
            settled = Transaction.select().where(
                Transaction.settled_at.is_null(False), Transaction.status != "refunded"
            )
            won = [sessions[row.session_id].auction_id for row in settled]
        assert len(won) == len(set(won)), "an auction was sold twice"
        for row in sessions.values():
            if (
                row.status in PAYABLE
                and (row.hold_reason, row.released_at) == (None, None)
                and row.expires_at <= self.moment
            ):
                self._check_closing(row)

    def _check_closing(self, session: PaymentSession) -> None:
        found = self.shop.state.hmget(session_key(session.id), "v", "closes_ms", "buyer_closing")
        if found[0] is not None and int(found[0]) == session.version:
            assert int(found[1]) == int(session.expires_at.timestamp() * 1000)
            shown = json.loads(found[2])["paymentSession"]
            assert (shown["closing"], shown["stripeCheckoutUrl"]) == (True, None)

    def settle(self) -> None:
        """Everything heals; time passes until nothing is left to do."""
        self.trap = None
        self.back()
        for _ in range(400):
            self.told = {
                row.id for row in self.shop.rows(StripeEvent)
            }  # Stripe, or a look at its list, brings the others
            for event in [] if self.without_webhooks else self.news():
                self.receive(event)
            for message in self.commands:
                if self._outcome(message) is None:
                    self.run(message)
            for actor in SWEEPS:
                self.sweep(actor)
            self.work()
            self.check_always()
            left = self._unfinished()
            if not left:
                return
            step = max(min(moment for _, moment in left) - self.moment, timedelta(milliseconds=1))
            self.wait(step.total_seconds())
        raise AssertionError(f"never finished: {left}")

    def _outcome(self, message: Message[Any]) -> str | None:
        with transaction():
            row = Operation.get_or_none(Operation.id == message.kwargs["operation_id"])
        return None if row is None else row.outcome

    def _unfinished(self) -> list[tuple[str, datetime]]:
        parked = self.shop.rows(StripeEvent, StripeEvent.parked_at.is_null(False))
        assert not parked, [(row.type, row.last_error) for row in parked]
        with transaction():
            outbox = Outbox.select().where(Outbox.actor != "receipts.render")
            events = StripeEvent.select().where(StripeEvent.handled_at.is_null())
            claimed = CheckoutAttempt.select().where(CheckoutAttempt.status == "claimed")
            operations = Operation.select().where(Operation.outcome.is_null())
            refunds = Refund.select().where(Refund.status == "claimed")
            due = PaymentSession.select().where(*OPEN, PaymentSession.expires_at <= self.moment)
            return [
                *((row.actor, row.next_send_at) for row in outbox),
                *((f"{row.type}: {row.last_error}", row.next_try_at) for row in events),
                *((f"attempt {row.number} ({row.kind}): {row.last_error}", row.next_try_at) for row in claimed),
                *((f"refund: {row.last_error}", row.next_try_at) for row in refunds),
                *((row.kind, self.moment) for row in operations),
                *((f"{row.status} past its deadline", row.due_at) for row in due),
            ]

    def run_out(self) -> None:
        """Time passes until no window is open."""
        for _ in range(20):
            ends = [row.expires_at for row in self.shop.rows(PaymentSession, *OPEN)]
            if not ends:
                return
            self.wait(max((max(ends) - self.moment).total_seconds(), 0))
            self.settle()
        raise AssertionError("a window does not close")

    def check_books(self) -> None:
        """What must hold once everything is settled."""
        ledger = self.ledger()
        sessions = {row.id: row for row in self.shop.rows(PaymentSession)}
        transactions = self.shop.rows(Transaction)
        self._check_pages(ledger["sessions"], sessions)
        self._check_money(ledger["charges"], sessions, transactions)
        self._check_refunds(ledger["refunds"])
        self._check_receipts(transactions)
        for session in sessions.values():
            self._check_trail(session)
            self._check_published(session)

    def _check_pages(self, pages: list[dict[str, Any]], sessions: dict[uuid.UUID, PaymentSession]) -> None:
        count: dict[uuid.UUID, int] = {}
        for page in pages:
            if page["status"] == "open":
                session = sessions[uuid.UUID(page["client_reference_id"])]
                assert session.released_at is None, f"a page can be paid, though its session is {session.status}"
                assert session.status in PAYABLE, f"a page can be paid, though its session is {session.status}"
                count[session.id] = count.get(session.id, 0) + 1
        assert all(open_pages == 1 for open_pages in count.values()), "two pages of a session can be paid"

    def _check_money(
        self, charges: list[dict[str, Any]], sessions: dict[uuid.UUID, PaymentSession], rows: list[Transaction]
    ) -> None:
        succeeded = {charge["id"] for charge in charges if charge["status"] == "succeeded"}
        assert succeeded == {charge.id for charge in self.charges}
        booked = [row.stripe_charge_id for row in rows if row.status != "failed"]
        assert sorted(map(str, booked)) == sorted(succeeded), "the books do not have each charge once"
        for charge in self.charges:
            row = next(row for row in rows if row.stripe_charge_id == charge.id)
            session = sessions[charge.session]
            in_time = charge.created <= charge.deadline
            at_stripe = next(each for each in charges if each["id"] == charge.id)
            if row.settled_at is not None:
                assert session.status == Status.COMPLETED
                assert session.released_at is None or row.status == "refunded"
            elif session.hold_reason is None:
                self.counts["given back"] += 1
                assert at_stripe["amount_refunded"] == row.amount_minor, "money neither settled nor given back nor held"
                assert row.status == "refunded"
            else:
                self.counts["held"] += 1
                assert at_stripe["amount_refunded"] == 0
                assert not in_time, f"paid in time, yet held: {session.hold_reason}"
            if in_time and row.settled_at is None:
                rivals = [
                    other
                    for other in rows
                    if other.settled_at and sessions[other.session_id].auction_id == charge.auction
                ]
                decided = any(row.event == Event.RESOLVE_REFUND for row in self.shop.transitions(session))
                needed = rivals or decided or session.status == Status.CANCELED
                assert needed, "paid in time, and given back without need"
        paid = {row.session_id for row in rows if row.settled_at is not None}
        assert paid == {row.id for row in sessions.values() if row.status == Status.COMPLETED}

    def _check_refunds(self, at_stripe: list[dict[str, Any]]) -> None:
        booked = {
            row.stripe_refund_id: (row.amount_minor, row.status)
            for row in self.shop.rows(Refund)
            if row.stripe_refund_id
        }
        assert booked == {refund["id"]: (refund["amount"], refund["status"]) for refund in at_stripe}
        self.counts["refunds"] += len(booked)

    def _check_receipts(self, transactions: list[Transaction]) -> None:
        receipts = [row for row in self.shop.rows(Receipt) if row.kind == "receipt"]
        settled = [row.id for row in transactions if row.settled_at is not None]
        notes = {row.refund_id for row in self.shop.rows(Receipt) if row.kind == "credit_note"}
        due = {row.id for row in self.shop.rows(Refund) if row.status == "succeeded" and row.transaction_id in settled}
        assert notes == due, "each refund of a settled payment has its credit note"
        assert sorted(row.transaction_id for row in receipts) == sorted(settled), "each settled payment has one receipt"
        assert sorted(row.number for row in receipts) == list(range(1, len(receipts) + 1)), "numbers have a gap"

    def _check_trail(self, session: PaymentSession) -> None:
        trail = sorted(self.shop.transitions(session), key=lambda row: row.version)
        status, hold, told, free = Status.PENDING, None, [], False
        for row in trail:
            cell = answer(Event(row.event), status, held=hold is not None)
            assert row.from_status == status, "the trail has a gap"
            assert row.to_status == (cell.status or status), (
                f"{row.event} does not lead from {status} to {row.to_status}"
            )
            assert cell.kind in (Kind.MOVE, Kind.STAY, Kind.HOLD, Kind.REFUND)
            status, hold = Status(row.to_status), row.hold_reason
            if releases(Event(row.event), cell) and not free:
                told.append("auction.released")
            free = releases(Event(row.event), cell) or (
                free and status != Status.COMPLETED and row.event not in TAKES_BACK
            )
            if cell.status and row.to_status in ("expired", "canceled", "completed", "failed"):
                told.append(f"payment.{row.to_status}")
        assert (session.status, session.hold_reason) == (status, hold)
        with transaction():
            receipts = Receipt.select().where(Receipt.session == session.id).count()
            kinds = list(Notification.select(Notification.type).where(Notification.session == session.id).tuples())
        touches = session.version - 1 - len(trail)
        assert touches >= receipts, "two changes under one version"
        for kind in {"auction.released", "payment.expired", "payment.canceled", "payment.completed", "payment.failed"}:
            assert kinds.count((kind,)) == told.count(kind), f"{kind} was not told once for each time it happened"

    def _check_published(self, session: PaymentSession) -> None:
        if not self.shop.state.exists(session_key(session.id)):
            self.run(messages.publish_session(session.id))  # as the front end asks for after a wipe
        with transaction():
            right = snapshots.snapshot(session, self.shop.settings)
        found = {
            key.decode(): value.decode() for key, value in self.shop.state.hgetall(session_key(session.id)).items()
        }
        assert found == {"v": str(session.version), **{key: str(value) for key, value in right.fields().items()}}
        self.run(messages.build("sweeps.window_mirror"))
        left = self.shop.state.pttl(window_key(session.id)) / 1000
        if right.closes_ms and session.expires_at > self.moment:
            assert abs(left - (session.expires_at - self.moment).total_seconds()) <= 5
        else:
            assert left < 0, "the window's remaining time outlives it"


INDEX = st.integers(0, 7)
CARD = st.sampled_from(["pays", *CARDS])
MINUTES = st.sampled_from([5, 45, 1440, 1800])
SECONDS = st.sampled_from([0.5, 5, 31, 120, 900, 3600, 43_200, 86_400])
AROUND = st.sampled_from([-1, -0.25, 0, 0.25, 1])
DURING = st.one_of(
    st.tuples(st.just("due"), INDEX, AROUND),
    st.tuples(st.just("command"), st.sampled_from(COMMANDS), INDEX, MINUTES),
    st.tuples(st.just("money"), st.sampled_from(MONEY_COMMANDS), INDEX, st.integers(0, 3)),
    st.tuples(st.just("next_bidder"), INDEX, MINUTES),
    st.tuples(st.just("webhook"), INDEX, st.just(1)),
    st.tuples(st.just("last_second"), INDEX, AROUND, CARD),
    st.tuples(st.just("work")),
)
ACTS = st.one_of(
    DURING,
    st.tuples(st.just("pay"), INDEX, CARD),
    st.tuples(st.just("authenticate"), INDEX, st.booleans()),
    st.tuples(st.just("wait"), SECONDS),
    st.tuples(st.just("approach"), INDEX, AROUND),
    st.tuples(st.just("work_one"), INDEX),
    st.tuples(st.just("wipe")),
    st.tuples(st.just("repeat"), INDEX),
)


POINT = {"point": st.sampled_from(["ask", "answer", "send"]), "after": st.integers(0, 2)}
#: What Hypothesis may choose from: a name, what the world does, and with which arguments.
RULES: list[tuple[str, str, dict[str, Any]]] = [
    ("pay", "pay", {"page": INDEX, "card": CARD}),
    ("authenticate", "authenticate", {"page": INDEX, "passed": st.booleans()}),
    ("last_second", "last_second", {"session": INDEX, "seconds": AROUND, "card": CARD}),
    ("too_late", "last_second", {"session": INDEX, "seconds": st.sampled_from([1, 30]), "card": CARD}),
    ("wait", "wait", {"seconds": SECONDS}),
    ("approach", "approach", {"session": INDEX, "seconds": AROUND}),
    ("due", "due", {"session": INDEX, "seconds": AROUND}),
    ("webhook", "webhook", {"event": INDEX, "times": st.integers(1, 2)}),
    ("sweep", "sweep", {"actor": st.sampled_from(SWEEPS)}),
    ("work_one", "work_one", {"position": INDEX}),
    ("work", "work", {}),
    ("wipe", "wipe", {}),
    ("command", "command", {"kind": st.sampled_from(COMMANDS), "session": INDEX, "minutes": MINUTES}),
    ("money", "money", {"kind": st.sampled_from(MONEY_COMMANDS), "session": INDEX, "share": st.integers(0, 3)}),
    ("repeat", "repeat", {"command": INDEX}),
    ("next_bidder", "next_bidder", {"auction": INDEX, "minutes": MINUTES}),
    ("outage", "outage", {"kind": st.sampled_from(OUTAGES)}),
    (
        "hiccup",
        "hiccup",
        {"kind": LOST, "times": st.integers(1, 2), "path": st.sampled_from(["/expire", "/sessions", "/refunds"])},
    ),
    ("back", "back", {}),
    ("interrupt", "interrupt", {**POINT, "between": ACTS, "during": DURING}),
    ("kill", "interrupt", {**POINT, "between": st.none(), "during": DURING}),
    (
        "kill_in_a_transaction",
        "interrupt",
        {"point": st.just("statement"), "after": st.integers(0, 25), "between": st.none(), "during": DURING},
    ),
]


def machine(world: World) -> type[RuleBasedStateMachine]:
    """The state machine over this world."""

    class Interleavings(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            world.reset()

        @initialize(
            minutes=MINUTES,
            without_webhooks=st.sampled_from([False, False, False, True]),
            policy=st.sampled_from(POLICIES),
            late=st.sampled_from([False, False, True]),
        )
        def begin(self, minutes: int, without_webhooks: bool, policy: str, late: bool) -> None:
            world.without_webhooks, world.policy = without_webhooks, policy
            world.act("winner", 5 if late else minutes)
            if late:  # only so short a window has a page that outlives it
                world.act("last_second", 0, 30, "pays")

        def teardown(self) -> None:
            if world.failed or not world.auctions:
                return
            world.settle()
            if not world.without_webhooks:
                world.check_books()
            world.run_out()
            world.check_books()

    def step(name: str, action: str) -> Callable[..., None]:
        def happen(self: Interleavings, **arguments: Any) -> None:
            world.act(action, **arguments)

        happen.__name__ = name
        return happen

    for name, action, arguments in RULES:
        found = rule(**arguments)(step(name, action))
        setattr(Interleavings, name, precondition(lambda _: world.away)(found) if name == "back" else found)
    return Interleavings


@pytest.fixture
def world(make_shop: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """The shop with its points of interruption laid."""
    world = World(make_shop(STRIPE_RATE_LIMIT="10000"))
    lay(world, monkeypatch)
    yield world
    told = ("runs", "steps", "charges", "refunds", "given back", "held", "interruptions", "kills")
    print(", ".join(f"{world.counts[name]} {name}" for name in told))  # noqa: T201 - make courses shows it


def run(world: World, examples: int, **more: Any) -> None:
    """Run the machine."""
    run_state_machine_as_test(
        more.pop("factory", machine(world)),
        settings=settings(
            max_examples=examples,
            stateful_step_count=25,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate, Phase.shrink],
            report_multiple_bugs=False,
            **more,
        ),
    )


def test_any_order_of_events_keeps_the_money_rules(world: World) -> None:
    run(world, A_FEW, derandomize=True)


@at_length
@pytest.mark.parametrize("number", seeds())
def test_any_order_of_events_keeps_the_money_rules_at_length(world: World, number: int) -> None:
    run(world, runs_to_a_seed(), factory=seed(number)(machine(world)), print_blob=True)
