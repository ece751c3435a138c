"""Whatever happens to payments, refunds and disputes, the books end equal to Stripe's ledger, to the minor unit.

Each run is a course of some auctions, drawn by its number. Winners and next bidders pay, late too, and twice; payments are
split with sellers, by Stripe or afterwards; the marketplace and Stripe's dashboard refund, wholly or in part; refunds fail, at
once or long after; buyers dispute, win and lose; operators resolve holds; messages come twice, in another order or never; workers
are killed between Stripe and their commit. Then everything is let settle, and the accounts are compared. Everything is real
but the clock, which stands still between steps, and the broker. ``make courses`` runs many more; a failure there names its
seed: ``make courses SEED=<seed> RUNS=100``. Every seed has a fifth as many courses as elsewhere, since these are longer.
"""

import random
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from dramatiq import Message
from support.accounts import compare, lacks_funds
from support.interruptions import A_FEW, CHUNK, START, Stage, Trap, at_length, lay, runs_to_a_seed, seeds

from paywindow import ids, jsons, messages
from paywindow.actors import reconcile
from paywindow.models import database as db
from paywindow.models import outbox, reconciliations, sellers
from paywindow.models.tables import (
    CheckoutAttempt,
    ConnectedAccount,
    Operation,
    Outbox,
    PaymentSession,
    Refund,
    StripeEvent,
    Transaction,
)
from paywindow.money import Money

SWEEPS = (
    *("sweeps.attempts", "sweeps.inbox", "sweeps.outbox", "sweeps.refunds"),
    *("sweeps.sellers", "sweeps.windows"),
)
SHOWS = ("publish.session", "publish.operation", "notifications.deliver", "analytics.track")
TABLES = "payment_sessions, outbox, stripe_events, receipt_counters, event_walks, reconciliations, connected_accounts"

#: So many times fewer courses than others has ``make courses`` of these: 2,000 unless RUNS says otherwise.
SHORTER = 5

#: Prices that leave something to round, in every kind of currency.
PRICES = (("USD", 27550), ("EUR", 9999), ("JPY", 5001), ("KWD", 12_340), ("USD", 1_000_003))
#: Whose item it is: the platform's own, or one of two sellers', who may have an account at Stripe by now or not.
SELLERS = (None, None, "7b0f3c1e-2a64-4d3b-9a55-0c6c0d8a1f09", "7b0f3c1e-2a64-4d3b-9a55-0c6c0d8a1f0a")
CARDS = {
    "pays": "4242424242424242",
    "declined": "4000000000000002",
    "refunds pend": "4000000000007726",
    "refunds fail": "4000000000005126",
    "disputed": "4000000000000259",
    "inquired": "4000000000001976",
}
BANK = "4000000000003220"
PARTS = (None, 0.5, 0.1, 1.0)
#: A page lives for half an hour at least: in a shorter window it can be paid too late.
MINUTES = (5, 5, 1440)


