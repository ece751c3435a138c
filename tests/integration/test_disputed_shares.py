"""Disputes of makers' payments: the seller's share follows the money, or stays, and the books add up to Stripe's ledger."""

import random
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from paywindow import ids, messages
from paywindow.messages import build
from paywindow.models.tables import Dispute, PaymentSession, ReconciliationFinding, SellerMovement

if TYPE_CHECKING:
    from conftest import Shop
else:
    Shop = Any

MAKER = "7b0f3c1e-2a64-4d3b-9a55-0c6c0d8a1f09"
AMOUNT, FEE, STRIPE_FEE, DISPUTE_FEE = 27_550, 2_755, 829, 1_500
SHARE = AMOUNT - FEE
BOTH = pytest.mark.parametrize("split", ["refuse", "collect"])


def open_shop(make_shop: Callable[..., Shop], split: str, **settings: str) -> Shop:
    """A shop with a maker whose account is ready; payments are split by Stripe, or collected and sent."""
    shop = make_shop(SELLER_PAYOUTS=split, PLATFORM_FEE_PERCENT="10", **settings)
    shop.deaf_to.add("receipts.render")
    if split == "refuse":
        open_account(shop)
    return shop


def open_account(shop: Shop) -> None:
    request = {"maker_id": MAKER, "country": None, "email": None}
    request |= {"return_url": "https://shop.example/back", "refresh_url": "https://shop.example/again"}
    fingerprint = ids.fingerprint("sellers.link", request)
    shop.run(messages.link_seller(uuid.uuid4(), "shop", fingerprint, request))
    shop.work()
    shop.control(f"accounts/{shop.ledger()['accounts'][-1]['id']}/onboard")
    shop.deliver()


def sell(shop: Shop, *, figures: bool = True) -> tuple[PaymentSession, str]:
    """A maker's sale, the share with the seller unless Stripe's ``figures`` are still to come; the session and its charge."""
    collected = not shop.ledger()["accounts"]
    session = shop.open_session(maker_id=MAKER)
    charge = shop.pay(session)["charge"]
    shop.deliver()
    if figures:
        shop.control("fees/release")
        shop.deliver()
    if collected:
        open_account(shop)
        sweep(shop)
    return session, charge


def sweep(shop: Shop) -> None:
    shop.run(build("sweeps.sellers"))
    shop.work()
    shop.deliver()


def take(shop: Shop, dispute: str, *steps: str) -> None:
    for step in steps:
        shop.control(f"disputes/{dispute}/{step}")
        shop.deliver()


def figures(shop: Shop, session: PaymentSession) -> dict[str, int]:
    """The figures of the status answer, in minor units."""
    shown = shop.snapshot(session)["transaction"]["fees"]
    return {
        name: int(shown[name] * 100)
        for name in ("platformFee", "sellerPayout", "sellerReceived", "refunded", "disputed")
    }


def balances(shop: Shop) -> tuple[int, int]:
    """What platform and seller have at Stripe."""
    ledger = shop.ledger()
    (account,) = ledger["accounts"]
    return ledger["balance"].get("usd", 0), account["balance"].get("usd", 0)


def adds_up(shop: Shop, session: PaymentSession) -> None:
    """The parts are the amount, and each party has at Stripe what the books say."""
    shown = figures(shop, session)
    assert shown["refunded"] + shown["disputed"] + shown["platformFee"] + shown["sellerPayout"] == AMOUNT
    platform, seller = balances(shop)
    assert (shown["sellerPayout"], shown["sellerReceived"]) == (seller, seller)
    assert seller >= 0
    cost = sum(int(row.fee_minor) for row in shop.rows(Dispute))
    assert platform == shown["platformFee"] - STRIPE_FEE - cost


def movements(shop: Shop) -> list[tuple[str, int]]:
    return [(row.kind, row.amount_minor) for row in shop.rows(SellerMovement) if row.status == "done"]


@BOTH
def test_the_share_is_taken_back_and_sent_again_when_the_dispute_is_won(
    make_shop: Callable[..., Shop], split: str
) -> None:
    shop = open_shop(make_shop, split)
    session, charge = sell(shop)
    assert balances(shop)[1] == SHARE

    dispute = shop.control("disputes", charge=charge)["id"]
    shop.deliver()

    assert (figures(shop, session)["sellerPayout"], figures(shop, session)["disputed"]) == (0, AMOUNT)
    adds_up(shop, session)

    take(shop, dispute, "review", "win")

    assert (figures(shop, session)["sellerPayout"], figures(shop, session)["disputed"]) == (SHARE, 0)
    assert movements(shop)[-2:] == [("reversal", SHARE), ("transfer", SHARE)]
    adds_up(shop, session)


