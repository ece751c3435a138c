"""Whatever a failed payment goes through, it is charged once at most, tried again within limits, and ends explained.

Each run is the course of one session, drawn by its number: cards are declined or pay, buyers click *retry* (also twice at
once), time passes and the timer retries, messages come twice, late, in another order or never, workers are killed between
Stripe's work and their commit, and Stripe does the work but answers with an error or not at all. Everything is real but
the clock, which stands still between steps, and the broker. ``make courses`` runs many more; a failure there names its seed,
a hundred courses each: ``make courses SEED=<seed> RUNS=100``.
"""

import random
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from dramatiq import Message
from peewee import fn
from support.interruptions import A_FEW, CHUNK, Stage, Trap, at_length, lay, runs_to_a_seed, seeds

from paywindow import ids, jsons, messages
from paywindow.models import database as db
from paywindow.models import retries, snapshots
from paywindow.models.tables import (
    CheckoutAttempt,
    Notification,
    Operation,
    Outbox,
    PaymentSession,
    Refund,
    StripeEvent,
    Transaction,
    Transition,
)
from paywindow.models.windows import OPEN
from paywindow.states import PAYABLE, Status

LIMIT = 3
SWEEPS = ("sweeps.attempts", "sweeps.inbox", "sweeps.outbox", "sweeps.refunds", "sweeps.windows")
TABLES = "payment_sessions, outbox, stripe_events, receipt_counters"

DECLINES = {
    "4000000000000002": "generic_decline",
    "4000000000009995": "insufficient_funds",
    "4000000000009987": "lost_card",
    "4000000000009979": "stolen_card",
    "4000000000000069": "expired_card",
    "4000000000000127": "incorrect_cvc",
    "4000000000000119": "processing_error",
    "4100000000000019": "fraudulent",
}
PAYS, ASKS, ASKS_THEN_DECLINES = "4242424242424242", "4000000000003220", "4000008400001629"
REFUSALS = {
    "not_failed",
    "retry_limit_reached",
    "session_expired",
    "already_paid",
    "payment_processing",
    "retry_under_way",
    "session_held",
    "session_closed",
}


