"""The shop: actors as plain functions over real Postgres, Redis and sandbox, with a queue that the test works through.

Nothing runs by itself here, so a test decides what happens in which order. Processes are for tests/e2e.
"""

import json
import os
import random
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import redis
import requests
from dramatiq import Message, Worker
from typer.testing import CliRunner

from paywindow import clock, ids, jsons, messages
from paywindow.actors import auditor, registry, runtime
from paywindow.broker import Broker, make_broker
from paywindow.cli import app
from paywindow.messages import CheckoutRequest
from paywindow.models import database as db
from paywindow.models.tables import (
    CheckoutAttempt,
    Customer,
    Dispute,
    Notification,
    NotificationDelivery,
    Operation,
    Outbox,
    PaymentMethod,
    PaymentSession,
    Receipt,
    Refund,
    SellerMovement,
    StripeEvent,
    Transaction,
    Transition,
)
from paywindow.published import operation_key, session_key
from paywindow.sandbox.config import SandboxConfig
from paywindow.sandbox.server import SandboxServer
from paywindow.settings import Role, Settings, secret

CLIENT = "shop"


class Queue:
    """In place of the broker: keeps messages until the test has them worked."""

    def __init__(self) -> None:
        self.messages: deque[Message[Any]] = deque()

    def enqueue(self, message: Message[Any], *, delay: int | None = None) -> None:
        """Take a message, encoded and decoded as Redis would; a delay is not waited for."""
        self.messages.append(Message.decode(message.encode()))