@BOTH
def test_what_a_won_dispute_moved_is_no_discrepancy(make_shop: Callable[..., Shop], split: str) -> None:
    shop = open_shop(make_shop, split, STRIPE_RATE_LIMIT="10000")
    _, charge = sell(shop)
    dispute = shop.control("disputes", charge=charge)["id"]
    shop.deliver()
    take(shop, dispute, "win")
    assert movements(shop) == [
        *([("transfer", SHARE)] if split == "collect" else []),
        ("reversal", SHARE),
        ("transfer", SHARE),
    ]

    shop.pass_time(minutes=5)
    shop.run(build("sweeps.reconciliation"))
    shop.work()

    assert [(row.code, row.ours, row.theirs) for row in shop.rows(ReconciliationFinding)] == []


@BOTH
def test_a_payment_whose_dispute_was_won_is_refunded_from_where_the_share_lies_now(
    make_shop: Callable[..., Shop], split: str
) -> None:
    shop = open_shop(make_shop, split, STRIPE_RATE_LIMIT="10000")
    session, charge = sell(shop)
    dispute = shop.control("disputes", charge=charge)["id"]
    shop.deliver()
    take(shop, dispute, "win")

    answer = shop.refund(session, amount="100")
    shop.work()
    shop.deliver()

    assert answer["status"] == 201, answer
    assert (figures(shop, session)["sellerPayout"], figures(shop, session)["platformFee"]) == (
        SHARE - 9_000,
        FEE - 1_000,
    )
    adds_up(shop, session)

    assert shop.refund(session)["status"] == 201
    shop.work()
    shop.deliver()

    assert (figures(shop, session)["sellerPayout"], figures(shop, session)["refunded"]) == (0, AMOUNT)
    adds_up(shop, session)

    shop.pass_time(minutes=5)
    shop.run(build("sweeps.reconciliation"))
    shop.work()
    assert [(row.code, row.ours, row.theirs) for row in shop.rows(ReconciliationFinding)] == []


def test_a_refund_before_a_dispute_and_one_after_it_take_the_share_once_each(make_shop: Callable[..., Shop]) -> None:
    shop = open_shop(make_shop, "refuse")
    session, charge = sell(shop)
    assert shop.refund(session, amount="25.50")["status"] == 201
    shop.deliver()
    dispute = shop.control("disputes", charge=charge, amount=25_000)["id"]
    shop.deliver()
    take(shop, dispute, "win")
    assert figures(shop, session)["sellerPayout"] == 22_500

    assert shop.refund(session, amount="50")["status"] == 201
    shop.work()
    shop.deliver()
    assert figures(shop, session)["sellerPayout"] == 18_000
    adds_up(shop, session)

    # The buyer's bank sends it back: the seller has a right to the share again.
    shop.control(f"refunds/{shop.ledger()['refunds'][-1]['id']}/fail")
    shop.deliver()

    assert figures(shop, session)["sellerPayout"] == 22_500
    adds_up(shop, session)


@BOTH
def test_a_lost_dispute_leaves_the_seller_without_the_share(make_shop: Callable[..., Shop], split: str) -> None:
    shop = open_shop(make_shop, split)
    session, charge = sell(shop)
    take(shop, shop.control("disputes", charge=charge)["id"], "lose")

    assert figures(shop, session)["sellerPayout"] == 0
    adds_up(shop, session)


@BOTH
def test_the_platform_bears_it_where_that_is_the_policy(make_shop: Callable[..., Shop], split: str) -> None:
    shop = open_shop(make_shop, split, DISPUTE_SELLER_POLICY="platform")
    session, charge = sell(shop)
    before = movements(shop)
    take(shop, shop.control("disputes", charge=charge)["id"], "lose")

    assert (figures(shop, session)["sellerPayout"], figures(shop, session)["platformFee"]) == (SHARE, -SHARE)
    assert movements(shop) == before
    adds_up(shop, session)


