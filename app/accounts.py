"""What Stripe's Account objects mean to us: how a seller's is opened, and what we read back of it.

https://docs.stripe.com/api/accounts, https://docs.stripe.com/connect/migrate-to-controller-properties
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from paywindow.checkout import moment
from paywindow.errors import Permanent

#: The key in the account's metadata that names its maker.
MAKER = "maker_id"


def account_params(maker_id: str, country: str | None, email: str | None) -> dict[str, Any]:
    """The body of ``POST /v1/accounts`` for a maker: what ``type=express`` meant, in controller properties.

    The platform pays Stripe's fees and answers for losses; Stripe collects what it must know, in its own forms, and gives the
    maker a dashboard.
    """
    params: dict[str, Any] = {
        "controller": {
            "fees": {"payer": "application"},
            "losses": {"payments": "application"},
            "requirement_collection": "stripe",
            "stripe_dashboard": {"type": "express"},
        },
        "capabilities": {"card_payments": {"requested": True}, "transfers": {"requested": True}},
        "metadata": {MAKER: maker_id},
    }
    return params | {name: value for name, value in {"country": country, "email": email}.items() if value}


def link_params(account_id: str, return_url: str, refresh_url: str) -> dict[str, Any]:
    """The body of ``POST /v1/account_links``."""
    return {
        "account": account_id,
        "type": "account_onboarding",
        "return_url": return_url,
        "refresh_url": refresh_url,
    }


@dataclass(frozen=True, slots=True)
class Account:
    """A connected account as Stripe last described it. Capabilities: active, inactive, pending, or ``None``."""

    id: str
    charges_enabled: bool
    payouts_enabled: bool
    details_submitted: bool
    transfers: str | None
    card_payments: str | None
    currently_due: tuple[str, ...]
    past_due: tuple[str, ...]
    disabled_reason: str | None
    current_deadline: datetime | None
    default_currency: str | None
    country: str | None
    maker_id: str | None


def read_account(found: dict[str, Any]) -> Account:
    """Read Stripe's Account object. Raises :class:`Permanent` when it is not one."""
    try:
        return _read_account(found)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Permanent(f"not an Account: {type(error).__name__} {error}") from error


def _read_account(found: dict[str, Any]) -> Account:
    capabilities = found.get("capabilities") or {}
    requirements = found.get("requirements") or {}
    deadline, currency = requirements.get("current_deadline"), found.get("default_currency")
    return Account(
        id=found["id"],
        charges_enabled=bool(found["charges_enabled"]),
        payouts_enabled=bool(found["payouts_enabled"]),
        details_submitted=bool(found.get("details_submitted")),
        transfers=capabilities.get("transfers"),
        card_payments=capabilities.get("card_payments"),
        currently_due=tuple(requirements.get("currently_due") or ()),
        past_due=tuple(requirements.get("past_due") or ()),
        disabled_reason=requirements.get("disabled_reason"),
        current_deadline=moment(deadline) if deadline is not None else None,
        default_currency=currency.upper() if currency else None,
        country=found.get("country"),
        maker_id=(found.get("metadata") or {}).get(MAKER),
    )