class Shop:
    """A marketplace with paywindow behind it."""

    def __init__(
        self, settings: Settings, queue: Queue, sandbox: SandboxServer, state: "redis.Redis", clock_file: Path
    ):
        self.settings = settings
        self.queue = queue
        self.sandbox = sandbox
        self.state = state
        self._clock_file = clock_file
        self._functions = registry.functions()
        self._delivered: set[str] = set()
        #: Actors that the shop does not work; their messages are dropped, as if Redis had been wiped.
        self.deaf_to: set[str] = set()

    # Working

    def run(self, message: Message[Any]) -> None:
        """Run one message's actor, as a worker would."""
        self._functions[message.actor_name](*message.args, **message.kwargs)

    def work(self) -> None:
        """Run messages, in order, until none is left."""
        while self.queue.messages:
            message = self.queue.messages.popleft()
            if message.actor_name not in self.deaf_to:
                self.run(message)

    def together(self, *messages: Message[Any]) -> None:
        """Run messages at the same moment, each on a thread of its own; the first error of any is raised."""
        start = threading.Barrier(len(messages))

        def run(message: Message[Any]) -> None:
            start.wait()
            self.run(message)

        with ThreadPoolExecutor(len(messages)) as pool:
            for future in [pool.submit(run, message) for message in messages]:
                future.result()

    def take(self, actor: str) -> Message[Any]:
        """Take the oldest queued message of an actor out of the queue."""
        message = next(message for message in self.queue.messages if message.actor_name == actor)
        self.queue.messages.remove(message)
        return message

    def wipe_queue(self) -> None:
        """What FLUSHALL does to messages and published state."""
        self.queue.messages.clear()
        self.state.flushdb()

    def pass_time(self, **length: float) -> None:
        """Move business time of everything, the sandbox included."""
        clock.set_offset(self._clock_file, clock.offset() + timedelta(**length))
        # Long enough for the next call to be let through to a Stripe that counts as away.
        runtime.runtime().gateway.circuit._next_trial = 0.0
        self.control("expire-due")

    def sweep(self) -> None:
        """One round of the periodic work."""
        for name in ("attempts", "operations", "refunds", "inbox", "outbox", "windows", "notifications"):
            self.run(messages.build(f"sweeps.{name}"))
        self.work()

    # Buying

    def allow_saving(self) -> None:
        """Switch ``PAYMENT_SAVE_METHODS`` on."""
        self.change_settings(payment_save_methods=True)

    def change_settings(self, **changes: Any) -> None:
        """Start the workers anew with other settings."""
        self.settings = self.settings.model_copy(update=changes)
        db.disconnect()
        runtime.start(self.settings, self.queue)  # type: ignore[arg-type] # the queue stands in for the broker

    def request(self, **changes: Any) -> CheckoutRequest:
        """A request for 275.50 USD of a new auction."""
        values: dict[str, Any] = {
            "auction_id": str(uuid.uuid4()),
            "buyer_id": str(uuid.uuid4()),
            "amount_minor": 27550,
            "currency": "USD",
            "late_policy": "refund",
            "window_minutes": 1440,
            "description": "Walnut side table",
            **changes,
        }
        return CheckoutRequest(**values)

    def create_message(self, request: CheckoutRequest, key: str | None = None) -> Message[Any]:
        """The message that the front end would enqueue."""
        fingerprint = ids.fingerprint("checkout.create", request.asdict())
        return messages.create_checkout(ids.operation_id(CLIENT, key), CLIENT, fingerprint, request)

    def create(self, request: CheckoutRequest | None = None, key: str | None = None) -> dict[str, Any]:
        """Send a create and work until it is answered; the outcome."""
        message = self.create_message(request or self.request(), key)
        self.run(message)
        self.work()
        return self.outcome(uuid.UUID(message.kwargs["operation_id"]))

    def open_session(self, **changes: Any) -> PaymentSession:
        """A session with its page open."""
        outcome = self.create(self.request(**changes))
        assert outcome["status"] == 201, outcome
        return self.session(outcome["body"]["paymentSession"]["id"])

    def cancel(self, session: PaymentSession, key: str | None = None) -> dict[str, Any]:
        """Send a cancel and work until it is answered; the outcome."""
        request: dict[str, Any] = {"session_id": str(session.id), "reason": "unsold after all"}
        operation = ids.operation_id(CLIENT, key)
        fingerprint = ids.fingerprint("checkout.cancel", request)
        self.run(messages.command("checkout.cancel", operation, CLIENT, fingerprint, request))
        self.work()
        return self.outcome(operation)

    def command(self, actor: str, key: str | None = None, **request: Any) -> dict[str, Any]:
        """Send a command and work until it is answered; the outcome."""
        operation = ids.operation_id(CLIENT, key)
        self.run(messages.command(actor, operation, CLIENT, ids.fingerprint(actor, request), request))
        self.work()
        return self.outcome(operation)

    def refund(self, session: PaymentSession | None = None, key: str | None = None, **changes: Any) -> dict[str, Any]:
        """Refund the session's payment, all of it unless ``changes`` say otherwise; the outcome."""
        request = {
            "session_id": None if session is None else str(session.id),
            "transaction_id": None,
            "amount": None,
            "reason": "broken in transit",
            "release_auction": False,
            **changes,
        }
        return self.command("payment.refund", key, **request)

    def resolve(self, session: PaymentSession, decision: str, key: str | None = None) -> dict[str, Any]:
        """End the session's hold; the outcome."""
        return self.command("payment.resolve", key, session_id=str(session.id), reason="looked at", decision=decision)

    def pay(self, session: PaymentSession, card: str = "4242424242424242", **more: Any) -> dict[str, Any]:
        """Pay on the session's current page, without telling anybody: events wait to be delivered."""
        return self.control(f"checkout/{self.checkout_id(session)}/pay", card=card, **more)

    def checkout_id(self, session: PaymentSession) -> str:
        """The id of the session's current page."""
        return str(self.attempt(session).stripe_checkout_id)

    # Stripe

    def control(self, path: str, **body: Any) -> dict[str, Any]:
        """Call the sandbox's control API."""
        answer = requests.post(f"{self.sandbox.url}/_sandbox/{path}", json=body, timeout=30)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def look(self, path: str) -> dict[str, Any]:
        """Read from the sandbox's control API."""
        found: dict[str, Any] = requests.get(f"{self.sandbox.url}/_sandbox/{path}", timeout=30).json()
        return found

    def ledger(self) -> dict[str, Any]:
        """What really happened at Stripe."""
        return self.look("ledger")

    def await_hold(self) -> None:
        """Wait until Stripe holds a request or a reply, as a fault told it to."""
        while not self.look("holds")["holds"]:
            threading.Event().wait(0.01)

    def open_page_elsewhere(self, metadata: dict[str, str], amount_minor: int = 900) -> dict[str, Any]:
        """Have another program of the same Stripe account open a Checkout page."""
        price = {"currency": "usd", "unit_amount": amount_minor, "product_data": {"name": "Something else"}}
        params = {
            "mode": "payment",
            "success_url": "https://elsewhere.example",
            "line_items": [{"quantity": 1, "price_data": price}],
            "metadata": metadata,
            "payment_intent_data": {"metadata": metadata},
        }
        return runtime.runtime().gateway.create_checkout(params, str(uuid.uuid4()))

    def fault(self, kind: str, **more: Any) -> None:
        """Break the next matching request."""
        self.control("faults", kind=kind, **more)

    def event(self, kind: str) -> dict[str, Any]:
        """The newest event of a type."""
        return [event for event in self.events() if event["type"] == kind][-1]

    def mend(self) -> None:
        """Forget the faults that still wait, and have somebody find that Stripe answers."""
        requests.delete(f"{self.sandbox.url}/_sandbox/faults", timeout=30).raise_for_status()
        runtime.runtime().gateway.circuit.record(answered=True)

    def events(self) -> list[dict[str, Any]]:
        """All events so far, oldest first."""
        answer = requests.get(
            f"{self.sandbox.url}/v1/events",
            params={"limit": 100},
            headers={"Authorization": "Bearer sk_test_shop"},
            timeout=30,
        )
        answer.raise_for_status()
        return list(reversed(answer.json()["data"]))

    def deliver(self, *, shuffled_by: random.Random | None = None, work: bool = True) -> list[dict[str, Any]]:
        """Deliver the events that were not delivered yet, once each, and work."""
        new = [event for event in self.events() if event["id"] not in self._delivered]
        if shuffled_by is not None:
            shuffled_by.shuffle(new)
        for event in new:
            self.deliver_event(event)
        if work:
            self.work()
        return new

    def tell(self, *kinds: str) -> None:
        """Deliver the newest event of each type, in this order, and work after each."""
        for kind in kinds:
            self.deliver_event(self.event(kind))
            self.work()

    def deliver_event(self, event: dict[str, Any], times: int = 1) -> None:
        """Put an event into the queue, as the front end does with a verified webhook."""
        self._delivered.add(event["id"])
        for _ in range(times):
            self.queue.enqueue(messages.receive_event(json.dumps(event), clock.now()))

    # Looking

    def session(self, session_id: Any) -> PaymentSession:
        """The session's row as it is now."""
        with db.transaction():
            found: PaymentSession = PaymentSession.get_by_id(session_id)
        return found

    def attempt(self, session: PaymentSession) -> CheckoutAttempt:
        """The session's current attempt as it is now."""
        with db.transaction():
            found: CheckoutAttempt = CheckoutAttempt.get(
                CheckoutAttempt.session == session.id,
                CheckoutAttempt.number
                == PaymentSession.select(PaymentSession.attempt_number).where(PaymentSession.id == session.id),
            )
        return found

    def rows(self, table: Any, *conditions: Any) -> list[Any]:
        """Rows of a table, in the order of their primary key or creation."""
        with db.transaction():
            query = table.select().where(*conditions) if conditions else table.select()
            order = table.created_at if hasattr(table, "created_at") else table._meta.primary_key
            return list(query.order_by(order))

    def transactions(self, session: PaymentSession) -> list[Transaction]:
        """The session's charges, oldest first."""
        return self.rows(Transaction, Transaction.session == session.id)

    def refunds(self, session: PaymentSession) -> list[Refund]:
        """The refunds of the session's payments, oldest first."""
        ids = [row.id for row in self.transactions(session)]
        return self.rows(Refund, Refund.transaction.in_(ids))

    def transitions(self, session: PaymentSession) -> list[Transition]:
        """The session's audit trail."""
        return self.rows(Transition, Transition.session == session.id)

    def notifications(self, session: PaymentSession) -> list[str]:
        """The types of what the marketplace was told of the session, oldest first."""
        return [row.type for row in self.rows(Notification, Notification.session == session.id)]

    def verdicts(self) -> dict[str, str | None]:
        """How the handling of each event ended, by type."""
        return {row.type: row.verdict for row in self.rows(StripeEvent)}

    def outcome(self, operation: uuid.UUID) -> dict[str, Any]:
        """The published outcome of an operation."""
        text = self.state.get(operation_key(operation))
        assert text is not None, "the operation has no published outcome"
        found: dict[str, Any] = jsons.loads(text)
        return found

    def snapshot(self, session: PaymentSession, face: str = "service") -> dict[str, Any]:
        """The published snapshot of a session."""
        text = self.state.hget(session_key(session.id), face)
        assert text, "the session has no published snapshot"
        found: dict[str, Any] = jsons.loads(text)
        return found

    def fingerprint(self) -> dict[str, Any]:
        """All rows that matter and the ledger: equal before and after something that must change nothing."""
        tables = (
            PaymentSession,
            CheckoutAttempt,
            Operation,
            Transaction,
            Receipt,
            Refund,
            Customer,
            PaymentMethod,
            Dispute,
            StripeEvent,
            Outbox,
            Notification,
            NotificationDelivery,
            Transition,
            SellerMovement,
        )
        rows = {table.__name__: [dict(row.__data__) for row in self.rows(table)] for table in tables}
        ledger = self.ledger()
        kinds = ("sessions", "payment_intents", "charges", "refunds", "customers", "payment_methods", "disputes")
        kinds += ("accounts", "transfers")
        return {**rows, "stripe": {kind: ledger[kind] for kind in kinds}}


