"""The daily comparison: begun once a day, gone on with after any death, told to the metrics."""

import pytest
from prometheus_client import REGISTRY

from paywindow import clock
from paywindow.actors import compare_transfers, runtime
from paywindow.actors import reconcile as actor
from paywindow.actors.comparing import Evidence
from paywindow.messages import build
from paywindow.models import database, inbox, reconciliations
from paywindow.models.reconciliations import LOOK_BACK, SCHEDULE
from paywindow.models.tables import Reconciliation, ReconciliationFinding, SellerMovement, Transaction


@pytest.fixture
def shop(make_shop):
    shop = make_shop(STRIPE_RATE_LIMIT="10000")
    shop.deaf_to = {"receipts.render"}
    return shop


@pytest.fixture
def untold(shop):
    """A payment that nobody told of, and one whose amount was edited."""
    paid, untold = shop.open_session(), shop.open_session()
    shop.pay(paid)
    shop.deliver()
    with database.transaction():
        Transaction.update(amount_minor=1).execute()
    shop.pay(untold)
    for event in shop.events():
        with database.transaction():
            row = inbox.receive(event, "{}", clock.now())
            inbox.handled(row, row.verdict or "nothing", clock.now())
    shop.pass_time(minutes=5)
    return untold


def tick(shop):
    shop.run(build("sweeps.reconciliation"))
    shop.work()


def drift(code, outcome):
    return REGISTRY.get_sample_value("payments_reconciliation_drift", {"code": code, "outcome": outcome})


def test_once_a_day_the_books_are_compared_mended_and_the_metrics_told(shop, untold):
    tick(shop)

    (run,) = shop.rows(Reconciliation)
    assert (run.who, run.repairs, run.finished_at is not None) == (SCHEDULE, True, True)
    assert shop.session(untold.id).status == "completed"
    assert (drift("payment_not_booked", "repaired"), drift("amount_differs", "left")) == (1, 1)
    assert REGISTRY.get_sample_value("payments_reconciliation_finished_timestamp_seconds") > 0

    shop.pass_time(hours=23)
    tick(shop)
    assert len(shop.rows(Reconciliation)) == 1

    with database.transaction():
        Transaction.update(amount_minor=27550).execute()
    shop.pass_time(hours=1)
    tick(shop)
    assert len(shop.rows(Reconciliation)) == 2
    assert (drift("payment_not_booked", "repaired"), drift("amount_differs", "left")) == (0, 0)


def test_a_comparison_that_died_is_gone_on_with_where_it_stood(shop, untold, monkeypatch):
    monkeypatch.setattr(actor, "STEPS", 1)
    shop.run(build("sweeps.reconciliation"))
    (half,) = shop.rows(Reconciliation)
    assert (half.stage, half.finished_at) == ("payments", None)
    shop.wipe_queue()

    for _ in range(len(actor.STAGES)):
        shop.run(build("sweeps.reconciliation"))
    shop.work()

    (run,) = shop.rows(Reconciliation)
    assert run.finished_at is not None
    assert shop.session(untold.id).status == "completed"


@pytest.mark.parametrize("outcome", ["repairable", "repaired", None])
def test_a_death_around_mending_mends_nothing_twice(shop, untold, monkeypatch, outcome):
    """Before it, after it, and after its outcome was recorded, before the comparison has moved on."""
    record, advance = actor.reconciliations.record, actor.reconciliations.advance

    def recording(run, found, *more, **finding):
        record(run, found, *more, **finding)
        if (finding["code"], found) == ("payment_not_booked", outcome):
            raise KeyboardInterrupt

    def advancing(run, *more):
        if run.stage == "payments":
            raise KeyboardInterrupt
        return advance(run, *more)

    with monkeypatch.context() as patched:
        patched.setattr(actor.reconciliations, "record", recording)
        patched.setattr(actor.reconciliations, "advance", advancing)
        with pytest.raises(KeyboardInterrupt):
            shop.run(build("sweeps.reconciliation"))
    tick(shop)

    assert shop.session(untold.id).status == "completed"
    assert len(shop.transactions(untold)) == 1
    (run,) = shop.rows(Reconciliation)
    assert run.finished_at is not None