class Course(Stage):
    """One payment session, and everything that can happen to it."""

    def begin(self, window_minutes: int) -> None:
        """A new session on an empty database."""
        self.clear()
        with db.transaction():
            db.database.execute_sql(f"TRUNCATE {TABLES} CASCADE")
        self.past: list[Message[Any]] = []
        self.pages: list[str] = []
        self.clicks: list[Message[Any]] = []
        self.session_id: uuid.UUID | None = None
        self.command = self.shop.create_message(self.shop.request(window_minutes=window_minutes))
        self.run(self.command)
        self.check_always()

    def follow(self, steps: list[tuple[Any, ...]]) -> None:
        """Take the steps, and end the course: first everything is settled, then the window runs out."""
        for step in steps:
            self.take(step)
        self.settle()
        self.check_settled()
        self.run_out()
        self.check_end()

    def take(self, step: tuple[Any, ...]) -> None:
        """One step; afterwards, what must always hold is checked."""
        self.counts[step[0]] += 1
        getattr(self, step[0])(*step[1:])
        self.check_always()

    def run(self, message: Message[Any]) -> None:
        """Run a message as a worker does, and remember it."""
        if message.actor_name != "receipts.render":
            self.past.append(message)
        super().run(message)

    def meanwhile(self, point: str, after: int, during: tuple[Any, ...], steps: list[tuple[Any, ...]] | None) -> None:
        """While one step happens, the actor that comes to a point is killed, or other steps get in between."""
        self.trap = Trap(point, after, None if steps is None else lambda: self._take_all(steps))
        self.take(during)
        self.trap = None

    def _take_all(self, steps: list[tuple[Any, ...]]) -> None:
        for step in steps:
            self.take(step)

    # Buyers

    def decline(self, page: int, card: str) -> None:
        """A card is declined on a page that was ever shown."""
        self._buyer(page, "pay", card=card)

    def fail(self, page: int, card: str) -> None:
        """A card is declined, and the workers know of it."""
        self.decline(page, card)
        self.webhooks("in order")

    def pay(self, page: int) -> None:
        """A card pays."""
        self._buyer(page, "pay", card=PAYS)

    def secure(self, page: int, card: str, answer: bool | None) -> None:
        """A card asks for 3-D Secure, which the buyer passes, fails, or leaves open."""
        self._buyer(page, "pay", card=card, authenticate=answer)

    def authenticate(self, page: int, passed: bool) -> None:
        """The buyer comes back from the bank."""
        self._buyer(page, "authenticate", passed=passed)

    def _buyer(self, page: int, deed: str, **how: Any) -> None:
        shown = self.pages[-1 - page % len(self.pages)] if self.pages else None
        found = next((entry for entry in self.ledger()["sessions"] if entry["id"] == shown), None)
        if found is None or found["status"] != "open" or (deed == "authenticate" and not found["authenticating"]):
            return
        self.shop.control(f"checkout/{shown}/{deed}", **how)

    def click(self) -> None:
        """The buyer asks for another try."""
        self._command("payment.retry", f"buyer:{self.session_id}")

    def grant(self) -> None:
        """An admin grants another try."""
        self._command("payment.grant_retry", "admin")

    def _command(self, actor: str, client: str) -> None:
        if self.session_id is None:
            return
        request = {"session_id": str(self.session_id), "reason": "please"}
        message = messages.command(actor, uuid.uuid4(), client, ids.fingerprint(actor, request), request)
        self.clicks.append(message)
        self.run(message)

    # Time, and messages

    def wait(self, minutes: float) -> None:
        """Time passes."""
        self.pass_time(timedelta(minutes=minutes))

    def timer(self) -> None:
        """Time passes until the next retry is due, and the sweep finds it."""
        row = self.row()
        if row is not None and row.retry_at is not None and row.retry_at > self.moment:
            self.wait((row.retry_at - self.moment) / timedelta(minutes=1))
        self.sweep("sweeps.windows")
        self.work()

    def lose(self, position: int) -> None:
        """A queued message vanishes."""
        queue = self.shop.queue.messages
        if queue:
            del queue[position % len(queue)]

    def again(self, position: int) -> None:
        """A message from the past is delivered once more."""
        self.run(self.past[-1 - position % len(self.past)])

    def webhooks(self, how: str) -> None:
        """The events that nobody was told of yet arrive: in order, backwards, each twice, or only the newest."""
        new = self.news()
        for event in {"reversed": new[::-1], "newest": new[-1:]}.get(how, new):
            self.tell(event, 2 if how == "twice" else 1)

    def tell(self, event: dict[str, Any], times: int = 1) -> None:
        """The front end takes a webhook, and a worker handles it."""
        self.receive(event, times)
        self.work()

    # Stripe

    def fault(self, kind: str, times: int, path: str) -> None:
        """The next calls fail, or their answers are lost."""
        self.shop.fault(kind, path_prefix="/v1/checkout", path_suffix=path, times=times)

    def mend(self) -> None:
        """Stripe can be used again."""
        self.shop.mend()

    # Looking

    def row(self) -> PaymentSession | None:
        """The session as it is now."""
        with db.transaction():
            found: PaymentSession | None = PaymentSession.select().first()
        return found

    # What must hold at every moment

    def check_always(self) -> None:
        """At most one charge, one payable page, limit+1 attempts; each counted retry is in the trail."""
        ledger = self.ledger()
        assert sum(charge["status"] == "succeeded" for charge in ledger["charges"]) <= 1, "charged twice"
        payable = [page["id"] for page in ledger["sessions"] if page["status"] == "open"]
        assert len(payable) <= 1, "two pages can be paid"
        with db.transaction():
            session = PaymentSession.select().first()
            attempts = list(CheckoutAttempt.select().order_by(CheckoutAttempt.number))
            retried = Transition.select().where(Transition.event == "retried").count()
        if session is None:
            return
        self.session_id = session.id
        assert sum(row.status == "open" for row in attempts) <= 1, "two pages are recorded as open"
        allowed = LIMIT + session.retries_granted
        assert session.retry_count == retried <= allowed, f"{session.retry_count} retries, {retried} in the trail"
        assert sum(row.kind in ("first", "retry") for row in attempts) <= allowed + 1, "more attempts than allowed"
        assert [row.number for row in attempts] == list(range(1, session.attempt_number + 1))
        self.pages += [
            row.stripe_checkout_id
            for row in attempts
            if row.status == "open" and row.stripe_checkout_id not in self.pages
        ]

    # The end

    def settle(self) -> None:
        """Everything heals; time passes until nothing is left to do."""
        self.trap = None
        self.mend()
        for page in self.ledger()["sessions"]:
            if page["status"] == "open" and page["authenticating"]:
                self.shop.control(f"checkout/{page['id']}/authenticate", passed=False)
        for _ in range(200):
            with db.transaction():
                self.told = {row.id for row in StripeEvent.select(StripeEvent.id)}  # others come again
                answered = {row.id for row in Operation.select().where(Operation.outcome.is_null(False))}
            for event in self.news():
                self.tell(event)
            for message in (self.command, *self.clicks):
                if uuid.UUID(message.kwargs["operation_id"]) not in answered:
                    self.run(message)  # its caller asks again
            for actor in SWEEPS:
                self.sweep(actor)
            self.work()
            self.check_always()
            left = self._unfinished()
            if not left:
                return
            self.wait(max((min(moment for _, moment in left) - self.moment) / timedelta(minutes=1), 0.001))
        raise AssertionError(f"never finished: {left}")

    def _unfinished(self) -> list[tuple[str, datetime]]:
        with db.transaction():
            parked = list(StripeEvent.select().where(StripeEvent.parked_at.is_null(False)))
            assert not parked, [(row.type, row.last_error) for row in parked]
            outbox = Outbox.select().where(Outbox.actor != "receipts.render")
            events = StripeEvent.select().where(StripeEvent.handled_at.is_null())
            claimed = CheckoutAttempt.select().where(CheckoutAttempt.status == "claimed")
            unanswered = Operation.select().where(Operation.outcome.is_null())
            failed = PaymentSession.select().where(*_NOT_LEFT_ALONE)
            refunds = Refund.select().where(Refund.status == "claimed")
            due = PaymentSession.select().where(*OPEN, PaymentSession.due_at <= self.moment)
            return [
                *((row.actor, row.next_send_at) for row in outbox),
                *((f"{row.type}: {row.last_error}", row.next_try_at) for row in events),
                *((f"attempt {row.number}: {row.last_error}", row.next_try_at) for row in claimed),
                *((row.kind, self.moment) for row in unanswered),
                *((f"refund: {row.last_error}", row.next_try_at) for row in refunds),
                *((f"{row.status}, and due", row.due_at) for row in due),
                *(("what follows a failure", max(row.retry_at or row.due_at, row.due_at)) for row in failed),
            ]

    def run_out(self) -> None:
        """Time passes until the window is closed."""
        for _ in range(10):  # while Stripe was away, the next look at the window was put off
            session = self.row()
            assert session is not None
            if session.status not in PAYABLE or session.hold_reason or session.released_at:
                return
            self.wait(max((max(session.expires_at, session.due_at) - self.moment) / timedelta(minutes=1), 0) + 0.1)
            self.settle()
        raise AssertionError("the window does not close")

    def check_settled(self) -> None:
        """A payable page where there should be one, and none elsewhere; the buyer sees what is true."""
        session = self.row()
        assert session is not None
        payable = [page["id"] for page in self.ledger()["sessions"] if page["status"] == "open"]
        with db.transaction():
            attempt = snapshots.current_attempt(session)
            right = snapshots.snapshot(session, self.shop.settings)
        shown = jsons.loads(right.service)
        self.counts[f"settled as {session.status}"] += 1
        if session.status == Status.PENDING and session.hold_reason is None:
            assert attempt is not None
            assert payable == [attempt.stripe_checkout_id], f"pending, and payable is {payable}"
        elif session.status == Status.FAILED and session.retry_at is not None:
            assert session.retry_at >= session.expires_at, "a retry that is due was not made"
            assert shown["retry"]["canRetry"] is True  # the buyer may be quicker than the deadline
        elif session.status == Status.FAILED:
            # The timer has used up all tries, or Stripe refused for good.
            assert retries.left(session, self.shop.settings) == 0 or session.released_at is not None
            assert not payable, "no tries are left, yet a page can be paid"
            assert shown["retry"]["canRetry"] is False
            assert shown["paymentSession"]["failure"]["code"]
        elif session.hold_reason is None:
            assert not payable, f"{session.status}, yet a page can be paid"
        self._check_published(session, right)

    def _check_published(self, session: PaymentSession, right: Any) -> None:
        key = f"pw:session:{session.id}"
        if not self.shop.state.exists(key):
            self.run(messages.publish_session(session.id))  # as the front end asks for after a wipe
        found = {name.decode(): value.decode() for name, value in self.shop.state.hgetall(key).items()}
        assert found == {"v": str(session.version), **{name: str(value) for name, value in right.fields().items()}}

    def check_end(self) -> None:
        """The session is final, and the books agree with Stripe."""
        session, ledger = self.row(), self.ledger()
        assert session is not None
        charges = {charge["id"]: charge for charge in ledger["charges"]}
        with db.transaction():
            booked = list(Transaction.select())
            trail = list(Transition.select().order_by(Transition.id))
            reminders = Notification.select().where(Notification.type == "payment.retry_available").count()
            outcomes = {row.id: jsons.loads(row.outcome) for row in Operation.select()}
        paid = [charge_id for charge_id, charge in charges.items() if charge["status"] == "succeeded"]
        as_charged = {row.stripe_charge_id: "failed" if row.status == "failed" else "succeeded" for row in booked}
        assert as_charged == {key: charge["status"] for key, charge in charges.items()}
        assert all(row.failure_code and row.failure_reason for row in booked if row.status == "failed")
        assert not any(page["status"] == "open" for page in ledger["sessions"]), "a page outlives the window"
        settled = [row.stripe_charge_id for row in booked if row.settled_at is not None]
        assert session.hold_reason is None, "money is held without need"
        given_back = [refund["charge"] for refund in ledger["refunds"] if refund["status"] == "succeeded"]
        if paid and not given_back:
            assert (session.status, settled) == (Status.COMPLETED, paid), "money was lost"
        elif paid:
            assert (settled, given_back) == ([], paid), "the buyer is not left as he was"
            assert any(row.event == "paid_late" for row in trail), "money is given back without need"
            assert (session.status, session.released_at is None) == (Status.EXPIRED, False)
        else:
            assert session.status == Status.EXPIRED or session.released_at is not None, f"left {session.status}"
        assert reminders == sum(row.event == "retried" and row.who == "system:window.due" for row in trail)
        assert self.clicks == [message for message in self.clicks if self._is_answered(message, outcomes)]

    def _is_answered(self, message: Message[Any], outcomes: dict[uuid.UUID, dict[str, Any]]) -> bool:
        outcome = outcomes[uuid.UUID(message.kwargs["operation_id"])]
        assert outcome["status"] == 200 or outcome["body"]["code"] in REFUSALS, outcome
        return True


