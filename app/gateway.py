"""The only module that talks to Stripe.

Every call takes what it needs as arguments, returns plain dictionaries, and raises one of two errors: ``StripeUnavailable``
(the outcome may be unknown: same call, same key, later) or ``StripeRefused`` (Stripe's answer is no).
"""

import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import stripe
from stripe import RequestsClient, StripeClient

from paywindow import metrics
from paywindow.circuit import Circuit
from paywindow.errors import StripeRefused, StripeUnavailable

logger = logging.getLogger(__name__)

# One quick repeat inside the SDK (same idempotency key) covers a dropped connection; what lasts longer is left to the
# queue and to Postgres, so that a worker thread never waits through an outage.
NETWORK_RETRIES = 1
_BUSY = ("lock_timeout", "idempotency_key_in_use", "rate_limit")

#: The version at which Stripe answers this SDK, and at which its webhook endpoint has to render events.
API_VERSION: str = stripe.api_version
_FIGURES = ("balance_transaction", "application_fee", "transfer")
# What is read together with an object: of a payment its charge, of a charge its fees and its transfer.
_EXPANDED = {
    "checkout.session": ("payment_intent.latest_charge",),
    "payment_intent": tuple(f"latest_charge.{name}" for name in _FIGURES),
    "charge": _FIGURES,
}
_EXPANDED_IN_LISTS = {"charge": _FIGURES}

stripe.enable_telemetry = False

_ID = re.compile(r"/(?=[^/]*[0-9A-Z])(?!v\d/)[^/]+")


