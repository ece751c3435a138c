"""``paywindow reconcile``: an operator compares the books with Stripe, sees what disagrees, and mends what can be."""

import json
import os
import subprocess
import sys

import pytest

from paywindow import clock
from paywindow.models import database, inbox
from paywindow.models.tables import Transaction


@pytest.fixture
def reconcile(shop, shop_environment):
    """Run ``paywindow reconcile ...`` in a process of its own."""
    environment = {**os.environ, **shop_environment, "STRIPE_API_BASE": shop.sandbox.url, "COLUMNS": "250"}

    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "paywindow.cli", "reconcile", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture
def discord(shop):
    """One payment that nobody told of, and one whose amount was edited."""
    shop.deaf_to = {"receipts.render"}
    edited, untold = shop.open_session(), shop.open_session()
    shop.pay(edited)
    shop.deliver()
    shop.pay(untold)
    for event in shop.events():
        with database.transaction():
            row = inbox.receive(event, "{}", clock.now())
            inbox.handled(row, row.verdict or "nothing", clock.now())
    with database.transaction():
        Transaction.update(amount_minor=1).execute()
    shop.pass_time(minutes=5)
    return edited, untold


def test_it_finds_mends_and_ends_with_the_code_that_says_so(shop, discord, reconcile):
    edited, untold = discord

    looked = reconcile("--json")
    assert looked.returncode == 1, looked.stderr
    report = json.loads(looked.stdout)
    assert [(found["code"], found["outcome"], found["session"]) for found in report["findings"]] == [
        ("amount_differs", "left", str(edited.id)),
        ("payment_not_booked", "repairable", str(untold.id)),
    ]
    assert (report["findings"][0]["ours"], report["findings"][0]["theirs"]) == ("0.01 USD", "275.50 USD")
    assert report["repairs"] is False
    assert shop.session(untold.id).status == "pending"

    mended = reconcile("--repair", "--yes")
    assert mended.returncode == 1
    assert "payment_not_booked (1)" in mended.stdout
    assert "Stripe took the money, and the books have no such payment." in mended.stdout
    assert "2 findings, 1 not mended" in mended.stdout
    assert shop.session(untold.id).status == "completed"
    assert shop.transitions(untold)[-1].who.startswith("cli:")

    with database.transaction():
        Transaction.update(amount_minor=27550).execute()
    clean = reconcile()
    assert clean.returncode == 0, clean.stdout
    assert "The books and Stripe agree." in clean.stdout


def test_a_stretch_of_time_can_be_chosen_and_is_checked(shop, discord, reconcile):
    elsewhere = reconcile("--since", "2020-01-01", "--until", "2020-02-01T00:00:00Z", "--json")
    assert (elsewhere.returncode, json.loads(elsewhere.stdout)["findings"]) == (0, [])

    backwards = reconcile("--since", "2020-02-01", "--until", "2020-01-01")
    assert backwards.returncode == 2
    assert "must lie before" in backwards.stderr


def test_while_stripe_is_away_it_says_so(shop, discord, reconcile):
    shop.fault("500", path_prefix="/v1/", times=100)

    done = reconcile()

    shop.mend()
    assert done.returncode == 4
    assert "could not be finished" in done.stderr
