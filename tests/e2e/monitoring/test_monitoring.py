"""Purchases and failures on a real installation, as a real Prometheus, its alerts and its dashboard see them."""

import json
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import requests
import yaml

from paywindow.dead_letters import DeadLetters
from paywindow.sandbox.control_client import ControlClient

DOCKER = Path(__file__).parents[3] / "docker"
DECLINED = "4000000000000002"
ROLES = ("front", "worker-interactive", "worker-sweeps", "worker-receipts", "scheduler")

Until = Callable[[Callable[[], Any], str], Any]


@pytest.fixture(scope="session")
def purchases(monitored: Any, until: Until) -> list[dict[str, Any]]:
    """A real run: Stripe fails at first; sessions are paid, declined, and left to expire; one is open."""
    shop = monitored.shop
    shop.stripe.fault("500", times=2, path_prefix="/v1/checkout/sessions")
    shop.create(wait=0)
    until(lambda: shop.stripe.ledger()["sessions"], "the page to be opened after all")
    created = shop.open_sessions(6)
    for session in created[:4]:
        shop.pay(session)
    shop.pay(created[4], card=DECLINED)
    for session in created[:4]:
        shop.await_receipt(session)
    shop.await_status(created[4], "failed")
    monitored.pass_time(hours=25)
    for session in created[4:]:
        shop.await_status(session, "expired")
    created.append(shop.open_session())
    monitored.enqueue("sweeps.window_mirror")
    return list(created)


def test_what_several_processes_count_adds_up_to_what_is_in_the_books(
    monitored: Any, purchases: list[dict[str, Any]], until: Until
) -> None:
    moves = "sum(payments_checkout_session_moves_total{status='%s'})"
    pages = "sum(payments_stripe_requests_total{endpoint='POST /v1/checkout/sessions', status='200'})"
    shop = monitored.shop

    def in_the_books() -> dict[str, float]:
        moved = shop.rows("SELECT to_status FROM transitions WHERE from_status <> to_status")
        (closed,) = shop.rows("SELECT count(*) FROM transitions WHERE event = 'window_closed'")
        (handled,) = shop.rows("SELECT count(*) FROM stripe_events WHERE handled_at IS NOT NULL")
        return {
            **{moves % status: count for status, count in Counter(row["to_status"] for row in moved).items()},
            "sum(payments_money_taken_minor_units_total{currency='USD'})": 4 * 27550,
            "sum(payments_webhook_events_handled_total)": handled["count"],
            "sum(payments_receipt_render_seconds_count)": 4,
            "sum(payments_window_expired_total)": closed["count"],
            pages: len(shop.stripe.ledger()["sessions"]),
        }

    # The last events may still be on their way, and what is counted is seen at the next scrape.
    def differences() -> dict[str, tuple[float | None, float]]:
        books = in_the_books()
        counted = {query: monitored.number(query) for query in books}
        return {query: (counted[query], books[query]) for query in books if counted[query] != books[query]}

    _await_none(until, differences, "all to be counted")
    assert len(in_the_books()) > 7
    assert len(purchases) == 7


def test_all_gauges_of_what_waits_come_from_the_scheduler_alone(monitored: Any, until: Until) -> None:
    until(lambda: monitored.query("payments_pending_rows"), "a first measurement")

    for gauge in ("payments_pending_rows", "payments_checkout_sessions_active", "payments_queue_messages"):
        assert {row["metric"]["job"] for row in monitored.query(gauge)} == {"paywindow-scheduler"}


