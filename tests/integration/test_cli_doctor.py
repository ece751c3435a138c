"""``paywindow doctor`` against real services: all well, each thing wrong by itself, and everything down at once."""

import json
import os

import psycopg2
import pytest
import redis
import requests
from typer.testing import CliRunner

from paywindow.cli import app
from paywindow.cli.doctor.stripe_account import needed_events
from paywindow.gateway import API_VERSION
from paywindow.heartbeats import Heart
from paywindow.messages import ROLES
from paywindow.schedules.runner import Scheduler

NOWHERE = "127.0.0.1:1"


@pytest.fixture
def environment(shop_environment, sandbox_server, monkeypatch):
    """The settings of an installation that is in order, but for its processes."""
    sandbox, _ = sandbox_server
    requests.post(f"{sandbox.url}/_sandbox/reset", timeout=30).raise_for_status()
    for name in os.environ.keys() & {"DATABASE_URL", "REDIS_URL", "STRIPE_SECRET_KEY", "PUBLIC_URL"}:
        monkeypatch.delenv(name)
    monkeypatch.delenv("PAYWINDOW_CLOCK_FILE", raising=False)
    return {
        **shop_environment,
        "STRIPE_API_BASE": sandbox.url,
        "STRIPE_WEBHOOK_SECRET": "whsec_1",
        "SERVICE_KEYS": f"shop:checkout+read:{'0' * 64}",
        # Nobody listens there: asking the front end fails at once.
        "PUBLIC_URL": f"http://{NOWHERE}",
    }


@pytest.fixture
def findings(environment):
    """Run the doctor; its findings by part and check, and the exit code under ``code``."""

    def run(*arguments, **changes):
        result = CliRunner().invoke(app, ["doctor", "--json", *arguments], env={**environment, **changes})
        assert result.stderr == ""
        body = json.loads(result.stdout)
        assert body["ok"] == (result.exit_code == 0)
        found = {f"{each['part']} {each['check']}": each for each in body["findings"]}
        return {**found, "code": result.exit_code}

    return run


def endpoint(environment, **changes):
    body = {
        "url": f"http://{NOWHERE}/payments/webhooks/stripe",
        "api_version": API_VERSION,
        **{f"enabled_events[{index}]": kind for index, kind in enumerate(needed_events())},
        **changes,
    }
    answer = requests.post(
        f"{environment['STRIPE_API_BASE']}/v1/webhook_endpoints",
        data={name: value for name, value in body.items() if value is not None},
        headers={"Authorization": "Bearer sk_test_shop"},
        timeout=30,
    )
    answer.raise_for_status()
    return answer.json()


@pytest.fixture
def alive(environment):
    """Signs of life of one process of each kind, and a scheduler's ticks."""
    state = redis.Redis.from_url(environment["REDIS_URL"].replace("/0", "/1"))
    for kind, queues in [("front", ()), ("scheduler", ()), *(("worker", each) for each in ROLES.values())]:
        heart = Heart(state, kind, queues, 8)
        heart._key += f"-{len(queues)}-{queues[0] if queues else ''}"
        heart.beat()
    Scheduler(redis.Redis.from_url(environment["REDIS_URL"])).tick()


def test_an_installation_in_order_is_ok_but_for_what_the_tests_do_without(
    findings, environment, alive, require_program
):
    require_program("wkhtmltopdf")
    endpoint(environment)

    found = findings()

    doubtful = {name: each for name, each in found.items() if name != "code" and each["level"] != "ok"}
    # Their Postgres and Redis do not wait for the disk, and no front end listens.
    assert {name: each["level"] for name, each in doubtful.items()} == {
        "postgres durable": "fail",
        "redis persistence": "warn",
        "processes front answers": "warn",
    }
    assert found["postgres durable"]["found"].startswith("fsync, synchronous_commit off")
    assert found["postgres pools"]["found"] == "24 of 97 connections for the pools of 3 worker processes"
    assert found["redis persistence"]["found"] == "appendfsync no"
    assert found["stripe API version"]["found"].endswith(API_VERSION)
    assert found["processes worker receipts"]["found"] == "1 alive"


def test_while_everything_is_down_each_part_says_so_and_the_doctor_ends_with_1(findings):
    found = findings(
        DATABASE_URL=f"postgresql://postgres@{NOWHERE}/nothing",
        REDIS_URL=f"redis://{NOWHERE}/0",
        STRIPE_API_BASE=f"http://{NOWHERE}",
    )

    assert found["code"] == 1
    for name in ("postgres reachable", "redis reachable", "stripe key"):
        assert (found[name]["level"], bool(found[name]["remedy"])) == ("fail", True)
    assert found["processes alive"]["level"] == "skip"
    assert found["receipts folder"]["level"] == "ok"


