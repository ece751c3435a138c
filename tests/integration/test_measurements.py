"""What waits in Postgres and Redis is measured once and served as gauges; counting follows commits."""

import json
import time
import uuid
from contextlib import suppress

import pytest
import redis
from prometheus_client import CollectorRegistry, generate_latest

from paywindow import clock, measurements, messages, metrics
from paywindow.errors import StripeUnavailable
from paywindow.measurements import MeasurementCollector
from paywindow.models import database as db
from paywindow.models import measure
from paywindow.models.database import transaction
from paywindow.models.tables import Dispute
from paywindow.notify import signatures
from paywindow.queue_gauges import QueueCollector, impatient
from paywindow.queue_metrics import MESSAGE_FAILURES, MESSAGES_DEAD, PICKUP_SECONDS, CountMessages


def measured():
    with transaction():
        return measure.everything(clock.now())


def pending(kind):
    found = measured()
    return found["payments_pending_rows"][kind], found["payments_pending_oldest_age_seconds"][kind]


def samples(collector):
    """name -> labels' values -> value."""
    found = {}
    for family in collector.collect():
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return found


def value(counter):
    return counter._value.get()


def test_nothing_waits_in_an_empty_shop(shop):
    found = measured()

    assert set(found) == set(measurements.GAUGES)
    assert {name: set(values.values()) for name, values in found.items()} == {key: {0.0} for key in measurements.GAUGES}
    assert set(found["payments_pending_rows"]) == set(measure.PENDING)


def test_active_sessions_are_counted_by_status(shop):
    paid, failed, _ = shop.open_session(), shop.open_session(), shop.open_session()
    shop.pay(failed, card="4000000000000002")
    shop.pay(paid)
    shop.deliver()

    assert measured()["payments_checkout_sessions_active"] == {"pending": 1, "processing": 0, "failed": 1}


def test_a_hold_is_counted_by_its_reason_with_its_age(shop):
    session = shop.open_session(late_policy="hold", window_minutes=5)
    shop.pass_time(minutes=6)
    shop.pay(session)
    shop.deliver()
    shop.pass_time(minutes=30)
    found = measured()

    assert found["payments_checkout_sessions_held"]["paid_late_held"] == 1
    assert found["payments_checkout_sessions_held"]["paid_mismatched"] == 0
    assert found["payments_hold_oldest_age_seconds"]["paid_late_held"] == pytest.approx(1800, abs=60)
    assert found["payments_checkout_sessions_active"]["pending"] == 0


def test_an_attempt_and_its_command_wait_while_stripe_is_away(shop):
    shop.fault("500", times=4, path_prefix="/v1/checkout/sessions")
    with pytest.raises(Exception, match="error"):
        shop.run(shop.create_message(shop.request()))
    shop.pass_time(minutes=5)

    assert pending("attempts") == (1, pytest.approx(300, abs=60))
    assert pending("operations") == (1, pytest.approx(300, abs=60))


def test_an_event_that_nobody_handles_waits_since_it_came(shop):
    session = shop.open_session()
    with transaction():
        db.database.execute_sql("ALTER TABLE transactions RENAME TO away")
    try:
        shop.pay(session)
        shop.deliver()
    finally:
        with transaction():
            db.database.execute_sql("ALTER TABLE away RENAME TO transactions")
    shop.pass_time(minutes=5)
    assert pending("inbox") == (3, pytest.approx(300, abs=60))

    with transaction():
        db.database.execute_sql("UPDATE stripe_events SET parked_at = %s WHERE handled_at IS NULL", (clock.now(),))
    assert pending("inbox") == (0, 0)
    assert pending("inbox_parked") == (3, pytest.approx(0, abs=60))


def test_notifications_wait_until_they_are_taken_and_are_dead_for_a_day(make_shop):
    secret = signatures.new_secret()
    shop = make_shop(NOTIFY_URLS="http://127.0.0.1:1/hooks", NOTIFY_WEBHOOK_SECRETS=secret)
    shop.cancel(shop.open_session())
    shop.pass_time(minutes=5)
    assert pending("notifications") == (2, pytest.approx(300, abs=60))
    assert pending("notifications_dead") == (0, 0)

    with transaction():
        db.database.execute_sql("UPDATE notification_deliveries SET next_try_at = NULL, dead_at = %s", (clock.now(),))
    assert pending("notifications") == (0, 0)
    assert pending("notifications_dead") == (2, pytest.approx(0, abs=60))
    shop.pass_time(hours=25)
    assert pending("notifications_dead") == (0, 0)