# A failed payment with a retry to come, or with a page that is still to be closed since none is left.
_NOT_LEFT_ALONE = (
    PaymentSession.status == "failed",
    fn.COALESCE(PaymentSession.retry_at, PaymentSession.due_at) < PaymentSession.expires_at,
    PaymentSession.hold_reason.is_null(),
    PaymentSession.released_at.is_null(),
)


def draw_course(number: int) -> tuple[int, list[tuple[Any, ...]]]:
    """The window's minutes and the steps of the course with this number: a few rounds, most of which begin with a failure."""
    chance = random.Random(number)
    steps: list[tuple[Any, ...]] = []
    for _ in range(chance.randint(1, 6)):
        if chance.random() < 0.8:
            steps.append(("fail", 0, chance.choice(list(DECLINES))))
        if chance.random() < 0.5:
            steps.append(_draw_interruption(chance))
        elif chance.random() < 0.5:
            steps.append(("timer",))
        steps += [_draw(chance, "retry message message buyer buyer stripe wait") for _ in range(chance.randint(0, 3))]
    return chance.choice([1440, 1440, 45, 3000]), steps


def _draw(chance: random.Random, kinds: str) -> tuple[Any, ...]:
    page = chance.choice([0, 0, 0, 1, 2])
    fault = chance.choice(["500_after_work", "timeout_after_work", "500", "429", "refuse_connection"])
    drawn: dict[str, list[tuple[Any, ...]]] = {
        "retry": [("click",), ("click",), ("timer",), ("timer",), ("webhooks", "in order"), ("grant",)],
        "message": [
            ("work",),
            ("webhooks", chance.choice(["in order", "reversed", "twice", "newest"])),
            ("again", chance.randint(0, 12)),
            ("sweep", chance.choice(SWEEPS)),
            ("work_one", chance.randint(0, 7)),
            ("lose", chance.randint(0, 7)),
            ("wipe",),
        ],
        "buyer": [
            ("decline", page, chance.choice(list(DECLINES))),
            ("fail", page, chance.choice(list(DECLINES))),
            ("pay", page),
            ("secure", page, chance.choice([ASKS, ASKS_THEN_DECLINES]), chance.choice([None, True, False])),
            ("authenticate", page, chance.choice([True, False])),
        ],
        "stripe": [("mend",), ("fault", fault, chance.randint(1, 6), chance.choice(["", "/sessions", "/expire"]))],
        "wait": [("wait", chance.choice([0.5, 5, 15, 40, 600]))],
    }
    return chance.choice(drawn[chance.choice(kinds.split())])


