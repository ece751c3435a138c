"""Making a buyer a customer at Stripe, before the first page on which the buyer may keep a payment method.

No actor of its own: whoever opens a page calls :func:`with_customer` first. The row and its key are committed before
``POST /v1/customers``, so a crash at any point leaves a row from which the same call is made again and can only return the same
Customer; when Stripe may have forgotten the key, the Customer is looked for instead.

Keeping a card is a convenience, paying is not: where Stripe will not make the Customer, the page opens without it.
"""

import logging
from datetime import datetime, timedelta
from typing import Any

from paywindow import clock, jsons
from paywindow.actors.runtime import runtime
from paywindow.checkout import needs_customer, without_saving
from paywindow.errors import StripeRefused, StripeUnavailable
from paywindow.models import attempts, customers
from paywindow.models.database import transaction
from paywindow.models.tables import CheckoutAttempt, Customer, PaymentSession

logger = logging.getLogger(__name__)

#: Stripe keeps an idempotency key for at least 24 hours; from here on a repeat could make a second Customer.
KEY_AGE_LIMIT = timedelta(hours=23)
#: A lookup starts this much before the first call: our clock and Stripe's differ.
LOOKUP_MARGIN = timedelta(minutes=5)
#: After so many tries without an answer the page opens without the customer.
TRIES_BEFORE_GOING_WITHOUT = 2


def with_customer(attempt: CheckoutAttempt) -> CheckoutAttempt:
    """The attempt with complete parameters: with the buyer's customer where it needs one.

    Called outside any transaction, before the attempt's first call. Raises :class:`StripeUnavailable` while there is hope.
    """
    params = jsons.loads(attempt.params)
    if not needs_customer(params):
        return attempt
    with transaction():
        session: PaymentSession = PaymentSession.get_by_id(attempt.session_id)
    params = _completed(attempt, session, params)
    with transaction():
        return attempts.complete_params(attempt, jsons.dumps(params))


def _completed(attempt: CheckoutAttempt, session: PaymentSession, params: dict[str, Any]) -> dict[str, Any]:
    try:
        return {**params, "customer": _customer_of(session)}
    except StripeUnavailable as error:
        if attempt.tries < TRIES_BEFORE_GOING_WITHOUT:
            raise
        logger.warning("the page opens without a customer: %s", error, extra={"session_id": str(session.id)})
    except StripeRefused as refusal:
        logger.warning("the page opens without a customer: %s", refusal, extra={"session_id": str(session.id)})
    return without_saving(params, session.buyer_email)


def _customer_of(session: PaymentSession) -> str:
    """The id of the buyer's Customer at Stripe, made now if there is none."""
    with transaction():
        customer = customers.claim(session.buyer_id, session.livemode, session.buyer_email, clock.now())
    if customer.stripe_customer_id is None:
        found = _make(customer)
        with transaction():
            customer = customers.attach(customer, found)
    email = session.buyer_email
    if email is not None and email != customer.email:
        try:
            runtime().gateway.update_customer(str(customer.stripe_customer_id), email)
        except StripeRefused as refusal:
            if refusal.code != "resource_missing":
                raise
            # Deleted at Stripe, and nobody told us yet: the buyer gets a new one.
            with transaction():
                customers.forget(customer, clock.now())
            return _customer_of(session)
        with transaction():
            customers.rename(customer, email)
    return str(customer.stripe_customer_id)


def forget_customer(attempt: CheckoutAttempt, at: datetime) -> None:
    """Stripe does not know the customer of an attempt's parameters any more; in the current transaction."""
    customer = customers.of_stripe(jsons.loads(attempt.params).get("customer", ""))
    if customer is not None:
        customers.forget(customer, at)


def _make(customer: Customer) -> str:
    if clock.now() - customer.first_called_at > KEY_AGE_LIMIT:
        # The first call never arrived, or its Customer is found; a second key of its own keeps even that from being doubled.
        return _find(customer) or _post(customer, f"{customer.idempotency_key}-again")
    return _post(customer, customer.idempotency_key)


def _post(customer: Customer, key: str) -> str:
    params: dict[str, Any] = {"metadata": {"buyer_id": str(customer.buyer_id), "paywindow_customer": str(customer.id)}}
    if customer.email is not None:
        params["email"] = customer.email
    return str(runtime().gateway.create_customer(params, key)["id"])


def _find(customer: Customer) -> str | None:
    for found in runtime().gateway.customers_since(customer.first_called_at - LOOKUP_MARGIN):
        if (found.get("metadata") or {}).get("paywindow_customer") == str(customer.id):
            return str(found["id"])
    return None