def test_analytics_that_segment_does_not_take_are_no_stuck_outbox(make_shop):
    shop = make_shop(SEGMENT_WRITE_KEY="key", SEGMENT_HOST="http://127.0.0.1:1")
    shop.deaf_to = {"analytics.track"}
    shop.open_session()
    shop.pass_time(minutes=10)

    assert pending("analytics") == (1, pytest.approx(600, abs=60))
    assert pending("outbox") == (0, 0)


def test_a_paid_session_waits_for_its_receipt_from_the_payment_until_the_file_is_stored(shop):
    shop.deaf_to = {"receipts.issue"}
    shop.pay(shop.open_session())
    shop.deliver()
    shop.pass_time(minutes=20)
    assert pending("receipts") == (1, pytest.approx(1200, abs=60))

    shop.deaf_to = {"receipts.render"}
    shop.sweep()
    shop.pass_time(minutes=1)
    assert pending("receipts") == (1, pytest.approx(60, abs=60))

    shop.deaf_to = set()
    shop.pass_time(minutes=60)
    shop.sweep()
    assert pending("receipts") == (0, 0)


def test_a_window_waits_from_its_deadline_on_also_while_it_is_postponed(shop):
    session = shop.open_session(window_minutes=60)
    assert pending("windows") == (0, 0)
    shop.pass_time(minutes=61)
    assert pending("windows") == (1, pytest.approx(60, abs=60))

    shop.fault("500", times=4, path_prefix="/v1/checkout/sessions")
    shop.run(messages.build("window.due", session_id=str(session.id)))
    assert shop.session(session.id).due_at > clock.now()
    assert pending("windows") == (1, pytest.approx(60, abs=60))


def test_what_waits_in_the_outbox_is_measured(shop):
    shop.deaf_to = {"publish.session"}
    shop.open_session()
    shop.pass_time(minutes=10)

    count, age = pending("outbox")
    assert count >= 1
    assert age == pytest.approx(600, abs=60)


def test_a_refund_that_stripe_has_not_made_waits(shop):
    session = shop.open_session()
    shop.pay(session)
    shop.deliver()
    assert pending("refunds") == (0, 0)
    shop.fault("500", times=1000, path_prefix="/v1/refunds")
    request = {"session_id": str(session.id), "transaction_id": None, "amount": None, "reason": "broken"}
    with suppress(StripeUnavailable):
        shop.command("payment.refund", release_auction=False, **request)
    shop.pass_time(minutes=5)

    assert pending("refunds") == (1, pytest.approx(300, abs=60))


def test_a_dispute_counts_when_its_evidence_is_due_within_three_days(shop):
    session = shop.open_session()
    charge = shop.pay(session)["charge"]
    shop.deliver()
    dispute = shop.control("disputes", charge=charge)["id"]
    shop.deliver()
    assert pending("disputes") == (0, 0)
    due = shop.rows(Dispute)[0].evidence_due_at

    shop.pass_time(seconds=(due - clock.now()).total_seconds() - 86400)
    assert pending("disputes") == (1, pytest.approx(2 * 86400, abs=60))

    shop.control(f"disputes/{dispute}/review")
    shop.deliver()
    assert pending("disputes") == (0, 0)


def test_no_count_goes_further_than_the_bound(shop, monkeypatch):
    monkeypatch.setattr(measure, "COUNTED_UP_TO", 2)
    shop.deaf_to = {"publish.session"}
    for _ in range(4):
        shop.open_session()

    found = measured()
    assert found["payments_checkout_sessions_active"]["pending"] == 2
    assert found["payments_pending_rows"]["outbox"] == 2


