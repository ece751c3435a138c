"""``paywindow events``: an operator finds what Stripe told and what became of it, and has it handled again."""

import json
from functools import partial

import pytest

from paywindow import clock
from paywindow.models import database
from paywindow.models.tables import Operation, StripeEvent


@pytest.fixture
def run(paywindow):
    """Run ``paywindow events ...``."""
    return partial(paywindow, "events")


@pytest.fixture
def paid(shop):
    session = shop.open_session()
    shop.pay(session)
    shop.deliver()
    return session


def as_json(result):
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_the_list_is_newest_first_by_state_type_and_object_and_goes_on_page_by_page(shop, paid, run):
    everything = as_json(run("list", "--json"))
    assert everything["nextCursor"] is None
    ids = [event["id"] for event in everything["events"]]
    assert set(ids) == {row.id for row in shop.rows(StripeEvent)}

    first = as_json(run("list", "--limit", 2, "--json"))
    rest = as_json(run("list", "--limit", 100, "--cursor", first["nextCursor"], "--json"))
    assert [event["id"] for event in first["events"] + rest["events"]] == ids

    [completed] = as_json(run("list", "--type", "checkout.session.completed", "--json"))["events"]
    assert (completed["state"], completed["object"]) == ("applied", shop.checkout_id(paid))
    of_page = as_json(run("list", "--about", shop.checkout_id(paid), "--json"))["events"]
    assert completed["id"] in [event["id"] for event in of_page]
    of_payment = as_json(run("list", "--about", completed["payment"], "--json"))["events"]
    assert {"charge.succeeded", "payment_intent.succeeded"} <= {event["type"] for event in of_payment}
    assert as_json(run("list", "--state", "parked", "--json"))["events"] == []
    assert "There are no such events." in run("list", "--state", "parked").output


def test_show_tells_the_verdict_the_session_and_the_body_as_stripe_sent_it(shop, paid, run):
    event = shop.event("checkout.session.completed")

    report = as_json(run("show", event["id"], "--json"))

    assert (report["session"], report["state"]) == (str(paid.id), "applied")
    assert report["body"] == event
    shown = run("show", event["id"]).output
    assert f"session   {paid.id}" in shown
    assert '"type": "checkout.session.completed"' in shown


def test_show_of_an_unknown_event_ends_with_1_and_says_so_in_json_too(shop, run):
    result = run("show", "evt_nobody")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "refused (not_found): There is no event evt_nobody" in result.stderr

    result = run("show", "evt_nobody", "--json")
    assert (result.exit_code, result.stderr) == (1, "")
    assert json.loads(result.stdout)["code"] == "not_found"


@pytest.fixture
def paid_untold(shop):
    session = shop.open_session()
    shop.pay(session)
    return session


def test_a_parked_event_is_handled_by_a_replay_which_is_kept_with_who_and_why(shop, paid_untold, run, request):
    session = paid_untold
    event = shop.event("checkout.session.completed")
    with database.transaction():
        StripeEvent.create(
            id=event["id"],
            type=event["type"],
            livemode=False,
            body=json.dumps(event),
            object_id=event["data"]["object"]["id"],
            stripe_created_at=clock.now(),
            received_at=clock.now(),
            tries=10,
            parked_at=clock.now(),
            last_error="IntegrityError: nonsense",
        )
    assert [row["id"] for row in as_json(run("list", "--state", "parked", "--json"))["events"]] == [event["id"]]
    request.getfixturevalue("workers")

    result = run("replay", event["id"], "--reason", "mended", "--yes")

    assert result.exit_code == 0, result.output
    assert result.stdout.strip() == f"{event['id']} checkout.session.completed: applied"
    assert shop.session(session.id).status == "completed"
    [operation] = shop.rows(Operation, Operation.kind == "events.replay")
    assert operation.client.startswith("cli:")
    assert json.loads(operation.request) == {"event_id": event["id"], "reason": "mended"}
    assert operation.session_id == session.id


def test_a_replay_of_an_applied_event_changes_nothing(shop, paid, workers, run):
    event = shop.event("checkout.session.completed")
    before = len(shop.transitions(paid)), len(shop.transactions(paid)), shop.notifications(paid)

    again = as_json(run("replay", event["id"], "--reason", "to be sure", "--yes", "--json"))

    assert again["event"]["state"] in ("applied", "nothing")
    assert (len(shop.transitions(paid)), len(shop.transactions(paid)), shop.notifications(paid)) == before


def test_a_replay_asks_first_and_refuses_without_a_terminal(shop, paid, run):
    result = run("replay", "evt_1", "--reason", "x", answer="y\n")

    assert result.exit_code == 2
    assert "--yes" in result.stderr
    assert shop.rows(Operation, Operation.kind == "events.replay") == []


def test_a_replay_of_what_is_not_there_or_no_longer_kept_is_refused(shop, paid, workers, run):
    unknown = run("replay", "evt_nobody", "--reason", "x", "--yes")
    assert (unknown.exit_code, unknown.stdout) == (1, "")
    assert "There is no event evt_nobody" in unknown.stderr

    event = shop.event("charge.succeeded")
    with database.transaction():
        StripeEvent.update(body=None).where(StripeEvent.id == event["id"]).execute()
    old = run("replay", event["id"], "--reason", "x", "--yes", "--json")
    assert (old.exit_code, json.loads(old.stdout)["code"]) == (1, "not_found")