def _draw_interruption(chance: random.Random) -> tuple[Any, ...]:
    """A worker is killed, at any statement or at a call, or other things happen while it waits for an answer."""
    during = _draw(chance, "retry")
    if chance.random() < 0.2:
        return ("meanwhile", "statement", chance.randint(0, 40), during, None)
    point, after = chance.choice(["ask", "answer", "answer", "send"]), chance.choice([0, 0, 1, 2])
    if chance.random() < 0.4:
        return ("meanwhile", point, after, during, None)
    steps = [_draw(chance, "retry retry message buyer") for _ in range(chance.randint(1, 3))]
    return ("meanwhile", point, after, during, steps)


# Courses that went wrong once.
_FAIL = ("fail", 0, "4000000000000002")
A_SLOW_CLICK_IS_OVERTAKEN = [_FAIL, ("meanwhile", "answer", 0, ("click",), [("click",), _FAIL]), ("work",)]
A_GRANT_COMES_WHILE_THE_PAGE_IS_CLOSED = [
    *([_FAIL, ("timer",)] * LIMIT),
    _FAIL,
    ("meanwhile", "answer", 0, ("timer",), [("grant",)]),
]


@pytest.fixture
def course(make_shop: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[Course]:
    """The shop with its points of interruption laid."""
    course = Course(make_shop(STRIPE_RATE_LIMIT="10000", PAYMENT_RETRY_LIMIT=str(LIMIT)))
    lay(course, monkeypatch)
    yield course
    print("\n", dict(course.counts))  # noqa: T201 - what was exercised, for whoever runs with -s


def take_course(course: Course, window_minutes: int, steps: list[tuple[Any, ...]], name: object) -> None:
    """One course from its beginning to its end; a failure tells how to get there again."""
    course.begin(window_minutes)
    try:
        course.follow(steps)
    except BaseException as error:
        error.add_note(f"course {name}, a window of {window_minutes} minutes: {steps}")
        raise


@pytest.mark.parametrize("steps", [A_SLOW_CLICK_IS_OVERTAKEN, A_GRANT_COMES_WHILE_THE_PAGE_IS_CLOSED])
def test_a_course_that_went_wrong_once_keeps_the_rules(course: Course, steps: list[tuple[Any, ...]]) -> None:
    take_course(course, 1440, steps, "known")

    assert course.counts["interruptions"] == 1, "it does not go its old way any more"


def test_every_course_of_a_failed_payment_keeps_the_rules(course: Course) -> None:
    for number in range(A_FEW):
        take_course(course, *draw_course(number), number)


@at_length
@pytest.mark.parametrize("seed", seeds())
def test_every_course_of_a_failed_payment_keeps_the_rules_at_length(course: Course, seed: int) -> None:
    for number in range(seed * CHUNK, seed * CHUNK + runs_to_a_seed()):
        take_course(course, *draw_course(number), number)
