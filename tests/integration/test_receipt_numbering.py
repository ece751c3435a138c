"""Numbers and their counters under real concurrency, and settlements that never wait for them."""

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Any

import psycopg2
import pytest

from paywindow import messages
from paywindow.messages import ACTORS, ROLES
from paywindow.models.tables import Outbox, Receipt, ReceiptCounter, Transaction

if TYPE_CHECKING:
    from conftest import Shop
else:
    Shop = Any

MakeShop = Callable[..., Any]


def settle(shop: Shop, count: int, **changes: Any) -> list[Any]:
    """Sessions that are paid and settled, with the numbering still to come."""
    sessions = [shop.open_session(**changes) for _ in range(count)]
    for session in sessions:
        shop.pay(session)
    shop.deaf_to = {"receipts.issue", "receipts.render"}
    shop.deliver()
    return sessions


def numbering(shop: Shop) -> list[Any]:
    return [messages.build("receipts.issue", transaction_id=str(row.id)) for row in shop.rows(Transaction)]


def numbers(shop: Shop, kind: str = "receipt") -> list[str]:
    return sorted(row.receipt_number for row in shop.rows(Receipt, Receipt.kind == kind))


def test_receipts_numbered_at_the_same_moment_have_no_gap_and_no_double(shop: Shop) -> None:
    settle(shop, 8)

    # Each twice, as a redelivered message would be.
    shop.together(*numbering(shop), *numbering(shop))

    (counter,) = shop.rows(ReceiptCounter)
    year = counter.series.removeprefix("R-")
    assert numbers(shop) == [f"R-{year}-{number:06}" for number in range(1, 9)]
    assert counter.last_number == 8


def test_a_number_whose_transaction_fails_is_given_again(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    settle(shop, 2)
    first, second = numbering(shop)

    def crash(*_: object, **__: object) -> None:
        raise RuntimeError("the process died before its commit")

    with monkeypatch.context() as patch:
        patch.setattr("paywindow.actors.receipts._issued", crash)
        with pytest.raises(RuntimeError, match="died"):
            shop.run(first)
    shop.run(second)
    shop.run(first)

    assert [number[-6:] for number in numbers(shop)] == ["000001", "000002"]


def test_a_settlement_does_not_wait_for_a_series_that_is_locked(shop: Shop, database_url: str) -> None:
    """Given a series whose counter somebody holds, as a stuck numbering would."""
    settle(shop, 1)
    shop.run(numbering(shop)[0])
    with closing(psycopg2.connect(database_url)) as holder, holder.cursor() as cursor:
        cursor.execute("SELECT FROM receipt_counters FOR UPDATE")
        (blocked,) = settle(shop, 1)

        # Then the next payment is settled and published all the same, with its number still owed
        assert shop.snapshot(blocked)["paymentSession"]["status"] == "completed"
        assert shop.snapshot(blocked)["receipt"] is None
        assert [row.actor for row in shop.rows(Outbox)].count("receipts.issue") == 2
        with ThreadPoolExecutor(1) as pool:
            shop.deaf_to = {"receipts.render"}
            waiting = pool.submit(shop.run, numbering(shop)[1])
            assert not waiting.done()
            holder.rollback()
            waiting.result()

    # And once the series is free, the number comes
    shop.work()
    assert shop.snapshot(blocked)["receipt"]["number"].endswith("-000002")


def test_no_process_that_settles_gives_numbers_or_draws() -> None:
    role_of = {queue: role for role, queues in ROLES.items() for queue in queues}

    def roles(*actors: str) -> set[str]:
        return {role_of[ACTORS[actor]] for actor in actors}

    settling = roles("events.receive", "events.handle", "checkout.create", "publish.session")
    numbering = roles("receipts.issue", "receipts.issue_statement", "receipts.issue_credit_note", "receipts.render")
    assert settling.isdisjoint(numbering)


def test_each_maker_has_series_of_its_own_when_configured(make_shop: MakeShop) -> None:
    shop = make_shop(RECEIPT_SERIES_PER_MAKER="true", RECEIPT_SERIES="EU", RECEIPT_PREFIX="INV")
    shop.deaf_to = {"receipts.render"}
    for maker in (first := str(uuid.uuid4()), str(uuid.uuid4()), first, None):
        shop.pay(shop.open_session(maker_id=maker))
        shop.deliver()

    year = shop.rows(Receipt)[0].issued_at.year
    assert numbers(shop) == [
        f"INV-EU-{year}-000001",
        f"INV-EU-M1-{year}-000001",
        f"INV-EU-M1-{year}-000002",
        f"INV-EU-M2-{year}-000001",
    ]
    assert numbers(shop, "statement") == [
        f"S-EU-M1-{year}-000001",
        f"S-EU-M1-{year}-000002",
        f"S-EU-M2-{year}-000001",
    ]


def test_the_next_year_starts_at_one(shop: Shop) -> None:
    settle(shop, 1)
    shop.run(numbering(shop)[0])
    year = shop.rows(Receipt)[0].issued_at.year
    shop.pass_time(days=366)
    settle(shop, 1)
    for message in numbering(shop):
        shop.run(message)

    assert numbers(shop) == [f"R-{year}-000001", f"R-{year + 1}-000001"]
