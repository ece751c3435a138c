"""Payments of makers: split by Stripe, or collected and sent; and the figures, which add up to the minor unit."""

import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from paywindow import clock, ids, jsons, messages
from paywindow.actors.runtime import runtime
from paywindow.backlog_kinds import BacklogKind
from paywindow.errors import StripeRefused, StripeUnavailable
from paywindow.messages import build
from paywindow.models import backlog, measure, shares, timeline
from paywindow.models import database as db
from paywindow.models.tables import Outbox, PaymentSession, Receipt, SellerMovement, Transaction

if TYPE_CHECKING:
    from conftest import Shop
else:
    Shop = Any

MAKER = "7b0f3c1e-2a64-4d3b-9a55-0c6c0d8a1f09"
AMOUNT, FEE, STRIPE_FEE = 27_550, 2_785, 829
FEES = {"PLATFORM_FEE_PERCENT": "10", "PLATFORM_FEE_FIXED": "USD:0.30"}


def open_account(shop: Shop, *, ready: bool = True) -> str:
    """The maker's account, told all that Stripe wants to know if ``ready``; its id."""
    request = {"maker_id": MAKER, "country": None, "email": None}
    request |= {"return_url": "https://shop.example/back", "refresh_url": "https://shop.example/again"}
    message = messages.link_seller(uuid.uuid4(), "shop", ids.fingerprint("sellers.link", request), request)
    shop.run(message)
    shop.work()
    account: str = shop.ledger()["accounts"][-1]["id"]
    if ready:
        get_ready(shop, account)
    return account


def get_ready(shop: Shop, account: str) -> None:
    shop.control(f"accounts/{account}/onboard")
    shop.deliver()


def sell(shop: Shop, **changes: Any) -> PaymentSession:
    """A session of the maker, paid; Stripe's figures are not known yet."""
    session = shop.open_session(maker_id=MAKER, **changes)
    shop.pay(session)
    shop.deliver()
    return shop.session(session.id)


def release(shop: Shop) -> None:
    shop.control("fees/release")
    shop.deliver()


def settle_up(shop: Shop) -> None:
    """One round of the sellers' sweep."""
    shop.run(build("sweeps.sellers"))
    shop.work()


def fees(shop: Shop, session: PaymentSession) -> dict[str, Any]:
    shown: dict[str, Any] = shop.snapshot(session)["transaction"]["fees"]
    return shown


def balance(shop: Shop, currency: str = "usd") -> tuple[int, int]:
    """What platform and maker have at Stripe."""
    ledger = shop.ledger()
    (account,) = ledger["accounts"]
    return ledger["balance"].get(currency, 0), account["balance"].get(currency, 0)


def movements(shop: Shop) -> list[tuple[str, str, int]]:
    return [(row.kind, row.status, row.amount_minor) for row in shop.rows(SellerMovement)]


@pytest.fixture
def split(make_shop: Callable[..., Shop]) -> Shop:
    return make_shop(SELLER_PAYOUTS="refuse", **FEES)


@pytest.fixture
def collecting(make_shop: Callable[..., Shop]) -> Shop:
    return make_shop(SELLER_PAYOUTS="collect", **FEES)


# Whether and how a payment is split


def test_unless_it_is_wanted_a_maker_is_only_recorded(shop: Shop) -> None:
    session = sell(shop)
    assert (session.split, session.platform_fee_minor) == (None, None)
    assert "transfer_group" not in jsons.loads(shop.attempt(session).params)["payment_intent_data"]
    assert shop.snapshot(session)["statement"]["ready"]


def test_a_maker_who_cannot_take_charges_is_refused_with_what_is_missing(split: Shop) -> None:
    refused = split.create(split.request(maker_id=MAKER))
    assert (refused["status"], refused["body"]["code"]) == (409, "seller_not_ready")
    assert (refused["body"]["makerId"], refused["body"]["missing"]) == (MAKER, ["account"])

    account = open_account(split, ready=False)
    refused = split.create(split.request(maker_id=MAKER))
    assert "external_account" in refused["body"]["missing"]
    assert split.rows(PaymentSession) == []

    get_ready(split, account)
    assert split.create(split.request(maker_id=MAKER))["status"] == 201


def test_a_sale_without_a_maker_is_not_split(split: Shop) -> None:
    session = split.open_session()
    assert (session.split, session.platform_fee_minor) == (None, None)