def test_a_person_reads_a_table_with_what_to_do(environment):
    result = CliRunner().invoke(
        app, ["doctor", "--for", "scheduler"], env={**environment, "REDIS_URL": f"redis://{NOWHERE}/0"}
    )

    assert result.exit_code == 1
    [line] = [line for line in result.stdout.splitlines() if line.startswith("fail")]
    assert "→ check REDIS_URL" in line
    assert "postgres" not in result.stdout
    assert "1 fail" in result.stdout.splitlines()[-1]


def test_missing_migrations_are_counted(findings, environment, empty_database_url):
    found = findings("--for", "migrate", DATABASE_URL=empty_database_url)

    assert found["postgres migrations"]["level"] == "fail"
    assert "from 0001_main_job on" in found["postgres migrations"]["found"]
    with psycopg2.connect(empty_database_url) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
        assert cursor.fetchone() == (0,)


def test_more_connections_than_postgres_takes_are_a_failure(findings):
    found = findings("--for", "migrate", DATABASE_POOL_SIZE="50")

    assert (found["postgres pools"]["level"], found["code"]) == ("fail", 1)
    assert found["postgres pools"]["found"] == "150 of 97 connections for the pools of one worker of each role"


def test_a_redis_that_evicts_or_forgets_is_a_failure(findings, environment):
    server = redis.Redis.from_url(environment["REDIS_URL"])
    server.config_set("maxmemory-policy", "allkeys-lru")
    server.config_set("appendonly", "no")
    try:
        found = findings("--for", "scheduler")
    finally:
        server.config_set("maxmemory-policy", "noeviction")
        server.config_set("appendonly", "yes")

    assert [found[f"redis {name}"]["level"] for name in ("eviction", "persistence", "clock")] == ["fail", "fail", "ok"]


def test_published_state_in_the_brokers_database_is_a_failure(findings, environment):
    found = findings("--for", "scheduler", REDIS_STATE_URL=environment["REDIS_URL"])

    assert found["redis state database"]["level"] == "fail"


def test_without_an_endpoint_at_our_address_stripe_tells_us_nothing(findings, environment):
    assert findings("--for", "worker")["stripe webhook endpoint"]["level"] == "fail"

    endpoint(environment, url="https://elsewhere.example/payments/webhooks/stripe")
    assert findings("--for", "worker")["stripe webhook endpoint"]["level"] == "fail"


def test_an_endpoint_that_lacks_events_is_named_with_them(findings, environment):
    made = endpoint(environment, **{"enabled_events[0]": "customer.created"})

    found = findings("--for", "worker")["stripe events"]

    assert (found["level"], found["found"]) == ("fail", f"{made['id']} lacks {needed_events()[0]}")


def test_two_endpoints_at_one_address_are_a_warning(findings, environment):
    endpoint(environment)
    endpoint(environment)

    assert findings("--for", "worker")["stripe one endpoint"]["level"] == "warn"


def test_an_endpoint_of_another_api_version_is_a_failure(findings, environment, monkeypatch):
    endpoint(environment)
    monkeypatch.setattr("paywindow.gateway.API_VERSION", "2030-01-01.next")

    found = findings("--for", "worker")["stripe API version"]

    assert (found["level"], found["remedy"]) == ("fail", "create the endpoint anew with 2030-01-01.next")


def test_a_cloudfront_key_that_is_none_is_found_before_a_receipt_needs_it(findings, environment):
    found = findings(
        "--for",
        "worker",
        PAYMENT_RECEIPT_BUCKET="bucket",
        PAYMENT_RECEIPT_CLOUDFRONT_DISTRIBUTION="d1.cloudfront.net",
        RECEIPT_CLOUDFRONT_KEY_PAIR_ID="K2",
        RECEIPT_CLOUDFRONT_PRIVATE_KEY="no key",
        AWS_ENDPOINT_URL=f"http://{NOWHERE}",
        AWS_REGION="eu-west-1",
        AWS_ACCESS_KEY_ID="testing",
        AWS_SECRET_ACCESS_KEY="testing",
    )

    assert found["receipts CloudFront key"]["level"] == "fail"
    assert found["receipts bucket"]["level"] == "fail"


def test_processes_that_are_not_there_are_missed_by_name(findings):
    found = findings()

    for name in ("front", "scheduler", "worker interactive", "worker sweeps", "worker receipts", "ticks"):
        assert found[f"processes {name}"]["level"] == "fail"
    assert found["processes worker sweeps"]["remedy"] == "start `paywindow worker --role sweeps`"


def test_a_process_of_another_version_or_another_time_is_a_warning(findings, environment, alive):
    state = redis.Redis.from_url(environment["REDIS_URL"].replace("/0", "/1"))
    key = next(state.scan_iter(match="pw:alive:front:*"))
    sign = json.loads(state.get(key))
    state.set(key, json.dumps({**sign, "version": "0.0.1", "clock": sign["clock"] + 7}), px=state.pttl(key))

    found = findings()

    assert found["processes versions"]["level"] == "warn"
    [late] = [each for name, each in found.items() if name.startswith("processes clock of")]
    assert (late["level"], late["found"]) == ("warn", "7.0 s ahead of this host")