def test_two_schedules_at_once_make_one_comparison(shop, untold):
    shop.together(build("sweeps.reconciliation"), build("sweeps.reconciliation"))
    shop.work()

    assert len(shop.rows(Reconciliation)) == 1
    tick(shop)
    (run,) = shop.rows(Reconciliation)
    assert run.finished_at is not None
    assert shop.session(untold.id).status == "completed"


def test_while_stripe_is_away_the_comparison_waits(shop, untold):
    shop.fault("500", path_prefix="/v1/charges", times=2)
    tick(shop)
    assert [run.finished_at for run in shop.rows(Reconciliation)] == [None]

    shop.mend()
    tick(shop)
    assert shop.session(untold.id).status == "completed"


def test_a_mending_that_fails_is_told_and_stops_nothing(shop, untold, monkeypatch):
    def fail(*arguments):
        raise RuntimeError("a bug")

    monkeypatch.setattr("paywindow.actors.compare_payments.checkout_completed", fail)
    tick(shop)

    found = {row.code: row for row in shop.rows(ReconciliationFinding)}
    assert (found["payment_not_booked"].outcome, found["payment_not_booked"].note) == ("left", "RuntimeError: a bug")
    assert shop.rows(Reconciliation)[0].finished_at is not None


def test_what_is_only_moving_is_no_finding(shop, untold, monkeypatch):
    """The list is a moment old: the books have caught up by the time the charge is read again."""
    again = actor.compare_payments.again

    def meanwhile(charge):
        with monkeypatch.context() as patched:
            patched.setattr(actor.compare_payments, "again", again)
            for event in shop.events():
                if event["type"] == "checkout.session.completed":
                    with database.transaction():
                        inbox.StripeEvent.delete().where(inbox.StripeEvent.id == event["id"]).execute()
                    shop.deliver_event(event)
            shop.work()
        return again(charge)

    monkeypatch.setattr(actor.compare_payments, "again", meanwhile)
    tick(shop)

    assert [row.code for row in shop.rows(ReconciliationFinding)] == ["amount_differs"]
    assert shop.session(untold.id).status == "completed"


@pytest.mark.parametrize(
    ("unseen", "index"),
    [
        (reconciliations.unseen_payments, "transactions_by_time"),
        (reconciliations.unseen_pages, "checkout_attempts_by_time"),
        (reconciliations.unseen_refunds, "refunds_by_time"),
        (reconciliations.unseen_disputes, "disputes_by_time"),
    ],
)
def test_what_the_books_have_beyond_stripes_lists_is_found_by_time(shop, untold, monkeypatch, unseen, index):
    at = clock.now()
    statements = []
    with database.transaction():
        run = reconciliations.start("test", False, at - LOOK_BACK, at, "events", at, repairs=False)
        execute = database.database.obj.execute_sql
        with monkeypatch.context() as patched:
            patched.setattr(
                database.database.obj, "execute_sql", lambda *query: (statements.append(query), execute(*query))[1]
            )
            unseen(run, 25)
        (sql, params), *_ = statements
        execute("SET LOCAL enable_seqscan = off")
        plan = execute(f"EXPLAIN {sql}", params).fetchall()

    assert index in str(plan)


def test_movements_are_found_by_their_transfer(shop, monkeypatch):
    statements = []
    with database.transaction():
        execute = database.database.obj.execute_sql
        with monkeypatch.context() as patched:
            patched.setattr(
                database.database.obj, "execute_sql", lambda *query: (statements.append(query), execute(*query))[1]
            )
            compare_transfers.judge([Evidence({"id": "tr_1"})])
            compare_transfers.reads(SellerMovement(stripe_transfer_id="tr_1", amount_minor=1, currency="USD"))
        execute("SET LOCAL enable_seqscan = off")
        plans = [execute(f"EXPLAIN {sql}", params).fetchall() for sql, params in statements]

    assert ["seller_movements_by_transfer" in str(plan) for plan in plans] == [True, True]


def test_before_the_first_sale_nothing_is_compared(shop):
    tick(shop)

    assert shop.rows(Reconciliation) == []
    assert not [call for call in shop.ledger()["calls"] if call.startswith("GET /v1/charges")]


def test_without_a_share_of_the_rate_limit_nothing_is_read(shop, untold, monkeypatch):
    monkeypatch.setattr(type(runtime.runtime().budget), "claim_for_sweep", lambda *_: 0)
    before = shop.ledger()["calls"]

    tick(shop)

    assert shop.ledger()["calls"] == before