def test_fee_and_destination_are_frozen_in_the_session_and_in_each_page(split: Shop) -> None:
    account = open_account(split)
    session = split.open_session(maker_id=MAKER)
    assert (session.split, session.destination_account, session.platform_fee_minor) == ("destination", account, FEE)
    assert jsons.loads(split.attempt(session).params)["payment_intent_data"] == {
        "application_fee_amount": FEE,
        "metadata": jsons.loads(split.attempt(session).params)["metadata"],
        "transfer_data": {"destination": account},
        "transfer_group": f"pw-{session.id}",
    }


@pytest.mark.parametrize(("asked", "charged"), [(0, None), (1, 1), (AMOUNT, AMOUNT)])
def test_a_fee_of_the_request_replaces_the_configured_one(split: Shop, asked: int, charged: int | None) -> None:
    open_account(split)
    session = split.open_session(maker_id=MAKER, platform_fee_minor=asked)
    data = jsons.loads(split.attempt(session).params)["payment_intent_data"]
    assert (session.platform_fee_minor, data.get("application_fee_amount")) == (asked, charged)


def test_the_maker_is_the_merchant_where_that_is_set(make_shop: Callable[..., Shop]) -> None:
    shop = make_shop(SELLER_PAYOUTS="refuse", SELLER_ON_BEHALF_OF="yes")
    account = open_account(shop)
    session = sell(shop)
    assert jsons.loads(shop.attempt(session).params)["payment_intent_data"]["on_behalf_of"] == account
    assert session.status == "completed"


# Destination charges


def test_amount_fees_and_payout_add_up_and_agree_with_stripe(split: Shop) -> None:
    open_account(split)
    session = sell(split)
    before = fees(split, session)
    assert (before["stripeFee"], before["platformFee"]) == (None, Decimal("27.85"))
    version = split.session(session.id).version

    release(split)

    after = fees(split, session)
    assert after["platformFee"] + after["sellerPayout"] == Decimal("275.50")
    assert after["platformNet"] == after["platformFee"] - after["stripeFee"]
    assert (after["stripeFee"], after["stripeFeeCurrency"], after["sellerReceived"]) == (
        Decimal("8.29"),
        "USD",
        after["sellerPayout"],
    )
    assert balance(split) == (FEE - STRIPE_FEE, AMOUNT - FEE)
    assert split.session(session.id).version > version
    (paid,) = split.transactions(session)
    assert (paid.stripe_transfer_id is not None, paid.stripe_application_fee_id is not None) == (True, True)
    assert paid.figures_due_at is None
    assert split.rows(Outbox) == []


def test_the_statement_waits_for_stripes_fee_and_has_all_figures(split: Shop) -> None:
    open_account(split)
    session = sell(split)
    assert {row.kind for row in split.rows(Receipt)} == {"receipt"}
    release(split)
    statement = next(row for row in split.rows(Receipt) if row.kind == "statement")
    said = jsons.loads(statement.render_data)["statement"]
    assert (said["platform_fee"], said["payout"], said["stripe_fee"]) == (FEE, AMOUNT - FEE, STRIPE_FEE)
    assert split.snapshot(session)["statement"]["ready"]


def test_a_fee_that_does_not_come_is_asked_for_and_does_not_keep_the_statement_for_ever(split: Shop) -> None:
    open_account(split)
    session = sell(split)
    split.control("fees/release")  # and charge.updated is lost
    settle_up(split)
    assert fees(split, session)["stripeFee"] is None
    split.pass_time(hours=1)
    settle_up(split)
    assert fees(split, session)["stripeFee"] == Decimal("8.29")

    slow = sell(split)
    for _ in range(8):
        split.pass_time(hours=12)
        settle_up(split)
    assert fees(split, slow)["stripeFee"] is None
    documents = sorted(split.rows(Receipt), key=lambda row: int(row.number))
    statements = [jsons.loads(row.render_data) for row in documents if row.kind == "statement"]
    assert [said["statement"]["stripe_fee"] for said in statements] == [STRIPE_FEE, None]


def test_stripes_fee_in_another_currency_is_not_mixed_into_the_sum(split: Shop) -> None:
    open_account(split)
    session = sell(split, currency="EUR")
    (charge,) = split.ledger()["charges"]
    split.control("fees/release", charge=charge["id"], currency="usd", rate="1.0837")
    split.deliver()
    shown = fees(split, session)
    assert (shown["stripeFeeCurrency"], shown["exchangeRate"], shown["platformNet"]) == ("USD", "1.0837", None)
    assert shown["platformFee"] + shown["sellerPayout"] == Decimal("275.50")


