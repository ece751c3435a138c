"""``sweeps.synthetic_purchase`` (scheduler, every ``SYNTHETIC_PURCHASE_SECONDS``): a purchase to see that purchases work.

Against the sandbox it is a whole one: a page is opened by ``checkout.create``, paid as a buyer pays it, settled by its webhooks,
and ends with its receipt stored. At Stripe, in test mode, nothing completes a Checkout by program; there a page is opened and
expired, and a test card charged by a PaymentIntent (https://docs.stripe.com/testing), and nothing is written here: the
events about them are another program's to us. A live key is refused when settings are loaded.

Purchases are numbered by their period, and all keys and ids follow from the number, so a second run finds what the first one
made. A purchase that is not finished yet is looked at again a moment later.

What a whole purchase leaves in the books of a sandbox is marked by its client, buyer and description; it takes a receipt's
number, is announced, and counts in the metrics. A sandbox has no other books.
"""

import logging
import time
import uuid
from datetime import datetime, timedelta
from typing import Any

import requests
from dramatiq import Message

from paywindow import clock, hosted_page, ids, messages, metrics
from paywindow.actors.registry import actor
from paywindow.actors.runtime import runtime
from paywindow.errors import PaywindowError
from paywindow.messages import CheckoutRequest, build
from paywindow.models.database import send_after_commit, transaction
from paywindow.models.snapshots import current_attempt
from paywindow.models.tables import Operation, PaymentSession, Receipt
from paywindow.settings import STRIPE_API
from paywindow.states import PAYABLE, Status

logger = logging.getLogger(__name__)

#: Whose purchases these are.
CLIENT = "synthetic"
BUYER = uuid.uuid5(uuid.NAMESPACE_URL, "paywindow:synthetic-buyer")
DESCRIPTION = "Synthetic purchase"
#: A whole purchase that takes longer has failed.
PATIENCE = timedelta(minutes=1)
_PAUSE = timedelta(seconds=1)
_HEALTH_SECONDS = 5
#: What both cost, in the currency's minor units; above the smallest charge of every country's Stripe account.
_AMOUNT, _CURRENCY = 1000, "USD"


@actor("sweeps.synthetic_purchase")
def purchase(number: int | None = None, began_at: str | None = None) -> None:
    """Begin the purchase of this period, or look how far one has come. ``began_at``: when it was begun, ISO 8601."""
    period = runtime().settings.synthetic_purchase_seconds
    if not period:
        return
    at = clock.now()
    number = int(at.timestamp() // period) if number is None else number
    began = at if began_at is None else datetime.fromisoformat(began_at)
    started = time.perf_counter()
    try:
        done, seconds = _whole(number, began) if _is_sandbox() else _parts(number, started)
    except (PaywindowError, requests.RequestException) as error:
        logger.warning("the synthetic purchase failed: %s: %s", type(error).__name__, error)
        _tell("failed")
        return
    if done:
        metrics.SYNTHETIC_SECONDS.set(seconds)
        _tell("succeeded")
    elif at - began > PATIENCE:
        logger.warning("the synthetic purchase was not finished in %d s", PATIENCE.total_seconds())
        _tell("failed")
    else:
        again = build("sweeps.synthetic_purchase", number=number, began_at=began.isoformat())
        with transaction():
            send_after_commit(again, delay=_PAUSE)


def _tell(result: str) -> None:
    metrics.SYNTHETIC_PURCHASE.labels(result).set(time.time())


def _is_sandbox() -> bool:
    """Whether our sandbox stands in Stripe's place. Raises :class:`requests.RequestException` when nothing answers there."""
    base = runtime().settings.stripe_api_base
    if base == STRIPE_API:
        return False
    answer = requests.get(f"{base}/_sandbox/health", timeout=_HEALTH_SECONDS)
    return answer.status_code == 200


def _whole(number: int, began: datetime) -> tuple[bool, float]:
    """Go on with a whole purchase; whether it is done, and how long it took.

    Raises :class:`PaywindowError` when it went wrong.
    """
    operation_id = ids.operation_id(CLIENT, str(number))
    with transaction():
        operation = Operation.get_or_none(Operation.id == operation_id)
        session = None if operation is None else operation.session
        attempt = None if session is None else current_attempt(session)
        receipt = None if session is None else _receipt_of(session)
        if operation is None:
            send_after_commit(_create(operation_id, number))
    if operation is not None and session is None and operation.outcome is not None:
        raise PaywindowError("its page was refused")
    if session is not None and session.status in PAYABLE and attempt is not None and attempt.status == "open":
        _pay(attempt.page_id)
    elif session is not None and session.status not in (*PAYABLE, Status.PROCESSING, Status.COMPLETED):
        raise PaywindowError(f"its session is {session.status}")
    if operation is None or receipt is None or receipt.stored_at is None:
        return False, 0.0
    return True, (receipt.stored_at - operation.created_at).total_seconds()


def _receipt_of(session: PaymentSession) -> Receipt | None:
    found: Receipt | None = Receipt.get_or_none(Receipt.session == session.id, Receipt.kind == "receipt")
    return found


def _create(operation_id: uuid.UUID, number: int) -> Message[Any]:
    request = CheckoutRequest(
        auction_id=str(ids.operation_id(f"{CLIENT} auction", str(number))),
        buyer_id=str(BUYER),
        amount_minor=_AMOUNT,
        currency=_CURRENCY,
        late_policy="refund",
        window_minutes=runtime().settings.payment_window_minutes,
        description=DESCRIPTION,
    )
    fingerprint = ids.fingerprint("checkout.create", request.asdict())
    return messages.create_checkout(operation_id, CLIENT, fingerprint, request)


def _pay(checkout_id: str) -> None:
    """Pay the page unless that was done; then its webhooks are on their way."""
    page = runtime().gateway.retrieve_checkout(checkout_id)
    if page["status"] == "open" and not hosted_page.submit_card(page["url"], hosted_page.PAYS):
        raise PaywindowError("the test card was declined")


def _parts(number: int, started: float) -> tuple[bool, float]:
    """Open and expire a page, and charge a test card; true, and how long it took. Raises :class:`PaywindowError`."""
    gateway, marks = runtime().gateway, {"synthetic_purchase": str(number)}
    price = {"currency": _CURRENCY.lower(), "unit_amount": _AMOUNT, "product_data": {"name": DESCRIPTION}}
    page = gateway.create_checkout(
        {
            "mode": "payment",
            "success_url": runtime().settings.public,
            "line_items": [{"quantity": 1, "price_data": price}],
            "metadata": marks,
        },
        f"pw-synthetic-page-{number}",
    )
    closed = gateway.expire_checkout(page["id"])
    if closed["status"] != "expired":
        raise PaywindowError(f"its page is {closed['status']}")
    payment = gateway.charge_test_card(_AMOUNT, _CURRENCY.lower(), DESCRIPTION, marks, f"pw-synthetic-payment-{number}")
    if payment["status"] != "succeeded":
        raise PaywindowError(f"its payment is {payment['status']}")
    return True, time.perf_counter() - started