def test_each_question_is_answered_by_the_index_of_unfinished_rows(shop):
    at = clock.now()
    many = """
        INSERT INTO payment_sessions (id, auction_id, buyer_id, amount_minor, currency, late_policy, window_minutes, livemode,
            status, attempt_number, expires_at, due_at, released_at, completed_at, created_at, updated_at)
        SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 1, 'USD', 'hold', 60, false,
            CASE WHEN n > 200 THEN 'completed' ELSE 'pending' END, 1, %(at)s, %(at)s, NULL,
            CASE WHEN n > 200 THEN %(at)s::timestamptz END, %(at)s, %(at)s FROM generate_series(1, 20000) AS n"""
    events = """
        INSERT INTO stripe_events (id, type, livemode, stripe_created_at, received_at, handled_at)
        SELECT n::text, 'x', false, %(at)s, %(at)s, %(at)s FROM generate_series(1, 20000) AS n"""
    operations = """
        INSERT INTO operations (id, client, kind, fingerprint, request, outcome, created_at, next_try_at, finished_at)
        SELECT gen_random_uuid(), 'x', 'x', 'x', '{}', '{}', %(at)s, %(at)s, %(at)s FROM generate_series(1, 20000) AS n"""
    parameters = {"limit": 1000, "now": at, "horizon": at}
    with transaction():
        for statement in (many, events, operations):
            db.database.execute_sql(statement, {"at": at})
        for table in ("payment_sessions", "stripe_events", "operations"):
            db.database.execute_sql(f"ANALYZE {table}")

        def plan(query):
            rows = db.database.execute_sql(f"EXPLAIN {query}", parameters).fetchall()
            return "\n".join(row[0] for row in rows)

        assert "payment_sessions_listed_held" in plan(measure._HELD)
        assert "payment_sessions_processing" in plan(measure._ACTIVE)
        assert "Seq Scan on payment_sessions" not in plan(measure._ACTIVE)
        assert "payment_sessions_due" in plan(measure.PENDING["windows"])
        assert "Seq Scan" not in plan(measure.PENDING["inbox"])
        assert "stripe_events_parked" in plan(measure.PENDING["inbox_parked"])
        assert "Seq Scan" not in plan(measure.PENDING["operations"])


def test_the_sweep_leaves_the_measurement_for_every_scheduler(shop):
    before = samples(MeasurementCollector(shop.state))
    assert before == {"payments_measured_timestamp_seconds": {(): 0}}

    shop.open_session()
    shop.run(messages.build("sweeps.measure"))

    first, second = samples(MeasurementCollector(shop.state)), samples(MeasurementCollector(shop.state))
    assert first == second
    assert first["payments_checkout_sessions_active"][("pending",)] == 1
    assert first["payments_measured_timestamp_seconds"][()] == pytest.approx(time.time(), abs=60)


def test_an_old_measurement_is_not_served_but_its_age_is(shop):
    shop.run(messages.build("sweeps.measure"))
    published = json.loads(shop.state.get(measurements.KEY))
    published["at"] -= measurements.MAX_AGE_SECONDS + 1
    shop.state.set(measurements.KEY, json.dumps(published))

    assert samples(MeasurementCollector(shop.state)) == {
        "payments_measured_timestamp_seconds": {(): pytest.approx(published["at"])}
    }


def test_what_an_older_scheduler_does_not_know_is_left_out(shop):
    shop.state.set(measurements.KEY, json.dumps({"at": time.time(), "values": {"payments_unheard_of": {"x": 1}}}))

    assert set(samples(MeasurementCollector(shop.state))) == {"payments_measured_timestamp_seconds"}
    with pytest.raises(KeyError, match="payments_unheard_of"):
        measurements.publish(shop.state, {"payments_unheard_of": {"x": 1}})