@pytest.mark.parametrize(("currency", "amount"), [("JPY", 10_001), ("KWD", 123_450), ("ISK", 12_300), ("TWD", 99_999)])
def test_a_sale_in_any_kind_of_currency_adds_up_after_part_refunds(split: Shop, currency: str, amount: int) -> None:
    open_account(split)
    session = sell(split, currency=currency, amount_minor=amount)
    release(split)
    (charge,) = split.ledger()["charges"]
    step = {"KWD": 10, "ISK": 100}.get(currency, 1)
    for part in (amount // 3 // step * step, step):
        split.control("refunds", charge=charge["id"], amount=part, reverse_transfer=True, refund_application_fee=True)
        split.deliver()
        (paid,) = split.transactions(session)
        shown = fees(split, session)
        platform, maker = balance(split, currency.lower())
        assert shown["refunded"] + shown["platformFee"] + shown["sellerPayout"] == fees_of(amount, currency)
        assert shown["sellerPayout"] == fees_of(maker, currency)
        assert shown["platformNet"] == fees_of(platform, currency)
        assert paid.transfer_reversed_minor > 0


def fees_of(minor: int, currency: str) -> Decimal:
    exponent = {"JPY": 0, "KWD": 3}.get(currency, 2)
    return Decimal(minor).scaleb(-exponent)


def test_a_refund_that_leaves_the_money_with_the_maker_is_shown_as_that(split: Shop) -> None:
    open_account(split)
    session = sell(split)
    release(split)
    (charge,) = split.ledger()["charges"]
    split.control("refunds", charge=charge["id"], amount=5_000)
    split.deliver()
    shown = fees(split, session)
    assert (shown["sellerPayout"], shown["platformFee"]) == (Decimal("247.65"), Decimal("-22.15"))


def test_figures_that_are_read_late_change_nothing(split: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    open_account(split)
    session = sell(split)
    release(split)
    (paid,) = split.transactions(session)
    old = runtime().gateway.charge_figures(paid.stripe_payment_intent_id)
    (charge,) = split.ledger()["charges"]
    split.control("refunds", charge=charge["id"], amount=5_000, reverse_transfer=True, refund_application_fee=True)
    split.deliver()
    after = fees(split, session)
    monkeypatch.setattr(runtime().gateway, "charge_figures", lambda _: old)
    split.run(build("figures.read", transaction_id=str(paid.id)))
    split.work()
    assert fees(split, session) == after


def test_news_of_a_declined_charge_does_not_wait_for_a_payment(split: Shop) -> None:
    open_account(split)
    session = split.open_session(maker_id=MAKER)
    split.pay(session, "4000000000000002")
    split.deliver()
    declined = split.event("charge.failed")
    split.deliver_event({**declined, "id": "evt_updated", "type": "charge.updated"})
    split.work()

    assert split.verdicts()["charge.updated"] == "nothing"


# Collected payments


def test_an_account_whose_event_was_lost_is_read_again_while_a_share_waits_for_it(collecting: Shop) -> None:
    account = open_account(collecting, ready=False)
    sell(collecting)
    collecting.control(f"accounts/{account}/onboard")  # no event comes, and the platform's list has none of accounts
    settle_up(collecting)
    assert movements(collecting) == []

    collecting.pass_time(days=1)
    settle_up(collecting)
    settle_up(collecting)

    assert movements(collecting) == [("transfer", "done", AMOUNT - FEE)]


def test_a_maker_who_asks_for_another_link_has_the_account_read_again(split: Shop) -> None:
    account = open_account(split, ready=False)
    split.control(f"accounts/{account}/onboard")  # no event comes
    assert split.create(split.request(maker_id=MAKER))["body"]["code"] == "seller_not_ready"

    open_account(split, ready=False)

    assert split.create(split.request(maker_id=MAKER))["status"] == 201


def test_a_collected_payment_is_sent_once_the_account_is_ready(collecting: Shop) -> None:
    account = open_account(collecting, ready=False)
    session = sell(collecting)
    release(collecting)
    assert (session.split, session.destination_account) == ("collect", None)
    assert (movements(collecting), fees(collecting, session)["sellerReceived"]) == ([], Decimal("0.00"))

    get_ready(collecting, account)
    settle_up(collecting)

    assert movements(collecting) == [("transfer", "done", AMOUNT - FEE)]
    assert balance(collecting) == (FEE - STRIPE_FEE, AMOUNT - FEE)
    (transfer,) = collecting.ledger()["transfers"]
    assert transfer["transfer_group"] == f"pw-{session.id}"
    assert fees(collecting, session)["sellerReceived"] == Decimal("247.65")
    collecting.pass_time(days=2)
    settle_up(collecting)
    assert len(collecting.ledger()["transfers"]) == 1


def test_a_maker_who_never_had_an_account_is_collected_for_too(collecting: Shop) -> None:
    sell(collecting)
    open_account(collecting)
    settle_up(collecting)
    assert movements(collecting) == [("transfer", "done", AMOUNT - FEE)]


def test_refunds_before_the_transfer_lessen_it_and_refunds_after_it_take_back(collecting: Shop) -> None:
    session = sell(collecting)
    (charge,) = collecting.ledger()["charges"]
    collecting.control("refunds", charge=charge["id"], amount=10_000)
    collecting.deliver()
    open_account(collecting)
    settle_up(collecting)
    due = 17_550 - (FEE - 1_011)
    assert movements(collecting) == [("transfer", "done", due)]

    collecting.control("refunds", charge=charge["id"])
    collecting.deliver()
    assert movements(collecting)[1:] == [("reversal", "done", due)]
    assert balance(collecting)[1] == 0
    shown = fees(collecting, session)
    assert (shown["platformFee"], shown["sellerPayout"], shown["refunded"]) == (0, 0, Decimal("275.50"))


def test_what_a_failed_refund_brings_back_is_sent_again(collecting: Shop) -> None:
    open_account(collecting, ready=False)
    session = sell(collecting)
    release(collecting)
    (charge,) = collecting.ledger()["charges"]
    get_ready(collecting, collecting.ledger()["accounts"][0]["id"])
    settle_up(collecting)
    refund = collecting.control("refunds", charge=charge["id"], amount=10_000)
    collecting.deliver()
    collecting.control(f"refunds/{refund['id']}/fail")
    collecting.deliver()
    settle_up(collecting)
    back = 10_000 - 1_011
    assert movements(collecting)[1:] == [("reversal", "done", back), ("transfer", "done", back)]
    assert balance(collecting) == (FEE - STRIPE_FEE, AMOUNT - FEE)
    shown = fees(collecting, session)
    assert shown["sellerPayout"] == shown["sellerReceived"] == Decimal("247.65")


def test_a_sale_refunded_in_full_before_is_never_sent(collecting: Shop) -> None:
    session = sell(collecting)
    (charge,) = collecting.ledger()["charges"]
    collecting.control("refunds", charge=charge["id"])
    collecting.deliver()
    open_account(collecting)
    settle_up(collecting)
    assert (movements(collecting), collecting.transactions(session)[0].share_due_at) == ([], None)


@pytest.mark.parametrize("fault", ["timeout_after_work", "refuse_connection"])
def test_a_transfer_whose_answer_is_lost_is_made_once(collecting: Shop, fault: str) -> None:
    sell(collecting)
    collecting.fault(fault, times=2, path_prefix="/v1/transfers")
    account = open_account(collecting, ready=False)
    get_ready(collecting, account)
    with pytest.raises(StripeUnavailable):
        settle_up(collecting)
    collecting.mend()
    collecting.pass_time(minutes=11)
    settle_up(collecting)
    assert movements(collecting) == [("transfer", "done", AMOUNT - FEE)]
    assert len(collecting.ledger()["transfers"]) == 1


@pytest.mark.parametrize("hours", [1, 25])
def test_killed_between_stripes_answer_and_the_commit_a_transfer_is_found_again(
    collecting: Shop, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    sell(collecting)
    open_account(collecting)

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shares, "finish", killed)
        with pytest.raises(KeyboardInterrupt):
            settle_up(collecting)
    assert movements(collecting) == [("transfer", "claimed", AMOUNT - FEE)]
    collecting.pass_time(hours=hours)
    settle_up(collecting)
    assert movements(collecting) == [("transfer", "done", AMOUNT - FEE)]
    assert len(collecting.ledger()["transfers"]) == 1
    (paid,) = collecting.rows(Transaction)
    assert paid.transferred_minor == AMOUNT - FEE


def test_a_transfer_that_may_not_be_looked_up_is_not_taken_for_one_that_never_arrived(
    collecting: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    sell(collecting)
    open_account(collecting)

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    def forbidden(*_: Any) -> Any:
        raise StripeRefused("The provided key does not have the required permissions.", status=403)

    with monkeypatch.context() as patch:
        patch.setattr(shares, "finish", killed)
        with pytest.raises(KeyboardInterrupt):
            settle_up(collecting)
    collecting.pass_time(hours=25)
    with monkeypatch.context() as patch:
        patch.setattr(runtime().gateway, "transfers_of", forbidden)
        with pytest.raises(StripeUnavailable):
            settle_up(collecting)
    assert movements(collecting) == [("transfer", "claimed", AMOUNT - FEE)]

    collecting.pass_time(hours=7)
    settle_up(collecting)

    assert movements(collecting) == [("transfer", "done", AMOUNT - FEE)]
    assert len(collecting.ledger()["transfers"]) == 1


def refused_shares() -> tuple[float, list[str]]:
    """What operators see of shares that are refused: the metric, and the backlog."""
    with db.transaction():
        measured = measure.everything(clock.now())["payments_pending_rows"]["shares_refused"]
        rows = backlog.rows(BacklogKind.SHARES_REFUSED, clock.now(), 20)
    assert all(row["overdue"] and row["error"] for row in rows)
    return measured, [row["what"] for row in rows]


def test_refused_shares_are_found_by_their_index(collecting: Shop) -> None:
    with db.transaction():
        db.database.execute_sql("SET LOCAL enable_seqscan = off")  # what the planner does with many finished rows
        query = measure.PENDING["shares_refused"] % {"limit": "100"}
        plan = db.database.execute_sql(f"EXPLAIN {query}").fetchall()
    assert "seller_movements_refused" in str(plan)


def test_a_restricted_account_waits_and_is_tried_again(collecting: Shop, caplog: pytest.LogCaptureFixture) -> None:
    sell(collecting)
    account = open_account(collecting)
    collecting.control(f"accounts/{account}/restrict")  # and nobody has told us yet
    settle_up(collecting)
    assert movements(collecting) == [("transfer", "refused", AMOUNT - FEE)]
    assert "a seller's transfer is refused" in caplog.text
    assert refused_shares() == (1, [f"247.65 USD to {account}, refused"])
    get_ready(collecting, account)
    collecting.pass_time(hours=7)
    settle_up(collecting)
    assert refused_shares() == (0, [])
    assert movements(collecting)[1:] == [("transfer", "done", AMOUNT - FEE)]


def test_money_that_did_not_settle_is_not_sent(collecting: Shop) -> None:
    session = collecting.open_session(maker_id=MAKER, window_minutes=60)
    collecting.pay(session)
    collecting.cancel(session)
    open_account(collecting)
    settle_up(collecting)
    settled = [row.settled_at for row in collecting.transactions(session)]
    assert len(movements(collecting)) == len([at for at in settled if at])


CONVERTED = AMOUNT - 2_755  # the fee without its fixed part, which is in dollars


def sell_converted(shop: Shop) -> PaymentSession:
    """A collected sale in euros that reaches the platform's balance in dollars."""
    session = sell(shop, currency="EUR")
    (charge,) = shop.ledger()["charges"]
    shop.control("fees/release", charge=charge["id"], currency="usd", rate="1.0837")
    shop.deliver()
    return session


def test_what_settled_in_another_currency_is_told_instead_of_tried_for_ever(
    collecting: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    open_account(collecting, ready=False)
    session = sell_converted(collecting)
    get_ready(collecting, collecting.ledger()["accounts"][0]["id"])
    for _ in range(4):
        settle_up(collecting)
        collecting.pass_time(days=1)

    assert movements(collecting) == [("transfer", "refused", CONVERTED)]
    why = "the payment settled in USD, and only that currency can be transferred from it"
    assert (fees(collecting, session)["payoutRefused"], caplog.text.count(why)) == (why, 1)
    with db.transaction():
        told = [entry for entry in timeline.timeline(session.id) if entry["what"] == "payout"]
    assert [(entry["text"].split(" (")[0], entry["why"]) for entry in told] == [
        ("247.95 EUR to the seller, refused", why)
    ]

    assert refused_shares()[0] == 1

    # A refund leaves nothing to send: nothing is told any more, and looked for.
    assert collecting.refund(session)["status"] == 201
    collecting.deliver()
    settle_up(collecting)
    assert (fees(collecting, session)["payoutRefused"], refused_shares()) == (None, (0, []))
    assert collecting.transactions(session)[0].share_due_at is None


def test_a_transfer_that_stripe_refused_before_its_figures_were_known_is_not_tried_again(collecting: Shop) -> None:
    account = open_account(collecting, ready=False)
    session = sell(collecting, currency="EUR")
    (charge,) = collecting.ledger()["charges"]
    collecting.control("fees/release", charge=charge["id"], currency="usd", rate="1.0837")  # nobody has told us yet
    collecting.control(f"accounts/{account}/onboard")
    collecting.run(build("sellers.refresh", maker_id=MAKER))
    settle_up(collecting)
    collecting.deliver()
    for _ in range(4):
        collecting.pass_time(hours=7)
        settle_up(collecting)

    assert movements(collecting) == [("transfer", "refused", CONVERTED)]
    assert "balance transaction (usd) must be the same" in fees(collecting, session)["payoutRefused"]