@pytest.fixture(scope="session")
def sandbox_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SandboxServer, Path]]:
    """This worker's Stripe sandbox and the clock file that it reads."""
    clock_file = tmp_path_factory.mktemp("sandbox") / "clock"
    with SandboxServer(SandboxConfig(clock_file=clock_file, tick=3600)) as server:
        yield server, clock_file


@pytest.fixture
def shop_environment(database_url: str, redis_url: str, tmp_path: Path) -> dict[str, str]:
    """The settings of a worker on this test's services, without Stripe's address."""
    return {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "STRIPE_SECRET_KEY": "sk_test_shop",
        "BUYER_TOKEN_SECRETS": "token-secret",
        "PUBLIC_URL": "http://127.0.0.1:8080",
        "RECEIPT_FOLDER": str(tmp_path / "receipts"),
        "RECEIPT_URL_SECRET": "link-secret",
        "RECEIPT_ISSUER_NAME": "Harbour Auctions",
    }


@pytest.fixture
def make_shop(
    shop_environment: dict[str, str],
    sandbox_server: tuple[SandboxServer, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[..., Shop]]:
    """Opens the shop; further settings as keyword arguments."""
    sandbox, clock_file = sandbox_server
    clock_file.unlink(missing_ok=True)
    monkeypatch.setenv("PAYWINDOW_CLOCK_FILE", str(clock_file))
    requests.post(f"{sandbox.url}/_sandbox/reset", timeout=30).raise_for_status()

    def make(**settings: str) -> Shop:
        environment = {**shop_environment, "STRIPE_API_BASE": sandbox.url, **settings}
        loaded = Settings.load(Role.WORKER, environment)
        queue = Queue()
        runtime.start(loaded, queue)  # type: ignore[arg-type] # the queue stands in for the broker
        return Shop(loaded, queue, sandbox, redis.Redis.from_url(loaded.state_url), clock_file)

    yield make
    db.disconnect()


@pytest.fixture
def shop(make_shop: Callable[..., Shop]) -> Shop:
    """A shop with the default settings."""
    return make_shop()


@pytest.fixture
def audited(make_shop: Callable[..., Shop]) -> Iterator[None]:
    """Whatever the test does, its shop is sound afterwards; what Stripe and the test did not tell it is not asked about."""
    yield
    for sweep in ("sweeps.window_mirror", "sweeps.sellers"):  # tests move the clock, and give few sweeps their turn
        registry.functions()[sweep]()
    assert auditor.audit(compare=lambda _: False).violations == []


class Workers:
    """Real workers on a real broker, in threads of this process; they leave the drawing of receipts alone."""

    QUEUES = tuple(queue.value for queue in messages.Queue if queue is not messages.Queue.RECEIPTS)

    def __init__(self, settings: Settings):
        self.broker: Broker = make_broker(secret(settings.redis_url))
        registry.declare(self.broker)
        self._worker = Worker(self.broker, queues=set(self.QUEUES), worker_timeout=25, worker_threads=4)

    def start(self) -> None:
        """Begin to work."""
        self._worker.start()

    def stop(self) -> None:
        """End the threads; what they have begun is finished."""
        self._worker.stop()

    def until(self, condition: Callable[[], Any]) -> Any:
        """Wait for ``condition`` to give something true, and return that; a vain wait is given up after two minutes."""
        deadline = time.monotonic() + 120
        while not (found := condition()):
            assert time.monotonic() < deadline, "waited in vain"
            threading.Event().wait(0.02)
        return found

    def until_idle(self) -> None:
        """Wait until no message is queued, delayed or being worked on."""
        self.until(lambda: self.unacknowledged() == 0)

    def unacknowledged(self) -> int:
        """How many messages the broker has not seen done."""
        keys = [f"dramatiq:{queue}{kind}.msgs" for queue in self.QUEUES for kind in ("", ".DQ")]
        return sum(int(self.broker.client.hlen(key)) for key in keys)


@pytest.fixture
def workers(shop: Shop) -> Iterator[Workers]:
    """Workers that take the shop's messages in place of the test."""
    found = Workers(shop.settings)
    runtime.start(shop.settings, found.broker)
    shop.queue = found.broker  # type: ignore[assignment] # it was standing in for this
    found.start()
    yield found
    found.stop()
    found.broker.close()


@pytest.fixture
def paywindow(shop_environment: dict[str, str]) -> Callable[..., Any]:
    """Run a command of an operator in this process: ``paywindow("sessions", "list", "--json")``.

    A command that reads points the models at a connection of its own; the shop gets its own back.
    """

    def run(*arguments: object, answer: str | None = None, **environment: str) -> Any:
        pool, send = db.database.obj, db._send
        try:
            return CliRunner().invoke(
                app, [str(each) for each in arguments], env={**shop_environment, **environment}, input=answer
            )
        finally:
            db.database.initialize(pool)
            db._send = send

    return run


@pytest.fixture(scope="module")
def aws_endpoint() -> Iterator[str]:
    """AWS by moto, over HTTP."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def aws(aws_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """Clients of an empty AWS, and credentials for it in the environment instead of the developer's own."""
    import boto3  # type: ignore[import-untyped]

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    with urlopen(f"{aws_endpoint}/moto-api/reset", data=b""):
        return lambda service: boto3.session.Session().client(service, endpoint_url=aws_endpoint)