@BOTH
def test_an_inquiry_moves_nothing_until_it_escalates(make_shop: Callable[..., Shop], split: str) -> None:
    shop = open_shop(make_shop, split)
    session, charge = sell(shop)
    dispute = shop.control("disputes", charge=charge, inquiry=True)["id"]
    shop.deliver()
    assert figures(shop, session)["sellerPayout"] == SHARE

    take(shop, dispute, "escalate")

    assert figures(shop, session)["sellerPayout"] == 0
    adds_up(shop, session)


@BOTH
def test_a_part_is_taken_back_in_proportion(make_shop: Callable[..., Shop], split: str) -> None:
    shop = open_shop(make_shop, split)
    session, charge = sell(shop)
    shop.control("disputes", charge=charge, amount=10_000)
    shop.deliver()

    assert figures(shop, session)["sellerPayout"] == SHARE - 9_000
    adds_up(shop, session)


def test_a_dispute_that_comes_before_stripes_figures_takes_the_share_once_it_is_there(
    make_shop: Callable[..., Shop],
) -> None:
    shop = open_shop(make_shop, "refuse")
    session, charge = sell(shop, figures=False)
    shop.control("disputes", charge=charge)
    shop.deliver()
    assert movements(shop) == []

    shop.control("fees/release")
    shop.deliver()

    assert movements(shop) == [("reversal", SHARE)]
    adds_up(shop, session)


def test_a_collected_share_that_is_disputed_before_it_is_sent_is_not_sent(make_shop: Callable[..., Shop]) -> None:
    shop = open_shop(make_shop, "collect")
    session = shop.open_session(maker_id=MAKER)
    charge = shop.pay(session)["charge"]
    shop.deliver()
    shop.control("fees/release")
    dispute = shop.control("disputes", charge=charge)["id"]
    shop.deliver()
    open_account(shop)
    sweep(shop)
    assert movements(shop) == []
    adds_up(shop, session)

    take(shop, dispute, "win")

    assert movements(shop) == [("transfer", SHARE)]
    adds_up(shop, session)


@BOTH
def test_a_loss_that_is_turned_round_and_events_that_come_twice_move_the_share_once_each_way(
    make_shop: Callable[..., Shop], split: str
) -> None:
    shop = open_shop(make_shop, split)
    session, charge = sell(shop)
    before = movements(shop)
    dispute = shop.control("disputes", charge=charge)["id"]
    take(shop, dispute, "lose", "win")
    for event in reversed([event for event in shop.events() if event["type"].startswith("charge.dispute.")]):
        shop.deliver_event({**event, "id": event["id"] + "_again"}, times=2)
    shop.work()

    assert movements(shop) == [*before, ("reversal", SHARE), ("transfer", SHARE)]
    adds_up(shop, session)


@BOTH
@pytest.mark.parametrize("fault", ["500_after_work", "timeout_after_work"])
def test_a_reversal_whose_answer_is_lost_is_made_once(make_shop: Callable[..., Shop], split: str, fault: str) -> None:
    shop = open_shop(make_shop, split)
    session, charge = sell(shop)
    shop.fault(fault, times=2, method="POST", path_prefix="/v1/transfers/")
    shop.control("disputes", charge=charge)
    with pytest.raises(Exception, match=r".+"):
        shop.deliver()
    shop.work()
    shop.pass_time(hours=24)
    shop.sweep()
    sweep(shop)

    assert figures(shop, session)["sellerPayout"] == 0
    assert movements(shop)[-1] == ("reversal", SHARE)
    adds_up(shop, session)


@BOTH
@pytest.mark.parametrize("seed", range(2))
def test_whatever_order_the_books_end_as_stripes(make_shop: Callable[..., Shop], split: str, seed: int) -> None:
    chance = random.Random(seed)
    shop = open_shop(make_shop, split)
    session, charge = sell(shop)
    dispute = shop.control("disputes", charge=charge, amount=chance.choice([AMOUNT, 5_000]), inquiry=True)["id"]
    for step in ("escalate", "review", "lose", "win")[: chance.choice([1, 3, 4])]:
        shop.control(f"disputes/{dispute}/{step}")
        if chance.random() < 0.5:
            shop.deliver(shuffled_by=chance)
    shop.deliver(shuffled_by=chance)
    sweep(shop)

    adds_up(shop, session)
