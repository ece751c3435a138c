"""What Stripe's Checkout objects mean to us: the parameters that we freeze and the facts that we read back."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from paywindow.errors import Permanent

#: Stripe refuses an ``expires_at`` less than 30 minutes after it receives the request; clocks differ and requests wait.
#: https://docs.stripe.com/api/checkout/sessions/create#create_checkout_session-expires_at
SHORTEST_PAGE = timedelta(minutes=31)
#: With ``expires_at`` left out Stripe sets exactly this.
DEFAULT_PAGE = timedelta(hours=24)
#: A full 24 hours is refused as ``expires_at``, and Stripe's clock decides what that is: stay well below, or leave it out.
CLOCK_MARGIN = timedelta(minutes=5)
_ITEM = "Auction win"


def freeze_params(
    *,
    session_id: str,
    attempt_number: int,
    auction_id: str,
    buyer_id: str,
    amount_minor: int,
    currency: str,
    description: str | None,
    buyer_email: str | None,
    locale: str | None,
    success_url: str,
    cancel_url: str | None,
    method_types: tuple[str, ...],
    save_methods: bool,
    window_ends: datetime,
    at: datetime,
) -> dict[str, Any]:
    """The body of ``POST /v1/checkout/sessions`` for one attempt.

    Metadata goes on the session and, since Stripe does not copy it, on the PaymentIntent. Adaptive pricing is off so that the
    buyer pays in the currency of the auction; recovery is off so that a closed window stays closed.

    ``expires_at`` is left out for a full default window, whose end is then Stripe's own, and for longer ones, whose page is
    replaced when it dies. A page must live for half an hour at least; in a shorter window it is expired at the deadline.

    With ``save_methods`` the page shows what the buyer kept and offers to keep more. That needs a ``customer``, which is filled
    in before the first call (:func:`needs_customer`). The e-mail address is the customer's then: Stripe takes only one of both.
    """
    metadata = {
        "payment_session_id": session_id,
        "attempt": str(attempt_number),
        "auction_id": auction_id,
        "buyer_id": buyer_id,
    }
    params: dict[str, Any] = {
        "mode": "payment",
        "client_reference_id": session_id,
        "line_items": [
            {
                "quantity": 1,
                "price_data": {
                    "currency": currency.lower(),
                    "unit_amount": amount_minor,
                    "product_data": {"name": description or _ITEM},
                },
            }
        ],
        "allowed_payment_method_types": list(method_types),
        "adaptive_pricing": {"enabled": False},
        "success_url": success_url,
        "metadata": metadata,
        "payment_intent_data": {"metadata": metadata},
    }
    if save_methods:
        params["saved_payment_method_options"] = {"payment_method_remove": "enabled", "payment_method_save": "enabled"}
        buyer_email = None
    optional = {"cancel_url": cancel_url, "customer_email": buyer_email, "locale": locale}
    params |= {name: value for name, value in optional.items() if value}
    if window_ends - at < DEFAULT_PAGE - CLOCK_MARGIN:
        params["expires_at"] = int(max(window_ends, at + SHORTEST_PAGE).timestamp())
    return params


def needs_customer(params: dict[str, Any]) -> bool:
    """Whether the parameters of an attempt still lack the customer whose payment methods the page shows."""
    return "saved_payment_method_options" in params and "customer" not in params


def without_saving(params: dict[str, Any], buyer_email: str | None) -> dict[str, Any]:
    """The same page for a buyer who has no customer: it can be paid, and keeps nothing."""
    kept = {name: value for name, value in params.items() if name not in ("customer", "saved_payment_method_options")}
    return {**kept, "customer_email": buyer_email} if buyer_email else kept


@dataclass(frozen=True, slots=True)
class Charge:
    """One try to take the money. ``created`` of a succeeded charge is when the money was taken."""

    id: str
    succeeded: bool
    amount_minor: int
    created: datetime
    card_brand: str | None
    card_last4: str | None


@dataclass(frozen=True, slots=True)
class Checkout:
    """A Checkout Session as Stripe last described it.

    ``status``: open, complete, expired. ``payment_status``: paid, unpaid. ``charge`` is only known where the PaymentIntent
    came expanded; ``payment_intent_id`` is ``None`` until the buyer first confirms. ``confirming``: the buyer is at the bank's
    3-D Secure page, or the bank is deciding.
    """

    id: str
    status: str
    payment_status: str
    amount_minor: int
    currency: str
    expires_at: datetime
    url: str | None
    payment_intent_id: str | None
    payment_failed: bool
    confirming: bool
    session_id: str | None
    attempt_number: int | None
    buyer_name: str | None
    buyer_email: str | None
    buyer_address: dict[str, str | None] | None
    charge: Charge | None

    @property
    def paid(self) -> bool:
        """Whether money came. Complete alone does not mean that: a delayed payment completes the page first.

        A charge that succeeded is money whatever the page says: one that was closed while the buyer was at the bank stays
        expired and unpaid.
        """
        complete = self.status == "complete" and self.payment_status == "paid"
        return complete or (self.charge is not None and self.charge.succeeded)

    @property
    def awaiting_money(self) -> bool:
        """Submitted, and neither confirmed nor failed yet."""
        return self.status == "complete" and self.payment_status == "unpaid" and not self.payment_failed


def read_checkout(found: dict[str, Any]) -> Checkout:
    """Read Stripe's Checkout Session object. Raises :class:`Permanent` when it is not one."""
    try:
        return _read_checkout(found)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Permanent(f"not a Checkout Session: {type(error).__name__} {error}") from error


