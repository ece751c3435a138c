"""The test of the tests: with each safeguard everything comes right, and without it the audit says what is wrong.

The processes are real. A safeguard is taken out of the workers as they start (``chaos/safeguards.py``); the same happens to them
as happened to workers that have it, everything is given its time, and the audit looks.
"""

import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from chaos.safeguards import SAFEGUARDS, Safeguard

from paywindow.actors import auditor, runtime
from paywindow.broker import make_broker
from paywindow.clock import CLOCK_FILE_VARIABLE
from paywindow.heartbeats import living
from paywindow.messages import ROLES, Queue
from paywindow.models import database, tables
from paywindow.models.reconciliations import SCHEDULE
from paywindow.models.shares import FIGURES_PATIENCE
from paywindow.schedules.table import TABLE
from paywindow.settings import Role, Settings

WORKERS = tuple(f"worker-{role}" for role in ROLES)
#: Longer than any first wait of a sweep, and than what is left to webhooks before Stripe's list is read; then longer than a
#: fee of Stripe's is waited for before it is asked for.
ROUNDS = (timedelta(minutes=3), FIGURES_PATIENCE + timedelta(minutes=3))
_TABLES = ", ".join(getattr(tables, name)._meta.table_name for name in tables.__all__)
#: Whoever inserts a payment fails while there is a row in ``broken``; whoever opens a session waits for whoever holds the lock 1.
_GATES = """
CREATE TABLE broken (since timestamptz PRIMARY KEY);
CREATE FUNCTION fail_while_broken() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM broken) THEN RAISE EXCEPTION 'broken'; END IF;
    RETURN new;
END $$;
CREATE TRIGGER fail_while_broken BEFORE INSERT ON transactions FOR EACH ROW EXECUTE FUNCTION fail_while_broken();
CREATE FUNCTION wait_at_the_gate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(1);
    RETURN new;
END $$;
CREATE TRIGGER wait_at_the_gate BEFORE INSERT ON payment_sessions FOR EACH ROW EXECUTE FUNCTION wait_at_the_gate();
"""
_COMPARED_TODAY = """
INSERT INTO reconciliations (id, who, livemode, repairs, since, until, stage, started_at, finished_at)
VALUES (%s, %s, false, true, now() - interval '31 days', now(), 'payments', now(), now())
"""


