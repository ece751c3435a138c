"""Fees arrive late, as with Stripe's asynchronous capture: the balance transaction comes with ``charge.updated``.

So do, for a destination charge, the transfer and the application fee
(https://docs.stripe.com/payments/payment-intents/asynchronous-capture).
"""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from paywindow.sandbox.core import Sandbox
from paywindow.sandbox.errors import invalid
from paywindow.sandbox.jsontypes import JsonObject
from paywindow.sandbox.money import exponent, fee
from paywindow.sandbox.payment_objects import build_balance_transaction
from paywindow.sandbox.transfers import pass_on


@dataclass(frozen=True, slots=True)
class Settlement:
    """The currency in which a charge reaches the balance, and what one unit of the charge's own is worth in it."""

    currency: str
    rate: Decimal

    def convert(self, amount: int, currency: str) -> int:
        """Minor units of ``currency`` as minor units of the settlement's, a half rounded up."""
        shift = exponent(self.currency) - exponent(currency)
        return int((Decimal(amount) * self.rate).scaleb(shift).quantize(Decimal(1), ROUND_HALF_UP))


def release_fee(sandbox: Sandbox, charge: JsonObject, settlement: Settlement | None = None) -> JsonObject:
    """Make a paid charge's balance transaction known. Raises StripeError when it is unpaid or already known."""
    if not charge["paid"] or charge["balance_transaction"] is not None:
        raise invalid(f"The charge {charge['id']} has no fee to release.")
    config = sandbox.config
    entry = build_balance_transaction(charge, 0, sandbox.clock.now())
    if settlement is not None:
        amount = settlement.convert(charge["amount"], charge["currency"])
        entry.update(amount=amount, currency=settlement.currency, exchange_rate=float(settlement.rate))
    cost = fee(entry["amount"], config.fee_basis_points, config.fee_fixed)
    entry.update(fee=cost, net=entry["amount"] - cost)
    entry["fee_details"][0].update(amount=cost, currency=entry["currency"])
    transaction = sandbox.store.add(entry)
    charge["balance_transaction"] = transaction["id"]
    previous: JsonObject = {"balance_transaction": None}
    if charge["transfer_data"] is not None:
        pass_on(sandbox, charge)
        previous |= {"application_fee": None, "transfer": None}
    sandbox.events.emit("charge.updated", charge, previous=previous)
    return transaction


def release_fees(sandbox: Sandbox, *, older_than: float = 0.0) -> list[str]:
    """Release the fee of every paid charge that lacks one and is ``older_than`` seconds old; the charges' ids."""
    latest = sandbox.clock.now() - older_than
    released = []
    while sandbox.without_fee:
        charge = sandbox.store.get("charge", sandbox.without_fee[0])
        if charge["created"] > latest:
            break
        sandbox.without_fee.popleft()
        if charge["balance_transaction"] is None:
            release_fee(sandbox, charge)
            released.append(charge["id"])
    return released