class Course(Stage):
    """Some auctions, and everything that happens to their money."""

    def begin(self) -> None:
        """Empty books, and an empty Stripe."""
        self.clear()
        with db.transaction():
            db.database.execute_sql(f"TRUNCATE {TABLES} CASCADE")
            db.database.execute_sql("SELECT setseed(0.5)")  # waits have some randomness
        self.auctions: list[dict[str, Any]] = []
        self.commands: list[Message[Any]] = []
        self.past: list[Message[Any]] = []

    def follow(self, steps: list[tuple[Any, ...]]) -> None:
        """Take the steps and let everything settle: the accounts agree, also once operators have resolved what is held."""
        for step in steps:
            self.take(step)
        self.settle()
        self.check()
        if self.counts["runs"] % 4 == 1:
            self.reconcile()
        held = [row.id for row in self.shop.rows(PaymentSession, PaymentSession.hold_reason.is_null(False))]
        for place, session_id in enumerate(held):
            self.command("payment.resolve", session_id, decision=("refund", "accept")[place % 2])
        if held:
            self.settle()
            self.check()

    def take(self, step: tuple[Any, ...]) -> None:
        """One step."""
        self.counts["steps"] += 1
        self.counts[step[0]] += 1
        getattr(self, step[0])(*step[1:])

    def run(self, message: Message[Any]) -> None:
        """Run a message as a worker does, and remember it; who only shows what happened moves no money, and is left out."""
        if message.actor_name in SHOWS:
            with db.transaction():
                outbox.done(message.kwargs["outbox_id"])
            return
        self.past.append(message)
        super().run(message)

    def meanwhile(self, point: str, after: int, during: tuple[Any, ...], between: tuple[Any, ...] | None) -> None:
        """While one step happens, the actor that comes to a point is killed, or another step gets in between."""
        self.trap = Trap(point, after, None if between is None else lambda: self.take(between))
        self.take(during)
        self.trap = None

    # Buyers

    def seller(self, seller: int, ready: bool) -> None:
        """A seller gets an account at Stripe, and perhaps tells all that Stripe wants to know."""
        request = {"maker_id": SELLERS[seller], "country": None, "email": None}
        request |= {"return_url": "https://shop.example/back", "refresh_url": "https://shop.example/again"}
        fingerprint = ids.fingerprint("sellers.link", request)
        message = messages.link_seller(uuid.uuid4(), "shop", fingerprint, request)
        self.commands.append(message)
        self.run(message)
        self.work()
        if ready:
            self.onboard()

    def onboard(self) -> None:
        """The sellers tell Stripe all that it wants to know."""
        for account in self.ledger()["accounts"]:
            if not account["charges_enabled"]:
                self.shop.control(f"accounts/{account['id']}/onboard")

    def winner(self, price: int, minutes: int, policy: str, seller: int) -> None:
        """An auction is won."""
        currency, amount = PRICES[price]
        self.auctions.append(
            {
                "maker_id": SELLERS[seller],
                "auction_id": str(uuid.uuid4()),
                "currency": currency,
                "amount_minor": amount,
                "window_minutes": minutes,
                "late_policy": policy,
            }
        )
        self.next_bidder(len(self.auctions) - 1)

    def next_bidder(self, auction: int) -> None:
        """The auction is offered to somebody (else)."""
        message = self.shop.create_message(self.shop.request(**self.auctions[auction % len(self.auctions)]))
        self.commands.append(message)
        self.run(message)

    def pay(self, page: int, card: str) -> None:
        """A card pays, or does not."""
        self._buyer(page, lambda found: found["status"] == "open", "pay", card=CARDS[card])

    def at_the_bank(self, page: int) -> None:
        """A card pays after 3-D Secure, which is not over yet."""
        self._buyer(page, lambda found: found["status"] == "open", "pay", card=BANK)

    def authenticate(self, page: int, passed: bool) -> None:
        """The buyer comes back from the bank; his page may have been closed meanwhile."""
        self._buyer(page, lambda found: found["authenticating"], "authenticate", passed=passed)

    def _buyer(self, page: int, fits: Callable[[dict[str, Any]], bool], deed: str, **how: Any) -> None:
        pages = [found for found in self.ledger()["sessions"] if fits(found)]
        if pages:
            self._try(f"checkout/{pages[page % len(pages)]['id']}/{deed}", **how)

    def late(self, session: int) -> None:
        """Time passes until after a deadline, and no worker has looked yet: the page can still be paid."""
        row = self._session(session)
        if row is not None and row.expires_at >= self.moment:
            self.moment = row.expires_at + timedelta(seconds=10)

    def wait(self, minutes: float) -> None:
        """Time passes."""
        self.pass_time(timedelta(minutes=minutes))

    # The marketplace, its operators, and Stripe's dashboard

    def expire(self, session: int) -> None:
        """An admin closes a window."""
        self._of(session, "window.expire")

    def cancel(self, session: int) -> None:
        """The sale is called off."""
        self._of(session, "checkout.cancel")

    def resolve(self, session: int, decision: str) -> None:
        """An operator decides about a hold."""
        self._of(session, "payment.resolve", decision=decision)

    def refund(self, payment: int, part: float | None, release: bool) -> None:
        """The marketplace gives money back: a part, or what is left."""
        row = self._payment(payment)
        if row is None:
            return
        amount = None if part is None else str(Money(_part(row, part), row.currency).decimal())
        request = {"transaction_id": str(row.id), "amount": amount, "release_auction": release and amount is None}
        self.command("payment.refund", None, **request)

    def dashboard(self, payment: int, part: float | None) -> None:
        """Somebody refunds in Stripe's dashboard."""
        row = self._payment(payment)
        if row is not None:
            amount = {} if part is None else {"amount": _part(row, part)}
            self._try("refunds", payment_intent=row.stripe_payment_intent_id, **amount)

    def refund_step(self, refund: int, step: str) -> None:
        """Time works on a refund: it goes through, or the buyer's bank sends it back."""
        refunds = self.ledger()["refunds"]
        if refunds:
            self._try(f"refunds/{refunds[refund % len(refunds)]['id']}/{step}")

    def dispute(self, payment: int, inquiry: bool, part: float | None) -> None:
        """A buyer disputes a payment."""
        row = self._payment(payment)
        if row is not None and row.stripe_charge_id is not None:
            amount = {} if part is None else {"amount": _part(row, part)}
            self._try("disputes", charge=row.stripe_charge_id, inquiry=inquiry, **amount)

    def dispute_step(self, dispute: int, step: str) -> None:
        """The bank goes on with a dispute."""
        disputes = self.ledger()["disputes"]
        if disputes:
            self._try(f"disputes/{disputes[dispute % len(disputes)]['id']}/{step}")

    def fault(self, kind: str, times: int) -> None:
        """The next refunds that are asked for fail, or their answers are lost."""
        self.shop.fault(kind, path_prefix="/v1/refunds", method="POST", times=times)

    def fees(self) -> None:
        """Stripe tells its fees."""
        self.shop.control("fees/release")

    def command(self, actor: str, session_id: uuid.UUID | None, **more: Any) -> None:
        """A command of the marketplace's."""
        request = {"session_id": str(session_id) if session_id else None, "reason": "it was asked for", **more}
        message = messages.command(actor, uuid.uuid4(), "shop", ids.fingerprint(actor, request), request)
        self.commands.append(message)
        self.run(message)

    def _of(self, session: int, actor: str, **more: Any) -> None:
        row = self._session(session)
        if row is not None:
            self.command(actor, row.id, **more)

    def _try(self, path: str, **body: Any) -> None:
        """Something that Stripe may refuse, as it does people."""
        answer = self.http.post(f"{self.shop.sandbox.url}/_sandbox/{path}", json=body, timeout=30)
        assert answer.status_code < 500, answer.text
        self.counts["refused by Stripe"] += answer.status_code >= 400

    def _session(self, place: int) -> PaymentSession | None:
        rows = self.shop.rows(PaymentSession)
        return rows[place % len(rows)] if rows else None

    def _payment(self, place: int) -> Transaction | None:
        rows = self.shop.rows(Transaction, Transaction.status != "failed")
        return rows[place % len(rows)] if rows else None

    # Messages

    def webhooks(self, how: str) -> None:
        """The events that nobody was told of yet arrive: in order, backwards, each twice, or only the newest."""
        new = self.news()
        for event in {"reversed": new[::-1], "newest": new[-1:]}.get(how, new):
            self.receive(event, 2 if how == "twice" else 1)
        self.work()

    def again(self, position: int) -> None:
        """A message from the past is delivered once more."""
        if self.past:
            self.run(self.past[-1 - position % len(self.past)])

    # The end

    def settle(self) -> None:
        """Everything heals; time passes until nothing is left to do."""
        self.trap = None
        self.shop.mend()
        self.fees()
        self.onboard()
        for page in self.ledger()["sessions"]:
            if page["authenticating"]:
                self.shop.control(f"checkout/{page['id']}/authenticate", passed=False)
        ask_again = True
        for _ in range(200):
            with db.transaction():
                self.told = {row.id for row in StripeEvent.select(StripeEvent.id)}  # the others come again
                answered = {row.id for row in Operation.select().where(Operation.outcome.is_null(False))}
            for event in self.news():
                self.receive(event)
            for message in self.commands:
                if ask_again and uuid.UUID(message.kwargs["operation_id"]) not in answered:
                    self.run(message)  # its caller asks again
            for actor in SWEEPS:
                self.sweep(actor)
            self.work()
            left = self._unfinished()
            if not left:
                return
            # A command may wait for what is due later: its caller asks again when nothing else is left.
            due = [moment for _, moment in left if moment is not None] or [self.moment]
            ask_again = all(moment is None for _, moment in left)
            self.pass_time(max(min(due) - self.moment, timedelta(milliseconds=1)))
        raise AssertionError(f"never finished: {left}")

    def _unfinished(self) -> list[tuple[str, Any]]:
        with db.transaction():
            parked = list(StripeEvent.select().where(StripeEvent.parked_at.is_null(False)))
            assert not parked, [(row.type, row.last_error) for row in parked]
            follow_ups = Outbox.select().where(Outbox.actor != "receipts.render")
            events = StripeEvent.select().where(StripeEvent.handled_at.is_null())
            claimed = CheckoutAttempt.select().where(CheckoutAttempt.status == "claimed")
            refunds = Refund.select().where(Refund.status == "claimed")
            paid = list(Transaction.select(Transaction, PaymentSession).join(PaymentSession))
            ready = {row.maker_id for row in ConnectedAccount.select() if sellers.can_receive(row)}
            shares_due = [row for row in paid if row.share_due_at is not None and row.session.maker_id in ready]
            ledger = self.ledger() if shares_due else {}
            unanswered = Operation.select().where(Operation.outcome.is_null())
            return [
                *((row.actor, row.next_send_at) for row in follow_ups),
                *((f"{row.type}: {row.last_error}", row.next_try_at) for row in events),
                *((f"attempt {row.number}: {row.last_error}", row.next_try_at) for row in claimed),
                *((f"refund: {row.last_error}", row.next_try_at) for row in refunds),
                *(("figures", row.figures_due_at) for row in paid if row.figures_due_at is not None),
                *(("share", row.share_due_at) for row in shares_due if not lacks_funds(row, row.session, ledger)),
                *((row.kind, None) for row in unanswered),
            ]

    def check(self) -> None:
        """The books and Stripe's ledger are the same."""
        with db.transaction():
            outcomes = [jsons.loads(row.outcome) for row in Operation.select()]
        assert all(outcome["status"] < 500 for outcome in outcomes), outcomes
        self.counts += compare(self.shop, self.ledger())

    def reconcile(self) -> None:
        """The comparison that operators run finds nothing either, but what is held, and shares that a failed refund kept back."""
        at = self.moment + timedelta(seconds=2)
        with db.transaction():
            run = reconciliations.start("test", False, START, at, reconcile.FIRST_DAILY_STAGE, at, repairs=False)
        while reconcile.step(run.id):
            pass
        with db.transaction():
            failed = Refund.select().where(Refund.status == "failed").exists()
            known = {"seller_short"} if failed else set()
            found = [row for row in reconciliations.findings(run) if row.outcome != "held" and row.code not in known]
        assert not found, [(row.code, row.subject, row.ours, row.theirs) for row in found]