class Ground:
    """An installation whose workers are started anew for each scene, with or without a safeguard."""

    def __init__(self, shop: Any, until: Callable[[Callable[[], Any], str], Any]):
        self.shop = shop
        self.until = until
        self.redis = shop.redis_client()
        self._environment = dict(shop.stack.environment)
        self.execute(_GATES)

    def execute(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """What Postgres says, committed."""
        with database.transaction():
            cursor = database.database.execute_sql(statement, parameters or None)
            return list(cursor.fetchall()) if cursor.description else []

    def begin(self, more: dict[str, str]) -> None:
        """Forget everything, and start the workers with this in their environment."""
        stack = self.shop.stack
        for name in WORKERS:
            stack.processes[name].ask_to_stop()
        for name in WORKERS:
            stack.processes[name].stop()
        self.shop.stripe.reset()
        self.redis.flushall()
        self.execute(f"TRUNCATE {_TABLES}, broken")
        # The daily comparison is over: what a safeguard keeps from happening, that would mend, a day late.
        self.execute(_COMPARED_TODAY, uuid.uuid4(), SCHEDULE)
        stack.environment.clear()
        stack.environment.update(self._environment | more)
        for name in WORKERS:
            stack.start(name)
        state = runtime.runtime().publisher._redis
        for role, queues in ROLES.items():
            self.until(
                lambda queues=set(queues): any(queues <= set(sign.queues) for sign in living(state)), f"a {role} worker"
            )

    def settle(self) -> None:
        """Everything is given its time: the clock moves on, all sweeps have their turn, and the queues run empty."""
        for length in ROUNDS:
            self.shop.let_pass(length)
            self.redis.delete(*(f"pw:tick:{periodic.actor}" for periodic in TABLE))
            for periodic in TABLE:
                self.until(
                    lambda key=f"pw:tick:{periodic.actor}": self.redis.exists(key), f"a tick of {periodic.actor}"
                )
            self.until(lambda: self._queued() == 0, "the queues to run empty")

    def _queued(self) -> int:
        return sum(self.redis.hlen(f"dramatiq:{queue}{kind}.msgs") for queue in Queue for kind in ("", ".DQ"))

    def violations(self) -> dict[str, list[str]]:
        """The invariants that are violated, and by what, now that nothing happens any more."""
        self.shop.freeze("scheduler")  # some sweep is always about to begin
        try:
            self.until(lambda: self._queued() == 0, "the last sweeps to end")
            violations: dict[str, list[str]] = {}
            for found in auditor.audit(at_rest=True).violations:
                violations.setdefault(found.invariant, []).append(f"{found.subject}: {found.detail}")
            # The audit is right about the scheduler: it is not heard.
            violations.pop("processes_heard", None)
            return violations
        finally:
            self.shop.thaw("scheduler")


@pytest.fixture(scope="module")
def ground(
    open_installation: Callable[..., AbstractContextManager[Any]], until: Callable[..., Any]
) -> Iterator[Ground]:
    with open_installation() as shop, pytest.MonkeyPatch.context() as patch:
        environment = shop.stack.environment
        patch.setenv(CLOCK_FILE_VARIABLE, environment[CLOCK_FILE_VARIABLE])
        settings = Settings.load(Role.WORKER, environment)
        runtime.start(settings, make_broker(environment["REDIS_URL"]))
        yield Ground(shop, until)
        database.disconnect()


def an_event_cannot_be_handled_for_a_while(ground: Ground) -> None:
    """savepoint-inbox: more tries fail than a message has."""
    created = ground.shop.open_session()
    ground.execute("INSERT INTO broken VALUES (now())")
    ground.shop.pay(created)

    def failed() -> bool:
        kept = ground.execute("SELECT 1 FROM stripe_events WHERE type = 'checkout.session.completed' AND tries > 0")
        return bool(kept) or ground.redis.zcard("dramatiq:events.XQ") > 0

    ground.until(failed, "the event to have failed for now or for good")
    ground.execute("TRUNCATE broken")


def redis_is_wiped_before_a_receipt_is_numbered(ground: Ground) -> None:
    """outbox-sweep: the settlement is committed, and the message that follows from it is gone."""
    created = ground.shop.open_session()
    ground.shop.freeze("worker-receipts")
    ground.shop.pay(created)
    ground.until(
        lambda: ground.execute("SELECT 1 FROM outbox WHERE actor = 'receipts.issue'"), "the settlement to be committed"
    )
    # It is sent after the commit: wiped before that, Redis would still get it.
    ground.until(lambda: ground.redis.hlen(f"dramatiq:{Queue.RECEIPT_NUMBERS}.msgs"), "its message to be sent")
    ground.redis.flushall()
    ground.shop.thaw("worker-receipts")


def a_sale_is_canceled_while_stripe_opens_its_page(ground: Ground) -> None:
    """attempt-guard: the page comes for a session that does not want it any more."""
    request = ground.shop.request()
    ground.shop.stripe.fault("hold_reply", method="POST", path_prefix="/v1/checkout/sessions")
    ground.shop.create(request, wait=0)
    ground.until(ground.shop.stripe.holds, "Stripe to have opened the page")
    [(session_id,)] = ground.execute("SELECT id FROM payment_sessions WHERE auction_id = %s", request["auctionId"])
    canceled = ground.shop.call("POST", f"/payments/checkout/{session_id}/cancel", json={"reason": "withdrawn"})
    assert canceled.status_code == 200, canceled.text
    ground.shop.stripe.release_holds()
    ground.until(
        lambda: ground.execute(
            "SELECT 1 FROM checkout_attempts WHERE session_id = %s AND status <> 'claimed'", session_id
        ),
        "the page to be recorded",
    )


def two_winners_are_named_at_once(ground: Ground) -> None:
    """auction-lock: without the index, which would stop the second one as well, late and with an error."""
    ground.execute("DROP INDEX IF EXISTS one_unreleased_session_per_auction")
    request = ground.shop.request()
    rival = {**request, "buyerId": str(uuid.uuid4())}
    with database.database.connection_context(), database.database.atomic():
        database.database.execute_sql("SELECT pg_advisory_xact_lock(1)")
        for each in (request, rival):
            ground.shop.create(each, wait=0)
        waiting = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        ground.until(
            lambda: len(database.database.execute_sql(waiting).fetchall()) == 2, "both to wait, at the gate or in line"
        )


def the_webhooks_of_a_payment_are_lost(ground: Ground) -> None:
    """reconcile: Stripe tells nobody."""
    created = ground.shop.open_session()
    ground.shop.stripe.webhook_mode("drop")
    ground.shop.pay(created)
    ground.shop.stripe.webhook_mode("normal")


SCENES: dict[str, Callable[[Ground], None]] = {
    "savepoint-inbox": an_event_cannot_be_handled_for_a_while,
    "outbox-sweep": redis_is_wiped_before_a_receipt_is_numbered,
    "attempt-guard": a_sale_is_canceled_while_stripe_opens_its_page,
    "auction-lock": two_winners_are_named_at_once,
    "reconcile": the_webhooks_of_a_payment_are_lost,
}


def test_there_is_a_scene_for_every_safeguard() -> None:
    assert SCENES.keys() == SAFEGUARDS.keys()


def test_with_all_safeguards_all_comes_right(ground: Ground) -> None:
    ground.begin({})
    for scene in SCENES.values():
        scene(ground)
    ground.settle()

    assert ground.violations() == {}


@pytest.mark.parametrize("name", SAFEGUARDS)
def test_without_a_safeguard_the_audit_finds_what_is_wrong(name: str, ground: Ground, tmp_path: Path) -> None:
    safeguard: Safeguard = SAFEGUARDS[name]
    ground.begin(safeguard.without(tmp_path, ground.shop.stack.environment))
    SCENES[name](ground)
    ground.settle()

    assert safeguard.taken_out(tmp_path)
    violations = ground.violations()
    assert violations.keys() & safeguard.missed_by, violations
