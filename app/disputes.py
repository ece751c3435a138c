"""What Stripe's Dispute objects mean to us (https://docs.stripe.com/api/disputes/object).

A *chargeback* takes its amount and a fee from the balance as soon as it is opened; winning brings the amount back, never the fee.
An *inquiry* (``warning_*``) takes nothing and is no loss. A lost one may be appealed (``appeal_*``) and still be won.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from paywindow.checkout import moment
from paywindow.errors import Permanent

#: Nothing more is expected. A loss may be appealed, and is open again then.
CLOSED = frozenset(["won", "lost", "warning_closed", "prevented"])


@dataclass(frozen=True, slots=True)
class StripeDispute:
    """A dispute as Stripe has it. ``net_minor`` and ``fee_minor``, in ``balance_currency``, are sums of its balance transactions.

    ``evidence_due``: ``None`` where the bank takes no evidence. ``refundable``: Stripe would still refund the payment.
    """

    id: str
    payment_intent_id: str | None
    charge_id: str
    amount_minor: int
    currency: str
    status: str
    reason: str
    refundable: bool
    evidence_due: datetime | None
    withdrawn: bool
    reinstated: bool
    fee_minor: int
    net_minor: int
    balance_currency: str | None
    created: datetime

    @property
    def closed(self) -> bool:
        """Whether nothing more is expected."""
        return self.status in CLOSED


def is_inquiry(status: str) -> bool:
    """Whether the bank only asks: no money was taken, and none is lost."""
    return status.startswith("warning_")


def read_dispute(found: dict[str, Any]) -> StripeDispute:
    """Read Stripe's Dispute object. Raises :class:`Permanent` when it is not one."""
    try:
        return _read_dispute(found)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Permanent(f"not a Dispute: {type(error).__name__} {error}") from error


def _read_dispute(found: dict[str, Any]) -> StripeDispute:
    entries = found["balance_transactions"]
    due_by = found["evidence_details"]["due_by"]
    return StripeDispute(
        id=found["id"],
        payment_intent_id=found.get("payment_intent"),
        charge_id=found["charge"],
        amount_minor=int(found["amount"]),
        currency=found["currency"].upper(),
        status=found["status"],
        reason=found["reason"],
        refundable=bool(found["is_charge_refundable"]),
        evidence_due=moment(due_by) if due_by else None,
        withdrawn=any(entry["amount"] < 0 for entry in entries),
        reinstated=any(entry["amount"] > 0 for entry in entries),
        fee_minor=sum(int(entry["fee"]) for entry in entries),
        net_minor=sum(int(entry["net"]) for entry in entries),
        balance_currency=entries[0]["currency"].upper() if entries else None,
        created=moment(found["created"]),
    )
