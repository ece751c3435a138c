"""Dead letters are visible: listed, explained, run again and discarded by command, counted, and never dropped by time."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from paywindow import messages
from paywindow.actors.runtime import runtime
from paywindow.cli import app
from paywindow.dead_letters import DeadLetters
from paywindow.models.tables import PaymentSession
from paywindow.queue_gauges import QueueCollector


@pytest.fixture
def dead(redis_url):
    """Run ``paywindow dead ...`` and return how it went."""
    return lambda *arguments, answer=None: CliRunner().invoke(
        app, ["dead", *arguments], env={"REDIS_URL": redis_url, "COLUMNS": "200"}, input=answer
    )


@pytest.fixture
def letters(workers):
    return DeadLetters(workers.broker.client)


@pytest.fixture
def create(shop, workers, letters, monkeypatch):
    """A create that Stripe answers with something that is not a Checkout Session: it dies at its first try."""
    with monkeypatch.context() as patch:
        patch.setattr(runtime().gateway, "create_checkout", lambda *_: {"object": "nonsense"})
        message = shop.create_message(shop.request())
        workers.broker.enqueue(message)
        workers.until(lambda: letters.count()["interactive"])
        workers.until_idle()
    return message


def only(letters):
    [letter] = letters.all()
    return letter


def test_there_are_none_at_first(dead):
    assert dead("list").output.strip() == "There are no dead letters."
    assert json.loads(dead("list", "--json").output) == {"deadLetters": []}


def test_a_letter_that_died_of_a_permanent_error_is_explained_after_its_first_try(create, letters, dead):
    letter = only(letters)

    assert (letter.actor, letter.queue, letter.retries) == ("checkout.create", "interactive", 0)
    assert letter.arguments == create.kwargs
    assert letter.error.startswith("paywindow.errors.Permanent: not a Checkout Session")
    assert abs(letter.died_at - datetime.now(UTC)) < timedelta(minutes=5)
    listed = dead("list").output
    assert letter.id in listed
    assert "checkout.create" in listed
    [plain] = json.loads(dead("list", "--json").output)["deadLetters"]
    assert (plain["id"], plain["error"], plain["arguments"]) == (letter.id, letter.error, create.kwargs)
    shown = dead("show", letter.id).output
    assert create.kwargs["request"]["auction_id"] in shown
    assert "Traceback (most recent call last)" in shown
    assert letter.error in shown
    assert json.loads(dead("show", letter.id, "--json").output) == plain


def test_a_letter_that_died_after_its_tries_says_how_many_they_were(workers, letters, monkeypatch):
    monkeypatch.setattr("paywindow.broker.MAX_RETRIES", 0)
    workers.broker.enqueue(messages.build("publish.operation", operation_id="not a uuid"))
    workers.until(lambda: sum(letters.count().values()))

    letter = only(letters)

    assert (letter.actor, letter.arguments) == ("publish.operation", {"operation_id": "not a uuid"})
    assert letter.error == "ValueError: badly formed hexadecimal UUID string"


def test_a_letter_that_is_run_again_does_its_work_and_is_gone(create, shop, workers, letters, dead):
    result = dead("run", only(letters).id)

    assert result.exit_code == 0, result.output
    workers.until(lambda: shop.state.keys("pw:operation:*"))
    workers.until_idle()
    assert list(letters.all()) == []
    [session] = shop.rows(PaymentSession)
    assert (session.status, shop.attempt(session).status) == ("pending", "open")
    assert len(shop.ledger()["sessions"]) == 1


def test_a_letter_that_fails_again_is_a_dead_letter_again(create, workers, letters, dead, monkeypatch):
    first = only(letters)
    monkeypatch.setattr(runtime().gateway, "create_checkout", lambda *_: {"object": "other nonsense"})

    dead("run", first.id)
    workers.until_idle()

    assert only(letters).arguments == first.arguments
    assert only(letters).died_at >= first.died_at


def test_a_letter_is_discarded_only_when_that_is_confirmed(create, letters, dead, monkeypatch):
    letter = only(letters)

    unasked = dead("discard", letter.id, answer="y\n")
    assert unasked.exit_code == 2
    assert "--yes" in unasked.stderr
    monkeypatch.setattr("paywindow.cli.asking._has_terminal", lambda: True)
    refused = dead("discard", letter.id, answer="n\n")
    assert refused.exit_code == 1
    assert "Nothing was done." in refused.stderr
    assert only(letters) == letter

    assert dead("discard", letter.id, answer="y\n").exit_code == 0
    assert list(letters.all()) == []
    assert letters.discard(letter) is False
    assert letters.run_again(letter) is False


def test_a_letter_is_discarded_without_a_question_on_demand(create, letters, dead):
    assert dead("discard", only(letters).id, "--yes").exit_code == 0
    assert list(letters.all()) == []


@pytest.mark.parametrize("command", [["show"], ["run"], ["discard", "--yes"]], ids=lambda command: command[0])
def test_an_unknown_id_is_an_error(dead, command):
    result = dead(*command, "00000000-0000-4000-8000-000000000000")

    assert result.exit_code == 1
    assert "There is no dead letter" in result.stderr


def test_the_metric_counts_them_by_queue(create, workers):
    families = {family.name: family for family in QueueCollector(workers.broker.client).collect()}

    counted = {sample.labels["queue"]: sample.value for sample in families["payments_dead_letters"].samples}

    assert counted == {queue.value: float(queue == "interactive") for queue in messages.Queue}


def test_time_takes_none_of_them(create, workers, letters):
    letter, redis = only(letters), workers.broker.client
    years_ago = (datetime.now(UTC) - timedelta(days=3650)).timestamp() * 1000
    redis.zadd("dramatiq:interactive.XQ", {letter.id: years_ago})
    assert redis.ttl("dramatiq:interactive.XQ.msgs") == -1

    workers.broker.do_fetch("interactive", 1)  # a thread's first fetch does Dramatiq's clean-up

    assert only(letters).id == letter.id
