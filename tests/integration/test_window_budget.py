"""Sweeps share Stripe's rate limit with live checkouts: the bucket, the batches, their order, and the index behind them."""

import time
from datetime import timedelta

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from paywindow import clock, messages
from paywindow.budget import SWEEP_SHARE, Budget
from paywindow.models import database as db
from paywindow.models import windows
from paywindow.models.database import transaction
from paywindow.models.tables import PaymentSession


@pytest.fixture
def client(redis_url):
    with redis.Redis.from_url(redis_url) as client:
        yield client


def insert_sessions(count, *, due="now", status="pending"):
    """Sessions whose deadlines lie a millisecond apart, the last one at ``due``, inserted in no order."""
    at = clock.now() if due == "now" else due
    with transaction():
        db.database.execute_sql(
            """
            INSERT INTO payment_sessions (id, auction_id, buyer_id, amount_minor, currency, late_policy, window_minutes,
                livemode, status, completed_at, attempt_number, expires_at, due_at, created_at, updated_at)
            SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 100, 'USD', 'refund', 60, false, %s,
                CASE %s WHEN 'completed' THEN timestamptz 'epoch' END, 1, moment, moment, moment, moment
            FROM (SELECT %s - n * interval '1 millisecond' AS moment FROM generate_series(0, %s) AS n ORDER BY random()) AS m
            """,
            (status, status, at, count - 1),
        )


def claimed(shop):
    """The sessions that sweeps sent messages for, in the order of the queue."""
    return [message.kwargs["session_id"] for message in shop.queue.messages if message.actor_name == "window.due"]


def in_deadline_order(shop):
    """The ids of all sessions by deadline."""
    with transaction():
        return [str(row.id) for row in PaymentSession.select().order_by(PaymentSession.expires_at)]


def sweep(shop):
    shop.run(messages.build("sweeps.windows"))


def test_a_sweep_gets_at_most_its_share_of_a_second(client):
    assert Budget(client, 100).claim_for_sweep(1000) == 100 * SWEEP_SHARE


def test_a_sweep_gets_no_more_than_it_asks_for(client):
    budget = Budget(client, 100)

    assert [budget.claim_for_sweep(wanted) for wanted in (10, 20, 10)] == [10, 20, 10]


@pytest.mark.parametrize("rate", [1, 2])
def test_a_sweep_gets_its_turn_at_the_smallest_rates(client, rate):
    budget = Budget(client, rate)

    for _ in range(2):
        while not (granted := budget.claim_for_sweep(5)):
            pass
        assert granted == 1


@pytest.mark.parametrize("rate", ["1", "2"])
def test_windows_are_closed_at_the_smallest_rates(make_shop, rate):
    shop = make_shop(STRIPE_RATE_LIMIT=rate)
    session = shop.open_session(window_minutes=30)
    shop.pass_time(minutes=30)

    while shop.session(session.id).status == "pending":
        sweep(shop)
        shop.work()

    assert shop.session(session.id).status == "expired"


def test_all_processes_share_one_bucket(client):
    first, second = Budget(client, 10_000), Budget(client, 10_000)

    started = time.monotonic()
    taken = first.claim_for_sweep(3_000) + second.claim_for_sweep(3_000)

    assert 4_000 <= taken <= 4_000 + 4_000 * (time.monotonic() - started) + 1


def test_live_calls_are_never_refused_and_sweeps_wait_for_the_debt(client):
    budget = Budget(client, 20)

    for _ in range(100):
        budget.spend()

    assert budget.claim_for_sweep(100) == 0


def test_the_debt_is_bounded_so_that_sweeps_go_on_after_a_burst(client):
    budget = Budget(client, 200)
    for _ in range(600):
        budget.spend()

    while not (granted := budget.claim_for_sweep(1)):
        pass

    assert granted == 1
    assert float(client.hget("pw:stripe-budget", "tokens")) >= -200


def test_the_bucket_fills_at_its_rate_and_no_faster(client):
    budget = Budget(client, 1000)
    started, taken = time.monotonic(), 0

    while taken < 600:
        taken += budget.claim_for_sweep(1000)

    # A full bucket of 400, and 400 a second from then on.
    assert taken <= 400 + 400 * (time.monotonic() - started) + 1


def test_a_bucket_that_vanished_is_full(client):
    budget = Budget(client, 100)
    budget.claim_for_sweep(1000)

    client.flushall()

    assert budget.claim_for_sweep(1000) == 40


