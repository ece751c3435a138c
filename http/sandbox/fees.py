"""Fees arrive late, as with Stripe's asynchronous capture: the balance transaction comes with ``charge.updated``."""

from paywindow.sandbox.core import Sandbox
from paywindow.sandbox.errors import invalid
from paywindow.sandbox.jsontypes import JsonObject
from paywindow.sandbox.money import fee
from paywindow.sandbox.payment_objects import build_balance_transaction


def release_fee(sandbox: Sandbox, charge: JsonObject) -> JsonObject:
    """Make a paid charge's balance transaction known. Raises StripeError when it is unpaid or already known."""
    if not charge["paid"] or charge["balance_transaction"] is not None:
        raise invalid(f"The charge {charge['id']} has no fee to release.")
    config = sandbox.config
    amount = fee(charge["amount"], config.fee_basis_points, config.fee_fixed)
    transaction = sandbox.store.add(build_balance_transaction(charge, amount, sandbox.clock.now()))
    charge["balance_transaction"] = transaction["id"]
    sandbox.events.emit("charge.updated", charge, previous={"balance_transaction": None})
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
