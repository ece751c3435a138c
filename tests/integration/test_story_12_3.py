"""Story 12.3, payment retry mechanisms: its acceptance criteria, one test or more for each.

AC1 retry eligibility gating; AC2 enqueue and worker processing; AC3 analytics and alerts (here the numbers that alert rules
read). The rules in detail are in ``test_retries.py``, whatever order things come in ``test_retry_property.py``.
"""

import logging
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import REGISTRY

from paywindow import ids, jsons, messages
from paywindow.models.tables import Operation, PaymentSession

pytestmark = pytest.mark.usefixtures("audited")

if TYPE_CHECKING:
    from conftest import Shop, Workers
else:
    Shop = Workers = Any

DECLINED = "4000000000000002"


def click(session: PaymentSession) -> Any:
    """The buyer asks for another try."""
    request: dict[str, Any] = {"session_id": str(session.id), "reason": None}
    fingerprint = ids.fingerprint("payment.retry", request)
    return messages.command("payment.retry", ids.operation_id("buyer:b", None), "buyer:b", fingerprint, request)


def outcome(shop: Shop, message: Any) -> dict[str, Any]:
    """What the buyer was answered."""
    (row,) = shop.rows(Operation, Operation.id == message.kwargs["operation_id"])
    found: dict[str, Any] = jsons.loads(row.outcome)
    return found


def ask(shop: Shop, session: PaymentSession) -> dict[str, Any]:
    message = click(session)
    shop.run(message)
    shop.work()
    return outcome(shop, message)


def decline(shop: Shop, session: PaymentSession) -> PaymentSession:
    shop.pay(session, card=DECLINED)
    shop.deliver()
    return shop.session(session.id)


def retry(shop: Shop, session: PaymentSession) -> dict[str, Any]:
    """What the client is told about retries."""
    found: dict[str, Any] = shop.snapshot(session, "buyer")["retry"]
    return found


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def test_12_3_ac1_only_a_failed_payment_can_be_retried(shop: Shop) -> None:
    session = shop.open_session()
    assert retry(shop, session)["canRetry"] is False
    assert ask(shop, session)["body"]["code"] == "not_failed"

    session = decline(shop, session)

    assert retry(shop, session) | {"retryAt": ""} == {"count": 0, "left": 3, "canRetry": True, "retryAt": ""}
    assert ask(shop, session)["status"] == 200


def test_12_3_ac1_three_retries_are_allowed_and_the_server_says_how_many_are_left(shop: Shop) -> None:
    session = decline(shop, shop.open_session())
    for used in (1, 2, 3):
        assert ask(shop, session)["status"] == 200
        session = decline(shop, session)
        assert (retry(shop, session)["count"], retry(shop, session)["left"]) == (used, 3 - used)

    assert retry(shop, session)["canRetry"] is False
    assert ask(shop, session)["body"]["code"] == "retry_limit_reached"


def test_12_3_ac1_no_retry_is_allowed_outside_the_payment_window(shop: Shop) -> None:
    session = decline(shop, shop.open_session(window_minutes=60))
    shop.pass_time(minutes=60)

    assert ask(shop, session)["body"]["code"] == "session_expired"
    shop.sweep()
    assert retry(shop, session)["canRetry"] is False


def test_12_3_ac1_a_payment_that_succeeded_is_never_retried(shop: Shop) -> None:
    session = decline(shop, shop.open_session())
    shop.pay(session)  # and no webhook has come yet

    body = ask(shop, session)["body"]

    assert (body["code"], body["paymentSession"]["status"]) == ("already_paid", "completed")
    assert sum(charge["paid"] for charge in shop.ledger()["charges"]) == 1


def test_12_3_ac2_a_retry_is_queued_and_a_worker_opens_a_page_with_the_original_metadata(
    shop: Shop, workers: Workers
) -> None:
    create = shop.create_message(shop.request())
    workers.broker.enqueue(create)
    workers.until(lambda: shop.rows(Operation, Operation.outcome.is_null(False)))
    (session,) = shop.rows(PaymentSession)
    shop.pay(session, card=DECLINED)
    shop.deliver(work=False)
    workers.until(lambda: shop.session(session.id).status == "failed")

    asked = click(session)
    workers.broker.enqueue(asked)
    workers.until(lambda: shop.session(session.id).attempt_number == 2 and shop.attempt(session).status == "open")
    workers.until_idle()

    first, second = shop.ledger()["sessions"]
    assert second["metadata"] == {**first["metadata"], "attempt": "2"}
    assert (first["status"], second["status"]) == ("expired", "open")
    assert outcome(shop, asked)["body"]["paymentSession"]["stripeCheckoutUrl"] == second["url"]
    shop.pay(session)
    shop.deliver(work=False)
    workers.until(lambda: shop.session(session.id).status == "completed")
    workers.until_idle()


def test_12_3_ac2_retries_are_made_by_themselves_after_1_5_and_15_minutes_with_counters_on_the_session(
    shop: Shop,
) -> None:
    session = shop.open_session()
    for count, minutes in enumerate((1, 5, 15), start=1):
        session = decline(shop, session)
        shop.pass_time(minutes=minutes, seconds=-5)
        shop.sweep()
        assert shop.session(session.id).retry_count == count - 1
        shop.pass_time(seconds=5)
        shop.sweep()
        session = shop.session(session.id)
        assert (session.status, session.retry_count) == ("pending", count)


def test_12_3_ac2_what_the_buyer_tried_is_shown_with_times_and_reasons(shop: Shop) -> None:
    session = decline(shop, shop.open_session())
    ask(shop, session)
    decline(shop, session)

    attempts = shop.snapshot(session, "buyer")["attempts"]

    assert [(each["number"], each["kind"], each["status"]) for each in attempts] == [
        (1, "first", "closed"),
        (2, "retry", "open"),
    ]
    for each in attempts:
        (declined,) = each["declines"]
        assert (declined["code"], bool(declined["at"]), bool(declined["message"])) == ("generic_decline", True, True)


def test_12_3_ac3_each_retry_is_an_analytics_event_with_its_count(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "paywindow.analytics")
    session = decline(shop, shop.open_session())
    ask(shop, session)
    decline(shop, session)
    shop.pass_time(minutes=5)
    shop.sweep()

    told = [record.properties for record in caplog.records if record.message == "payments.retry.initiated"]  # type: ignore[attr-defined]

    assert [properties["retry_count"] for properties in told] == [1, 2]
    for properties in told:
        assert properties["payment_session_id"] == str(session.id)
        assert (properties["auction_id"], properties["amount_usd"]) == (str(session.auction_id), "275.50")


def test_12_3_ac3_attempts_and_failures_are_counted_for_alerts(shop: Shop) -> None:
    def numbers() -> tuple[float, ...]:
        return (
            counted("payments_retry_attempts_total", asked_by="request"),
            counted("payments_retry_attempts_total", asked_by="timer"),
            counted("payments_retry_failures_total"),
        )

    before = numbers()
    session = decline(shop, shop.open_session())
    assert numbers() == before, "the first failure is not one of a retry"

    ask(shop, session)
    decline(shop, session)
    decline(shop, session)  # on the same page: the same try
    shop.pass_time(minutes=5)
    shop.sweep()
    decline(shop, session)

    assert [now - then for now, then in zip(numbers(), before, strict=True)] == [1, 1, 2]