def test_a_live_call_goes_through_without_redis_and_a_sweep_does_not(caplog):
    nowhere = redis.Redis(host="127.0.0.1", port=1, retry=Retry(NoBackoff(), 0))
    budget = Budget(nowhere, 100)

    budget.spend()

    assert "not counted" in caplog.text
    with pytest.raises(redis.RedisError):
        budget.claim_for_sweep(1)


def test_two_thousand_windows_due_at_once_are_claimed_in_deadline_order_each_once(make_shop):
    shop = make_shop(STRIPE_RATE_LIMIT="10000")
    insert_sessions(2_000)

    while len(claimed(shop)) < 2_000:
        sweep(shop)

    assert claimed(shop) == in_deadline_order(shop)


def test_a_storm_is_claimed_no_faster_than_the_sweeps_share(make_shop):
    shop = make_shop(STRIPE_RATE_LIMIT="100")
    insert_sessions(2_000)
    started = time.monotonic()

    while len(claimed(shop)) < 50:
        sweep(shop)

    found = claimed(shop)
    assert len(found) <= 40 + 40 * (time.monotonic() - started) + 1
    assert found == in_deadline_order(shop)[: len(found)]


def test_sweeps_at_the_same_moment_never_claim_the_same_window(make_shop):
    shop = make_shop(STRIPE_RATE_LIMIT="10000")
    insert_sessions(2_000)

    for _ in range(4):
        shop.together(*[messages.build("sweeps.windows") for _ in range(4)])

    found = claimed(shop)
    assert len(found) == len(set(found))
    while len(claimed(shop)) < 2_000:
        sweep(shop)
    assert sorted(claimed(shop)) == sorted(in_deadline_order(shop))


def test_a_claimed_window_comes_back_when_its_lease_is_over(make_shop):
    shop = make_shop(STRIPE_RATE_LIMIT="10000")
    insert_sessions(3)
    sweep(shop)
    shop.queue.messages.clear()

    sweep(shop)
    assert claimed(shop) == []

    shop.pass_time(seconds=windows.LEASE.total_seconds() + 1)
    sweep(shop)
    assert claimed(shop) == in_deadline_order(shop)


def test_deadlines_of_the_next_seconds_are_sent_ahead_with_the_exact_delay(make_shop, monkeypatch):
    shop = make_shop()
    sent = []
    monkeypatch.setattr(db, "_send", lambda message, *, delay=None: sent.append((message, delay)))
    insert_sessions(1, due=clock.now() + timedelta(seconds=1.5))
    insert_sessions(1, due=clock.now() + timedelta(minutes=1))

    sweep(shop)

    ((message, delay),) = sent
    assert message.actor_name == "window.due"
    assert 0 < delay <= 1_500


@pytest.mark.parametrize("question", ["claim", "count"])
def test_due_windows_are_found_by_their_index(shop, question, monkeypatch):
    insert_sessions(19_900, status="completed")
    insert_sessions(100)
    database, asked = db.database.obj, []
    execute = database.execute_sql

    def executing(sql, params=None, *args, **kwargs):
        asked.append((sql, params))
        return execute(sql, params, *args, **kwargs)

    with transaction():
        database.execute_sql("ANALYZE payment_sessions")
        monkeypatch.setattr(database, "execute_sql", executing)
        if question == "claim":
            windows.claim_due(clock.now(), clock.now(), 50)
        else:
            windows.count_due(clock.now(), 50)
        (sql, params) = next(query for query in asked if "due_at" in query[0])
        plan = "\n".join(row[0] for row in execute(f"EXPLAIN {sql}", params).fetchall())

    assert "payment_sessions_due" in plan


def test_attempts_are_taken_up_within_the_share_that_all_sweeps_have_together(make_shop):
    shop = make_shop(STRIPE_RATE_LIMIT="100")
    insert_sessions(300)
    with transaction():
        db.database.execute_sql(
            """
            INSERT INTO checkout_attempts (id, session_id, number, kind, status, params, idempotency_key,
                first_called_at, next_try_at, created_at)
            SELECT gen_random_uuid(), id, 1, 'first', 'claimed', '{}', id::text, created_at, created_at, created_at
            FROM payment_sessions
            """
        )
    started = time.monotonic()

    for _ in range(5):
        shop.run(messages.build("sweeps.attempts"))
        sweep(shop)

    sent = [message.actor_name for message in shop.queue.messages]
    assert sent.count("checkout.open") >= 40
    assert len(sent) <= 40 + 40 * (time.monotonic() - started) + 1