def _read_checkout(found: dict[str, Any]) -> Checkout:
    intent = found.get("payment_intent")
    expanded: dict[str, Any] = intent if isinstance(intent, dict) else {}
    buyer = found.get("customer_details") or {}
    session_id, attempt_number = named_in(found)
    return Checkout(
        id=found["id"],
        status=found["status"],
        payment_status=found["payment_status"],
        amount_minor=int(found["amount_total"]),
        currency=found["currency"].upper(),
        expires_at=moment(found["expires_at"]),
        url=found.get("url"),
        payment_intent_id=expanded.get("id") or (intent if isinstance(intent, str) else None),
        confirming=expanded.get("status") in ("requires_action", "requires_confirmation", "processing"),
        payment_failed=expanded.get("status") in ("requires_payment_method", "canceled"),
        session_id=session_id,
        attempt_number=attempt_number,
        buyer_name=buyer.get("name"),
        buyer_email=buyer.get("email"),
        buyer_address=buyer.get("address"),
        charge=read_charge(expanded["latest_charge"]) if isinstance(expanded.get("latest_charge"), dict) else None,
    )


def named_in(found: dict[str, Any]) -> tuple[str | None, int | None]:
    """The payment session and the attempt that an object's metadata names: a hint where to look, proof of nothing.

    Never raises: objects of other programs on the same Stripe account may say anything there.
    """
    metadata = found.get("metadata") or {}
    number = metadata.get("attempt") or ""
    return metadata.get("payment_session_id"), int(number) if re.fullmatch("[0-9]{1,9}", number) else None


def read_charge(found: dict[str, Any]) -> Charge:
    """Read Stripe's Charge object (https://docs.stripe.com/api/charges/object)."""
    details = found.get("payment_method_details") or {}
    card = details.get("card") or {}
    return Charge(
        id=found["id"],
        succeeded=found["status"] == "succeeded",
        amount_minor=int(found["amount"]),
        created=moment(found["created"]),
        card_brand=card.get("brand"),
        card_last4=card.get("last4"),
    )


def moment(seconds: int) -> datetime:
    """Stripe's Unix seconds as a UTC moment."""
    return datetime.fromtimestamp(seconds, UTC)