class _CountingClient(RequestsClient):
    """The SDK's HTTP client, counting each request that it really makes, and telling the circuit whether it was answered."""

    def __init__(self, circuit: Circuit, timeout: int):
        super().__init__(timeout=timeout)
        self._circuit = circuit

    def request(  # type: ignore[override] # as in RequestsClient itself
        self, method: str, url: str, headers: Mapping[str, str] | None, post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        """See :meth:`stripe.HTTPClient.request`; whatever ends it is counted."""
        started, status = time.perf_counter(), None
        try:
            answer = super().request(method, url, headers, post_data)
            status = answer[1]
            return answer
        finally:
            _count(f"{method.upper()} {_template(url)}", status, time.perf_counter() - started)
            self._circuit.record(status is not None and status < 500)


def _template(url: str) -> str:
    """The path with ``{id}`` for each id: unlike the names of Stripe's resources, they have digits or capitals in them."""
    return _ID.sub("/{id}", urlsplit(url).path)


def _count(endpoint: str, status: int | None, seconds: float) -> None:
    metrics.STRIPE_REQUESTS.labels(endpoint, "none" if status is None else str(status)).inc()
    metrics.STRIPE_SECONDS.labels(endpoint).observe(seconds)
    if status is None:
        metrics.STRIPE_FAILURES.labels("unreachable").inc()
    elif status == 429:
        metrics.STRIPE_FAILURES.labels("rate_limited").inc()
    elif status in (401, 403):
        metrics.STRIPE_FAILURES.labels("unauthorized").inc()
    elif status >= 500:
        metrics.STRIPE_FAILURES.labels("server_error").inc()


class Gateway:
    """Calls to one Stripe account.

    ``timeout_seconds`` bounds each HTTP request (the SDK's default would be 80 s); ``before_call`` runs before each call. While
    Stripe does not answer, calls fail at once (:mod:`paywindow.circuit`).
    """

    def __init__(
        self, secret_key: str, api_base: str, timeout_seconds: int, before_call: Callable[[], None] = lambda: None
    ):
        self._before_call = before_call
        self.circuit = Circuit()
        self.livemode = secret_key.startswith(("sk_live_", "rk_live_"))
        self._client = StripeClient(
            secret_key,
            base_addresses={"api": api_base},
            http_client=_CountingClient(self.circuit, timeout_seconds),
            max_network_retries=NETWORK_RETRIES,
        )

    def create_checkout(self, params: dict[str, Any], idempotency_key: str) -> dict[str, Any]:
        """Open a Checkout page (https://docs.stripe.com/api/checkout/sessions/create)."""
        return self._ask(self._client.v1.checkout.sessions.create, params, options={"idempotency_key": idempotency_key})

    def retrieve_checkout(self, checkout_id: str) -> dict[str, Any]:
        """Read a Checkout Session with its payment and charge, if it has come so far."""
        return self._ask(
            self._client.v1.checkout.sessions.retrieve, checkout_id, {"expand": ["payment_intent.latest_charge"]}
        )

    def charge_test_card(
        self, amount: int, currency: str, description: str, metadata: dict[str, str], idempotency_key: str
    ) -> dict[str, Any]:
        """Charge Stripe's test card without a page (https://docs.stripe.com/testing?testing-method=payment-methods).

        Test mode only: raises :class:`ValueError` with a live key.
        """
        if self.livemode:
            raise ValueError("a test card is charged in test mode only")
        params = {
            "amount": amount,
            "currency": currency,
            "description": description,
            "metadata": metadata,
            "payment_method": "pm_card_visa",
            "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
            "confirm": True,
        }
        return self._ask(self._client.v1.payment_intents.create, params, options={"idempotency_key": idempotency_key})

    def expire_checkout(self, checkout_id: str) -> dict[str, Any]:
        """Close a Checkout page so that it cannot be paid; if it is not open any more, say how it stands now.

        Stripe refuses with a 400 that has no code when the page is not open, so the page is read again instead of matching
        the text (https://docs.stripe.com/api/checkout/sessions/expire). No idempotency key: expiring is idempotent, and a
        stored refusal must not be replayed.
        """
        try:
            expired = self._ask(self._client.v1.checkout.sessions.expire, checkout_id)
        except StripeRefused as refusal:
            found = self.retrieve_checkout(checkout_id)
            if found["status"] == "open":
                raise StripeUnavailable(f"{checkout_id} is open, yet Stripe will not expire it: {refusal}") from refusal
            return found
        return expired if expired.get("payment_intent") is None else self.retrieve_checkout(checkout_id)

    def checkouts_since(self, moment: datetime) -> Iterator[dict[str, Any]]:
        """All Checkout Sessions created at or after ``moment``, newest first, page by page."""
        yield from self._pages(self._client.v1.checkout.sessions.list, {"created": {"gte": int(moment.timestamp())}})

    def open_account(self, params: dict[str, Any], idempotency_key: str) -> dict[str, Any]:
        """Open a seller's account (https://docs.stripe.com/api/accounts/create)."""
        return self._ask(self._client.v1.accounts.create, params, options={"idempotency_key": idempotency_key})

    def retrieve_account(self, account_id: str) -> dict[str, Any]:
        """Read a seller's account. Stripe refuses with ``account_invalid`` once it is disconnected."""
        return self._ask(self._client.v1.accounts.retrieve, account_id)

    def accounts_since(self, moment: datetime) -> Iterator[dict[str, Any]]:
        """All connected accounts opened at or after ``moment``, newest first, page by page."""
        yield from self._pages(self._client.v1.accounts.list, {"created": {"gte": int(moment.timestamp())}})

    def create_account_link(self, params: dict[str, Any], idempotency_key: str) -> dict[str, Any]:
        """Mint a link to Stripe's onboarding: good once, for minutes (https://docs.stripe.com/api/account_links/create)."""
        return self._ask(self._client.v1.account_links.create, params, options={"idempotency_key": idempotency_key})

    def charge_figures(self, payment_intent_id: str) -> dict[str, Any] | None:
        """The charge that paid a PaymentIntent, with what is known of fees and transfer; ``None`` if there is no charge."""
        names = ("balance_transaction", "application_fee", "transfer")
        expand = [f"latest_charge.{name}" for name in names]
        intent = self._ask(self._client.v1.payment_intents.retrieve, payment_intent_id, {"expand": expand})
        charge: dict[str, Any] | None = intent.get("latest_charge")
        return charge

    def create_transfer(self, params: dict[str, Any], idempotency_key: str) -> dict[str, Any]:
        """Send money to a seller's account (https://docs.stripe.com/api/transfers/create)."""
        return self._ask(self._client.v1.transfers.create, params, options={"idempotency_key": idempotency_key})

    def retrieve_transfer(self, transfer_id: str) -> dict[str, Any]:
        """Read a transfer, with how much of it came back."""
        return self._ask(self._client.v1.transfers.retrieve, transfer_id)

    def transfers_of(self, group: str) -> Iterator[dict[str, Any]]:
        """All transfers of a group, newest first, page by page."""
        yield from self._pages(self._client.v1.transfers.list, {"transfer_group": group})

    def reverse_transfer(self, transfer_id: str, params: dict[str, Any], idempotency_key: str) -> dict[str, Any]:
        """Take a part of a transfer back (https://docs.stripe.com/api/transfer_reversals/create)."""
        return self._ask(
            self._client.v1.transfers.reversals.create,
            transfer_id,
            params,
            options={"idempotency_key": idempotency_key},
        )

    def reversals_of(self, transfer_id: str) -> Iterator[dict[str, Any]]:
        """All reversals of a transfer, newest first, page by page."""
        yield from self._pages(partial(self._client.v1.transfers.reversals.list, transfer_id), {})

    def retrieve_dispute(self, dispute_id: str) -> dict[str, Any]:
        """Read a dispute, with what it took from the balance and gave back."""
        return self._ask(self._client.v1.disputes.retrieve, dispute_id)

    def create_customer(self, params: dict[str, Any], idempotency_key: str) -> dict[str, Any]:
        """Make a Customer (https://docs.stripe.com/api/customers/create)."""
        return self._ask(self._client.v1.customers.create, params, options={"idempotency_key": idempotency_key})

    def customers_since(self, moment: datetime) -> Iterator[dict[str, Any]]:
        """All Customers created at or after ``moment``, newest first, page by page."""
        yield from self._pages(self._client.v1.customers.list, {"created": {"gte": int(moment.timestamp())}})

    def update_customer(self, customer_id: str, email: str) -> dict[str, Any]:
        """Give a Customer another e-mail address. No idempotency key: the same again changes nothing."""
        return self._ask(self._client.v1.customers.update, customer_id, {"email": email})

    def retrieve_customer(self, customer_id: str) -> dict[str, Any]:
        """Read a Customer; of a deleted one, that it is deleted."""
        return self._ask(self._client.v1.customers.retrieve, customer_id)

    def payment_methods_of(self, customer_id: str) -> Iterator[dict[str, Any]]:
        """All payment methods that a Customer keeps, newest first."""
        yield from self._pages(partial(self._client.v1.customers.payment_methods.list, customer_id), {})

    def detach_payment_method(self, method_id: str) -> dict[str, Any]:
        """Take a payment method from its Customer, for good (https://docs.stripe.com/api/payment_methods/detach).

        Stripe refuses, with a 400 that has no code, when it belongs to nobody; it is read again then instead of matching the
        text. No idempotency key: a stored refusal must not be replayed.
        """
        try:
            return self._ask(self._client.v1.payment_methods.detach, method_id)
        except StripeRefused as refusal:
            found = self._ask(self._client.v1.payment_methods.retrieve, method_id)
            if found.get("customer") is not None:
                raise StripeUnavailable(
                    f"{method_id} is attached, yet Stripe will not detach it: {refusal}"
                ) from refusal
            return found

    def _pages(self, call: Any, params: dict[str, Any]) -> Iterator[dict[str, Any]]:
        params = {**params, "limit": 100}
        while True:
            page = self._ask(call, params)
            yield from page["data"]
            if not page["has_more"]:
                return
            params = {**params, "starting_after": page["data"][-1]["id"]}

    def create_refund(self, params: dict[str, Any], idempotency_key: str) -> dict[str, Any]:
        """Give money back (https://docs.stripe.com/api/refunds/create)."""
        return self._ask(self._client.v1.refunds.create, params, options={"idempotency_key": idempotency_key})

    def refunds_of(self, payment_intent_id: str) -> Iterator[dict[str, Any]]:
        """All refunds of a payment, newest first, page by page."""
        params: dict[str, Any] = {"payment_intent": payment_intent_id, "limit": 100}
        while True:
            page = self._ask(self._client.v1.refunds.list, params)
            yield from page["data"]
            if not page["has_more"]:
                return
            params = {**params, "starting_after": page["data"][-1]["id"]}

    def webhook_endpoints(self) -> tuple[list[dict[str, Any]], datetime | None]:
        """The account's webhook endpoints in the key's mode (an account has at most 16), and Stripe's time, by its ``Date``."""
        self.circuit.enter()
        self._before_call()
        try:
            answer = self._client.v1.webhook_endpoints.list({"limit": 100})
        except stripe.StripeError as error:
            raise _translate(error) from error
        date = (answer.last_response.headers if answer.last_response else {}).get("Date")
        return [each.to_dict() for each in answer.data], parsedate_to_datetime(date) if date else None

    def list_page(
        self, kind: str, since: datetime, until: datetime, after: str | None = None
    ) -> tuple[list[dict[str, Any]], bool]:
        """Up to 100 objects of a kind created in [``since``, ``until``), newest first, and whether there are more.

        ``kind`` is Stripe's name of the object; ``after`` the id of the last object of the page before. Times are cut to
        seconds, as Stripe keeps them (https://docs.stripe.com/api/pagination).
        """
        params: dict[str, Any] = {
            "created": {"gte": int(since.timestamp()), "lt": int(until.timestamp())},
            "limit": 100,
        }
        if kind in _EXPANDED_IN_LISTS:
            params["expand"] = [f"data.{path}" for path in _EXPANDED_IN_LISTS[kind]]
        if after is not None:
            params["starting_after"] = after
        page = self._ask(self._service(kind).list, params)
        return page["data"], page["has_more"]

    def find(self, kind: str, object_id: str) -> dict[str, Any] | None:
        """An object of a kind as it is now, with what belongs to it; ``None`` if Stripe has no such object under this key."""
        try:
            return self._ask(self._service(kind).retrieve, object_id, _expanding(kind))
        except StripeRefused as refusal:
            if refusal.code == "resource_missing" or refusal.status == 404:
                return None
            raise

    def checkout_of_payment(self, payment_intent_id: str) -> dict[str, Any] | None:
        """The Checkout Session on whose page a PaymentIntent was made, with payment and charge; ``None`` if there is none."""
        page = self._ask(self._client.v1.checkout.sessions.list, {"payment_intent": payment_intent_id, "limit": 1})
        return self.retrieve_checkout(page["data"][0]["id"]) if page["data"] else None

    def _service(self, kind: str) -> Any:
        v1 = self._client.v1
        services = {
            "event": v1.events,
            "checkout.session": v1.checkout.sessions,
            "payment_intent": v1.payment_intents,
            "charge": v1.charges,
            "refund": v1.refunds,
            "dispute": v1.disputes,
            "transfer": v1.transfers,
        }
        return services[kind]

    def _ask(self, call: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        self.circuit.enter()
        self._before_call()
        try:
            answer: dict[str, Any] = call(*args, **kwargs).to_dict()
        except stripe.StripeError as error:
            raise _translate(error) from error
        return answer


def _expanding(kind: str) -> dict[str, Any]:
    return {"expand": list(_EXPANDED[kind])} if kind in _EXPANDED else {}


def _translate(error: stripe.StripeError) -> StripeUnavailable | StripeRefused:
    status = error.http_status
    # The SDK leaves ``.code`` empty on several kinds of errors; the body's own is always there.
    code = (error.error.code if error.error else None) or error.code
    request = f" (request {error.request_id})" if error.request_id else ""
    message = f"{error.user_message or type(error).__name__}{request}"
    # A rejected key (401) is ours to mend, not the buyer's fate: the attempt waits until an operator has done so.
    if status is None or status >= 500 or status in (401, 409, 429) or code in _BUSY:
        return StripeUnavailable(message)
    return StripeRefused(message, code=code, param=getattr(error, "param", None), status=status)
