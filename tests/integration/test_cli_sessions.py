"""``paywindow sessions``: an operator looks at a session and overrides it; workers do what the command asks for."""

import json
import os
import pty
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from paywindow.cli import app
from paywindow.models.tables import Operation

NOBODY = "00000000-0000-4000-8000-000000000000"
DECLINED = "4000000000000002"


@pytest.fixture
def sessions(shop_environment):
    """Run ``paywindow sessions ...`` in a process of its own."""

    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "paywindow.cli", "sessions", *map(str, arguments)],
            env={**os.environ, **shop_environment, "COLUMNS": "250"},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture
def session(shop, workers):
    message = shop.create_message(shop.request())
    workers.broker.enqueue(message)
    workers.until(lambda: shop.state.exists(f"pw:operation:{message.kwargs['operation_id']}"))
    outcome = shop.outcome(message.kwargs["operation_id"])
    return shop.session(outcome["body"]["paymentSession"]["id"])


def decline(shop, workers, session):
    shop.pay(session, DECLINED)
    shop.deliver(work=False)
    workers.until(lambda: shop.session(session.id).status == "failed")
    workers.until_idle()


def test_show_tells_every_attempt_charge_and_transition_with_times_codes_and_who_asked(
    shop, workers, session, sessions
):
    decline(shop, workers, session)

    printed = sessions("show", session.id)

    assert printed.returncode == 0, printed.stderr
    for text in (str(session.id), "failed", "attempt", "charge", "transition", "generic_decline", "declined", "stripe"):
        assert text in printed.stdout
    report = json.loads(sessions("show", session.id, "--json").stdout)
    assert report["session"]["status"] == "failed"
    [attempt] = report["attempts"]
    assert (attempt["number"], attempt["kind"], attempt["page"]) == (1, "first", shop.checkout_id(session))
    [charge] = report["charges"]
    assert (charge["status"], charge["code"]) == ("failed", "generic_decline")
    assert [(row["event"], row["who"]) for row in report["audit"]] == [
        ("page_opened", "system:first"),
        ("declined", "stripe"),
    ]
    assert all(row["at"] for row in report["audit"])


def test_show_of_no_session_ends_with_1(shop, sessions):
    result = sessions("show", NOBODY)

    assert (result.returncode, result.stdout) == (1, "")
    assert f"There is no payment session {NOBODY}" in result.stderr


def test_expire_closes_the_window_and_reopen_opens_it_again(shop, session, sessions):
    closed = sessions("expire", session.id, "--yes", "--reason", "agreed by phone")
    assert closed.returncode == 0, closed.stderr
    assert f"{session.id} is expired" in closed.stdout

    again = sessions("reopen", session.id, "--reason", "agreed again", "--minutes", 60, "--json")

    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["paymentSession"]["status"] == "pending"
    assert shop.session(session.id).status == "pending"
    trail = [row for row in shop.transitions(session) if row.who.startswith("cli:")]
    assert [(row.event, row.why) for row in trail] == [("expire", "agreed by phone"), ("reopen", "agreed again")]


def test_extend_moves_the_deadline_by_minutes_or_until_a_moment(shop, session, sessions):
    by_minutes = sessions("extend", session.id, "--reason", "holiday", "--minutes", 90)
    assert by_minutes.returncode == 0, by_minutes.stderr
    later = shop.session(session.id).expires_at
    assert (later - session.expires_at).total_seconds() == 90 * 60

    until = f"{later.replace(year=later.year, microsecond=0):%Y-%m-%d}T23:59:59Z"
    result = sessions("extend", session.id, "--reason", "holiday", "--until", until, "--json")

    expected = 0 if until > f"{later:%Y-%m-%dT%H:%M:%SZ}" else 1
    assert result.returncode == expected
    if expected == 0:
        assert json.loads(result.stdout)["paymentSession"]["expiresAt"] == until


def test_extend_wants_minutes_or_a_moment_and_not_both(shop, session, sessions):
    for options in ([], ["--minutes", "5", "--until", "2030-01-01T00:00:00Z"]):
        result = sessions("extend", session.id, "--reason", "x", *options)

        assert result.returncode == 2
        assert "either --minutes or --until" in result.stderr
    assert shop.session(session.id).expires_at == session.expires_at


def test_cancel_calls_the_sale_off_and_says_so_when_it_comes_too_late(shop, session, sessions):
    assert sessions("cancel", session.id, "--yes", "--reason", "withdrawn").returncode == 0
    assert shop.session(session.id).status == "canceled"

    late = sessions("expire", session.id, "--yes", "--reason", "withdrawn")

    assert (late.returncode, late.stdout) == (1, "")
    assert "refused (session_canceled)" in late.stderr
    as_json = sessions("expire", session.id, "--yes", "--reason", "withdrawn", "--json")
    assert (as_json.returncode, json.loads(as_json.stdout)["code"]) == (1, "session_canceled")