def test_queues_are_counted_by_state_with_the_age_of_the_first_message(shop, redis_url):
    client = redis.Redis.from_url(redis_url)
    message = messages.build("publish.session", session_id=str(uuid.uuid4()))
    old = message.copy(options={messages.QUEUED_AT: int(time.time() * 1000) - 90_000})
    for number, each in enumerate((old, message)):
        client.hset("dramatiq:follow-ups.msgs", str(number), each.encode())
        client.rpush("dramatiq:follow-ups", str(number))
    client.hset("dramatiq:follow-ups.msgs", "taken", message.encode())
    client.hset("dramatiq:follow-ups.DQ.msgs", "later", message.encode())

    found = samples(QueueCollector(client))

    assert found["payments_queue_messages"][("follow-ups", "waiting")] == 2
    assert found["payments_queue_messages"][("follow-ups", "taken")] == 1
    assert found["payments_queue_messages"][("follow-ups", "delayed")] == 1
    assert found["payments_queue_messages"][("interactive", "waiting")] == 0
    assert found["payments_queue_oldest_message_age_seconds"][("follow-ups",)] == pytest.approx(90, abs=60)
    assert found["payments_queue_oldest_message_age_seconds"][("interactive",)] == 0
    assert found["payments_redis_up"] == {(): 1}


def test_a_scheduler_whose_redis_is_away_is_scraped_all_the_same():
    nowhere = impatient("redis://127.0.0.1:1/0")
    registry = CollectorRegistry()
    registry.register(QueueCollector(nowhere))
    registry.register(MeasurementCollector(nowhere))

    text = generate_latest(registry).decode()

    assert "payments_redis_up 0.0" in text
    assert "payments_queue_messages{" not in text


def test_a_move_and_its_money_are_counted_once_it_is_committed(shop):
    moves, money = metrics.SESSION_MOVES.labels("paid", "completed"), metrics.MONEY_TAKEN.labels("JPY")
    before = value(moves), value(money)
    shop.pay(shop.open_session(currency="JPY", amount_minor=27550))
    shop.deliver()

    assert (value(moves) - before[0], value(money) - before[1]) == (1, 27550)


def test_what_is_rolled_back_is_not_counted(shop):
    counted = []
    with pytest.raises(RuntimeError, match="no"), transaction():
        db.after_commit(lambda: counted.append("lost"))
        raise RuntimeError("no")
    with transaction():
        db.after_commit(lambda: counted.append("kept"))
        with pytest.raises(RuntimeError, match="no"), db.savepoint():
            db.after_commit(lambda: counted.append("lost"))
            raise RuntimeError("no")
        assert counted == []

    assert counted == ["kept"]


def test_an_event_is_counted_with_its_lag_and_its_verdict(shop):
    applied, lag = metrics.EVENTS_HANDLED.labels("applied"), metrics.WEBHOOK_LAG._sum
    before = value(applied), lag.get()
    shop.pay(shop.open_session())
    shop.pass_time(minutes=3)
    shop.tell("checkout.session.completed")

    assert value(applied) - before[0] == 1
    assert lag.get() - before[1] == pytest.approx(180, abs=60)


def test_requests_to_stripe_are_counted_by_endpoint_and_status(shop):
    def count(endpoint, status):
        return value(metrics.STRIPE_REQUESTS.labels(endpoint, status))

    create, expire = "POST /v1/checkout/sessions", "POST /v1/checkout/sessions/{id}/expire"
    limited = metrics.STRIPE_FAILURES.labels("rate_limited")
    before = count(create, "200"), count(create, "429"), count(expire, "200"), value(limited)

    shop.fault("429", times=1, path_prefix="/v1/checkout/sessions")
    with pytest.raises(Exception, match="rate limit"):
        shop.run(shop.create_message(shop.request()))
    shop.cancel(shop.open_session())

    after = count(create, "200"), count(create, "429"), count(expire, "200"), value(limited)
    assert [new - old for new, old in zip(after, before, strict=True)] == [1, 1, 1, 1]


def test_a_message_is_counted_from_the_moment_it_was_put_into_its_queue(workers, monkeypatch):
    monkeypatch.setattr("paywindow.broker.MAX_RETRIES", 0)
    workers.broker.add_middleware(CountMessages())
    failures, dead = MESSAGE_FAILURES.labels("publish.operation"), MESSAGES_DEAD.labels("interactive")
    waited = PICKUP_SECONDS.labels("interactive")._sum
    before = value(failures), value(dead), waited.get()

    message = messages.build("publish.operation", operation_id="not a uuid")
    old = message.copy(message_timestamp=message.message_timestamp - 3_600_000)
    workers.broker.enqueue(old)
    workers.until(lambda: value(dead) - before[1])

    assert value(failures) - before[0] >= 1
    assert waited.get() - before[2] < 3000