@pytest.mark.parametrize("role", ROLES)
def test_promtool_finds_nothing_to_object_to_in_what_a_process_serves(
    monitored: Any, purchases: list[dict[str, Any]], role: str, require_program: Callable[[str], str]
) -> None:
    text = requests.get(f"http://127.0.0.1:{monitored.shop.stack.metrics_ports[role]}/metrics", timeout=30).text

    done = subprocess.run(
        [require_program("promtool"), "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )

    # What the client library serves of itself and of Python is not ours to name.
    objections = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("payments_")]
    assert objections == []
    assert "payments_" in text
    assert done.returncode in (0, 3), done.stderr
    for session in purchases:
        assert session["paymentSession"]["id"] not in text


def test_no_query_of_the_dashboard_comes_back_empty(
    monitored: Any, purchases: list[dict[str, Any]], until: Until
) -> None:
    dashboard = json.loads((DOCKER / "grafana/dashboards/stripe-payments.json").read_text())
    targets = [
        (panel["title"], target["expr"].replace("$__rate_interval", "1m"))
        for panel in dashboard["panels"]
        for target in panel.get("targets", ())
    ]
    assert len(targets) > 30

    def empty() -> list[tuple[str, str]]:
        time.sleep(0.5)  # so many queries at a time are work
        length = {"start": monitored.started, "end": time.time(), "step": 2}
        return [(title, expr) for title, expr in targets if not _values(monitored.query(expr, **length))]

    _await_none(until, empty, "all panels to show something")


def _await_none(until: Until, find: Callable[[], Any], what: str) -> None:
    """Wait until ``find`` finds nothing; a failure shows what it found last. It is not asked once more after that: the
    installation goes on, and may have news by then."""
    found: Any = None

    def none() -> bool:
        nonlocal found
        found = find()
        return not found

    try:
        until(none, what)
    except AssertionError as error:
        raise AssertionError(f"{error}: {found}") from None


def _values(series: list[dict[str, Any]]) -> list[float]:
    numbers = [float(value) for each in series for _, value in each["values"]]
    return [number for number in numbers if number == number]  # NaN shows as nothing


class Trouble:
    """Everything that the alerts are about, made to happen and put right again."""

    #: What is wrong after :meth:`begin`, until :meth:`end`.
    ALERTS = frozenset(
        {
            "PaymentsDisputeEvidenceDue",
            "PaymentsSuccessRateLow",
            "PaymentsHeld",
            "PaymentsBooksDrift",
            "PaymentsWindowMirrorDrift",
            "PaymentsWebhookLagHigh",
            "PaymentsWebhooksLost",
            "PaymentsWebhooksRejected",
            "PaymentsEventsParked",
            "PaymentsReceiptFailures",
            "PaymentsReceiptMissing",
            "PaymentsRowsStuck",
            "PaymentsDeadLetters",
            "PaymentsStripeRateLimited",
            "PaymentsStripeUnreachable",
        }
    )

    def __init__(self, monitored: Any, until: Until, paid: dict[str, Any], other: dict[str, Any]):
        self._monitored = monitored
        self._paid, self._other = paid, other
        self._until = until
        self._shop = monitored.shop
        self._stripe: ControlClient = monitored.shop.stripe
        self._renderer = monitored.shop.renderer.folder / "wkhtmltopdf"
        self._right_renderer = self._renderer.read_text()

    def begin(self) -> None:
        """Falsify the books, dispute, pay late, decline cards, break the printer, lose webhooks, mangle an event, take Stripe
        away..."""
        self._falsify(by=1)
        self._dispute()
        self._until(lambda: self._compared() > 0, "the comparison with Stripe to find that")
        created = self._shop.open_sessions(9)
        self._stripe.webhook_mode("drop")
        self._renderer.write_text("#!/bin/sh\nexit 1\n")
        known = self._events()
        self._pay_late()
        for session in created[:2]:
            self._shop.pay(session)
        for session in created[2:]:
            self._shop.pay(session, card=DECLINED)
        bad = self._stripe.emit(
            "checkout.session.completed", {"id": self._shop.checkout_id(created[2]), "object": "checkout.session"}
        )
        self._monitored.pass_time(minutes=20)
        for event_id in self._events() - known:
            self._stripe.deliver(event_id)
        for session in created[:2]:
            self._shop.await_status(session, "completed")
        self._until(lambda: self._shop.status(self._held)["paymentSession"]["hold"], "the late payment to be held")
        self._shop.thaw("worker-sweeps")
        self._park(bad["id"])
        for number in range(12):
            self._stripe.emit("transfer.updated", {"id": f"tr_of_somebody_else_{number}", "object": "transfer"})
        self._monitored.pass_time(minutes=20)
        self._monitored.enqueue("sweeps.stripe_events")
        read_back = "sum(payments_stripe_events_recovered_total) > 10"
        self._until(lambda: self._monitored.query(read_back), "what was never sent to be read back")
        self._monitored.enqueue("sweeps.window_mirror")
        self._monitored.enqueue("publish.operation", operation_id="not a uuid")
        self._stripe.fault("429", times=8, path_prefix="/v1/checkout/sessions")
        self._stripe.fault("500", times=100_000, path_prefix="/v1/")
        for _ in range(10):
            self._shop.create(wait=0)

    def go_on(self) -> None:
        """What has to go on happening: a stranger's webhooks, and nobody else's."""
        forged = {"Stripe-Signature": f"t={int(time.time())},v1={'0' * 64}"}
        self._shop.call("POST", "/payments/webhooks/stripe", data=b"{}", headers=forged)

    def end(self) -> None:
        """Mend all of it, as an operator would."""
        self._renderer.write_text(self._right_renderer)
        self._stripe.call("DELETE", "/faults")
        self._stripe.webhook_mode("normal")
        self._stripe.call("POST", f"/disputes/{self._disputed}/review")
        letters = DeadLetters(self._shop.redis_client())
        for letter in letters.all():
            assert letters.discard(letter)
        self._write("DELETE FROM stripe_events WHERE parked_at IS NOT NULL")
        decision = {"decision": "accept", "reason": "the seller agrees"}
        path = f"/payments/checkout/{self._held['paymentSession']['id']}/resolve"
        assert self._shop.call("POST", path, json=decision).status_code == 200
        self._falsify(by=-1)
        # What waits for its next try is tried now, and the books are compared again.
        self._monitored.pass_time(hours=25)
        self._monitored.enqueue("sweeps.window_mirror")
        self._until(lambda: self._compared() == 0, "the next comparison to find nothing")

    def _falsify(self, by: int) -> None:
        """Change an amount in the books."""
        payment_intent = self._shop.charges(self._other)[0]["payment_intent"]
        change = "UPDATE transactions SET amount_minor = amount_minor + %s WHERE stripe_payment_intent_id = %s"
        self._write(change, by, payment_intent)

    def _compared(self) -> float:
        """Have the daily comparison gone on with; how many differences of that kind the last finished one has left."""
        self._monitored.enqueue("sweeps.reconciliation")
        time.sleep(1)
        return self._monitored.number("sum(payments_reconciliation_drift{code='amount_differs', outcome='left'})") or 0

    def _dispute(self) -> None:
        """Have a payment disputed, and let the time pass until two days before the evidence is due."""
        (charge,) = self._shop.charges(self._paid)
        self._disputed = self._stripe.call("POST", "/disputes", charge=charge["id"])["id"]
        left = "SELECT extract(epoch FROM evidence_due_at - created_at)::float AS seconds FROM disputes"
        (row,) = self._until(lambda: self._shop.rows(left), "the dispute to be told")
        self._monitored.pass_time(seconds=row["seconds"] - 2 * 86400)

    def _pay_late(self) -> None:
        """Pay on a page that outlives its window, while nobody closes that: the sweeps stand still until it is told."""
        self._held = self._shop.open_session(windowMinutes=5, latePolicy="hold")
        self._shop.freeze("worker-sweeps")
        self._monitored.pass_time(minutes=6)
        self._shop.pay(self._held)

    def _park(self, event_id: str) -> None:
        """Let the event's next failure be its last."""
        found = "SELECT tries FROM stripe_events WHERE id = %s AND tries > 0"
        self._until(lambda: self._shop.rows(found, event_id), "the unreadable event to fail")
        self._write("UPDATE stripe_events SET tries = 9, next_try_at = received_at WHERE id = %s", event_id)

    def _events(self) -> set[str]:
        answer = requests.get(
            f"{self._shop.stack.sandbox_url}/v1/events",
            params={"limit": "100"},
            headers={"Authorization": "Bearer sk_test_sandbox"},
            timeout=60,
        )
        return {event["id"] for event in answer.json()["data"]}

    def _write(self, statement: str, *parameters: Any) -> None:
        with (
            psycopg2.connect(self._shop.stack.environment["DATABASE_URL"]) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(statement, parameters)
        connection.close()


def _await_firing(monitored: Any, until: Until, alerts: frozenset[str], meanwhile: Callable[[], Any]) -> None:
    missing = set(alerts)

    def all_fired() -> bool:
        meanwhile()
        missing.difference_update(alert for alert, told in monitored.receiver.slack().items() if "FIRING" in told)
        time.sleep(0.5)
        return not missing

    try:
        until(all_fired, "the alerts to fire")
    except AssertionError:
        raise AssertionError(f"these did not fire: {sorted(missing)}") from None


def _await_resolved(monitored: Any, until: Until) -> None:
    def unresolved() -> set[str]:
        time.sleep(0.5)
        return {alert for alert, told in monitored.receiver.slack().items() if told[-1] != "RESOLVED"}

    _await_none(until, unresolved, "the alerts to resolve")


def test_alerts_fire_while_something_is_wrong_and_resolve_when_it_is_mended(
    monitored: Any, purchases: list[dict[str, Any]], until: Until
) -> None:
    trouble = Trouble(monitored, until, purchases[0], purchases[1])
    trouble.begin()
    try:
        _await_firing(monitored, until, Trouble.ALERTS, trouble.go_on)
    finally:
        trouble.end()
    _await_resolved(monitored, until)

    told = [body["attachments"][0] for path, body in monitored.receiver.told if path == "/slack"]
    assert all("docs/runbooks/stripe-payments.md#payments" in each["text"] for each in told)
    assert not [each for each in told if "error" in each["title"].lower() or "<no value>" in str(each)]


def test_processes_that_stand_still_or_are_gone_are_noticed(
    monitored: Any, purchases: list[dict[str, Any]], until: Until
) -> None:
    shop = monitored.shop
    shop.freeze("worker-sweeps")
    shop.freeze("worker-interactive")
    monitored.enqueue("publish.session", session_id=purchases[0]["paymentSession"]["id"])
    frozen = frozenset({"PaymentsNotMeasured", "PaymentsQueueDelayed", "PaymentsScrapeDown"})
    _await_firing(monitored, until, frozen, lambda: None)
    shop.thaw("worker-sweeps")
    shop.thaw("worker-interactive")
    _await_resolved(monitored, until)

    shop.stack.processes["scheduler"].stop()
    _await_firing(monitored, until, frozenset({"PaymentsNoScheduler"}), lambda: None)
    shop.stack.start("scheduler")
    _await_resolved(monitored, until)

    shop.redis.stop()
    _await_firing(monitored, until, frozenset({"PaymentsRedisDown"}), lambda: None)
    shop.redis.start()
    _await_resolved(monitored, until)


#: What unit tests of the rules alone have fire.
_NOT_HERE = {
    # Hours and days by the real clock.
    "PaymentsEventsNotRead",
    "PaymentsBooksNotCompared",
    "PaymentsNotificationsLate",
    "PaymentsNotificationsUndeliverable",
    "PaymentsCardScanOverdue",
    # Faults that this installation does not have: a wrong key, a leak, sellers, a purchase on a schedule.
    "PaymentsStripeKeyRejected",
    "PaymentsCardNumbersFound",
    "PaymentsSharesRefused",
    "PaymentsSyntheticPurchaseFailed",
}


def test_each_alert_reached_those_whom_its_labels_name(monitored: Any) -> None:
    rules = yaml.safe_load((DOCKER / "prometheus/rules/payments.yml").read_text())
    alerts = {rule["alert"]: rule["labels"] for group in rules["groups"] for rule in group["rules"] if "alert" in rule}
    told = monitored.receiver.slack()
    assert set(told) >= set(alerts) - _NOT_HERE

    paged, escalated = monitored.receiver.paged(), monitored.receiver.escalated()
    for alert in told:
        critical = alerts[alert]["severity"] == "critical"
        assert paged.get(alert, set()) == ({"trigger", "resolve"} if critical else set())
        to_opsgenie = alerts[alert]["component"] in ("receipts", "webhooks")
        assert escalated.get(alert) == (("P1" if critical else "P3") if to_opsgenie else None)