def test_grant_retry_gives_another_try_to_a_failed_payment_only(shop, workers, session, sessions):
    refused = sessions("grant-retry", session.id, "--reason", "regular customer")
    assert refused.returncode == 1
    assert "refused (not_failed)" in refused.stderr

    decline(shop, workers, session)
    granted = sessions("grant-retry", session.id, "--reason", "regular customer")

    assert granted.returncode == 0, granted.stderr
    assert shop.session(session.id).retries_granted == 1


def test_an_override_of_no_session_ends_with_1(workers, sessions):
    result = sessions("cancel", NOBODY, "--yes", "--reason", "x")

    assert result.returncode == 1
    assert "refused (not_found)" in result.stderr


def test_without_a_worker_the_command_says_that_it_may_still_happen_and_ends_with_3(shop_environment, monkeypatch):
    monkeypatch.setattr("paywindow.cli.commands.PATIENCE_SECONDS", 0.1)

    result = CliRunner().invoke(app, ["sessions", "cancel", NOBODY, "--yes", "--reason", "x"], env=shop_environment)

    assert result.exit_code == 3
    assert "may still happen" in result.stderr


def test_the_same_key_is_the_same_command_and_another_request_under_it_is_refused(shop, session, sessions):
    options = ("--reason", "holiday", "--idempotency-key", "k1")
    for _ in range(2):
        assert sessions("extend", session.id, *options, "--minutes", 90).returncode == 0
    assert (shop.session(session.id).expires_at - session.expires_at).total_seconds() == 90 * 60

    other = sessions("extend", session.id, *options, "--minutes", 91)

    assert other.returncode == 1
    assert "refused (idempotency_key_reused)" in other.stderr


def test_a_reason_that_the_api_would_refuse_is_refused_before_anything_is_sent(shop, session, sessions):
    result = sessions("cancel", session.id, "--yes", "--reason", " ", "--json")

    assert result.returncode == 2
    assert json.loads(result.stdout)["code"] == "invalid_request"
    assert shop.rows(Operation, Operation.kind == "checkout.cancel") == []


def test_without_a_terminal_nothing_is_closed_unless_that_is_said(shop, session, sessions):
    result = sessions("expire", session.id, "--reason", "x")

    assert (result.returncode, result.stdout) == (2, "")
    assert "--yes" in result.stderr
    assert shop.session(session.id).status == "pending"


@pytest.mark.parametrize(("typed", "code", "status"), [("n\n", 1, "pending"), ("y\n", 0, "expired")], ids=["no", "yes"])
def test_on_a_terminal_the_question_says_what_is_closed_and_is_heeded(
    shop, workers, session, shop_environment, typed, code, status
):
    workers.until(lambda: shop.state.exists(f"pw:session:{session.id}"))
    ours, theirs = pty.openpty()
    os.write(ours, typed.encode())
    result = subprocess.run(
        [sys.executable, "-m", "paywindow.cli", "sessions", "expire", str(session.id), "--reason", "x"],
        env={**os.environ, **shop_environment},
        stdin=theirs,
        capture_output=True,
        text=True,
        check=False,
    )
    os.close(ours)
    os.close(theirs)

    assert result.returncode == code, result.stderr
    assert f"Close the window of payment session {session.id} (275.50 USD, pending)? [y/N]" in result.stderr
    assert shop.session(session.id).status == status


def paid(shop, workers, session):
    shop.pay(session)
    shop.deliver(work=False)
    workers.until(lambda: shop.session(session.id).status == "completed")
    workers.until_idle()


def test_a_refund_is_made_once_however_often_the_command_is_repeated_with_its_key(shop, workers, session, sessions):
    paid(shop, workers, session)

    for _ in range(2):
        made = sessions(
            "refund",
            session.id,
            "--amount",
            "75.50",
            "--reason",
            "scratched",
            "--yes",
            "--idempotency-key",
            "r1",
            "--json",
        )
        assert made.returncode == 0, made.stderr
        assert '"amount":75.50' in made.stdout

    assert [row.amount_minor for row in shop.refunds(session)] == [7550]
    timeline = json.loads(sessions("show", session.id, "--json").stdout)["timeline"]
    [refund] = [entry for entry in timeline if entry["what"] == "refund"]
    assert refund["text"].startswith("75.50 USD back")
    assert refund["who"].startswith("cli:")


@pytest.mark.parametrize("amount", ["much", "-1", "0", "NaN"])
def test_an_amount_that_is_none_is_refused_before_anything_is_sent(shop, session, sessions, amount):
    result = sessions("refund", session.id, "--amount", amount, "--reason", "x", "--yes")

    assert (result.returncode, result.stdout) == (2, "")
    assert "amount" in result.stderr
    assert shop.rows(Operation, Operation.kind == "payment.refund") == []


def test_a_refund_and_a_resolution_need_a_yes_and_what_is_not_held_is_not_resolved(shop, session, sessions):
    for arguments in (("refund", session.id), ("resolve", session.id, "accept")):
        asked = sessions(*arguments, "--reason", "x")
        assert asked.returncode == 2
        assert "--yes" in asked.stderr

    refused = sessions("resolve", session.id, "accept", "--reason", "x", "--yes", "--json")

    assert refused.returncode == 1
    assert json.loads(refused.stdout)["code"] == "not_held"