def _part(row: Transaction, part: float) -> int:
    """A part of a payment that the currency can be divided into."""
    step = {"KWD": 10}.get(row.currency, 1)
    return max(int(row.amount_minor * part) // step * step, step)


def draw_course(number: int) -> list[tuple[Any, ...]]:
    """The steps of the course with this number: a few stories, told with gaps, insertions and interruptions."""
    chance = random.Random(number)
    first = [_draw_winner(chance)]
    if first[0][-1] > 1 and chance.random() < 0.8:
        first.insert(0, ("seller", first[0][-1], chance.random() < 0.7))
    steps = _draw_story(chance, "buy buy late double called_off")
    for _ in range(chance.randint(1, 4)):
        steps += _draw_story(
            chance, "buy late double called_off refund refund dashboard bounce dispute dispute won more"
        )
    told = first
    for step in steps:
        if chance.random() < 0.08:
            continue
        if chance.random() < 0.12:
            told.append(_draw_noise(chance))
        told.append(_interrupted(chance, step) if step[0] != "meanwhile" and chance.random() < 0.12 else step)
    return told


def _interrupted(chance: random.Random, step: tuple[Any, ...]) -> tuple[Any, ...]:
    """A worker is killed in the middle of a step, or something else happens while it waits."""
    point, after = chance.choice(["ask", "answer", "send", "send", "statement"]), chance.choice([0, 0, 0, 1, 2])
    if point == "statement":
        return ("meanwhile", point, chance.randint(0, 40), step, None)
    return ("meanwhile", point, after, step, _draw_noise(chance) if chance.random() < 0.5 else None)


def _draw_winner(chance: random.Random) -> tuple[Any, ...]:
    return (
        "winner",
        chance.randrange(len(PRICES)),
        chance.choice(MINUTES),
        chance.choice(["refund", "refund", "accept", "hold"]),
        chance.randrange(len(SELLERS)),
    )


def _draw_story(chance: random.Random, kinds: str) -> list[tuple[Any, ...]]:
    place, card = chance.choice([0, 0, 0, 1, 2]), chance.choice(["pays", *CARDS])
    webhooks = ("webhooks", chance.choice(["in order", "in order", "reversed", "twice", "newest"]))
    sweep = ("sweep", "sweeps.windows")
    part = chance.choice(PARTS)
    stories: dict[str, list[tuple[Any, ...]]] = {
        "more": [_draw_winner(chance), ("pay", place, card), webhooks],
        "buy": [("pay", place, card), webhooks],
        "late": [("late", place), ("pay", place, card), webhooks, sweep],
        # The next bidder has paid, or is about to, when the first one comes back from the bank.
        "double": [
            ("at_the_bank", place),
            chance.choice([("expire", place), ("late", place), ("wait", 31)]),
            sweep,
            ("work",),
            ("next_bidder", 0),
            *([("pay", place, card), webhooks] if chance.random() < 0.7 else []),
            ("authenticate", 0, True),
            webhooks,
        ],
        "called_off": [("at_the_bank", place), ("cancel", place), ("authenticate", 0, True), webhooks],
        "refund": [*_draw_trouble(chance), _torn(chance, ("refund", place, part, chance.random() < 0.5)), webhooks],
        "dashboard": [("dashboard", place, part), webhooks],
        "bounce": [("refund_step", place, chance.choice(["fail", "fail", "succeed", "cancel"])), webhooks],
        "dispute": [
            ("dispute", place, chance.random() < 0.3, chance.choice([None, None, 0.3])),
            webhooks,
            ("dispute_step", place, chance.choice(["win", "win", "lose", "lose", "escalate", "review", "close"])),
        ],
    }
    # The share went to and fro by then: what is given back now has to be taken from where it lies.
    stories["won"] = [
        ("dispute", place, False, chance.choice([None, 0.3])),
        webhooks,
        ("dispute_step", -1, "win"),
        ("webhooks", "in order"),
        *stories["refund"],
    ]
    kind = chance.choice(kinds.split())
    gone_wrong = kind in ("late", "double", "called_off", "refund") and chance.random() < 0.4
    return [*stories[kind], *([("refund_step", chance.choice([0, 1]), "fail"), webhooks] if gone_wrong else [])]


def _draw_trouble(chance: random.Random) -> list[tuple[Any, ...]]:
    """Stripe does the work and says that it failed, or does not answer."""
    # A 500 without the work is replayed for a day, until the key is old: rare, for it is a long course.
    kinds = [*["500_after_work", "timeout_after_work", "refuse_connection"] * 4, "500"]
    return [("fault", chance.choice(kinds), chance.randint(1, 6))] if chance.random() < 0.3 else []


def _torn(chance: random.Random, step: tuple[Any, ...]) -> tuple[Any, ...]:
    """A worker may be killed before or after Stripe's answer, of all places."""
    return ("meanwhile", chance.choice(["ask", "answer"]), 0, step, None) if chance.random() < 0.3 else step


def _draw_noise(chance: random.Random) -> tuple[Any, ...]:
    place = chance.choice([0, 0, 0, 1, 2])
    return chance.choice(
        [
            ("webhooks", chance.choice(["in order", "reversed", "twice", "newest"])),
            ("work",),
            ("work_one", chance.randint(0, 7)),
            ("again", chance.randint(0, 12)),
            ("sweep", chance.choice(SWEEPS)),
            ("wipe",),
            ("fees",),
            ("onboard",),
            ("wait", chance.choice([1, 60, 1500])),
            ("refund", place, chance.choice(PARTS), chance.random() < 0.5),
            ("refund_step", place, "fail"),
            ("dispute", place, False, None),
            ("resolve", place, chance.choice(["refund", "accept"])),
            ("pay", place, "pays"),
            ("cancel", place),
        ]
    )


@pytest.fixture
def course(make_shop: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[Course]:
    """The shop with its points of interruption laid."""
    fees = {"PLATFORM_FEE_PERCENT": "7.25", "PLATFORM_FEE_FIXED": "USD:0.30"}
    course = Course(make_shop(STRIPE_RATE_LIMIT="10000", SELLER_PAYOUTS="collect", **fees))
    lay(course, monkeypatch)
    yield course
    told = ("runs", "steps", "charges", "refunds", "disputes", "shares", "held", "interruptions", "kills")
    print(", ".join(f"{course.counts[name]} {name}" for name in told))  # noqa: T201 - make courses shows it


def take_course(course: Course, steps: list[tuple[Any, ...]], name: object) -> None:
    """One course from its beginning to its end; a failure tells how to get there again."""
    course.begin()
    try:
        course.follow(steps)
    except BaseException as error:
        error.add_note(f"course {name}: {steps}")
        raise


def test_after_every_course_the_books_equal_stripes_ledger(course: Course) -> None:
    for number in range(A_FEW):
        take_course(course, draw_course(number), number)


@at_length
@pytest.mark.parametrize("seed", seeds())
def test_after_every_course_the_books_equal_stripes_ledger_at_length(course: Course, seed: int) -> None:
    for number in range(seed * CHUNK, seed * CHUNK + -(-runs_to_a_seed() // SHORTER)):
        take_course(course, draw_course(number), number)
