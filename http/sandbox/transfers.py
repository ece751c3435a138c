"""Money between the platform and connected accounts.

A *destination charge* (``transfer_data[destination]``) passes its whole amount to the connected account and takes the
application fee back; Stripe's own fee is the platform's (https://docs.stripe.com/connect/destination-charges). With
asynchronous capture that happens when the balance transaction becomes known, not at ``charge.succeeded``. A *separate
transfer* moves money of a charge later (https://docs.stripe.com/connect/separate-charges-and-transfers).

Refunds take the money from the platform; with ``reverse_transfer`` and ``refund_application_fee`` both sides give their
share back, in proportion. A refund that fails later does not move it forth again.
"""

from dataclasses import dataclass

from paywindow.sandbox.core import Sandbox
from paywindow.sandbox.errors import StripeError, invalid
from paywindow.sandbox.events import NO_REQUEST, Cause, previous_attributes
from paywindow.sandbox.jsontypes import JsonObject, snapshot
from paywindow.sandbox.money import display
from paywindow.sandbox.store import Posting
from paywindow.sandbox.transfer_objects import (
    build_application_fee,
    build_entry,
    build_fee_refund,
    build_reversal,
    build_transfer,
)

_EMBEDDED = 10


@dataclass(frozen=True, slots=True)
class Shares:
    """What a refund took back from the connected account, and what the platform gave it of its fee."""

    reversal: JsonObject | None
    fee_refund: JsonObject | None


def pass_on(sandbox: Sandbox, charge: JsonObject) -> None:
    """Send a captured destination charge to its account, and take the application fee; does nothing for other charges."""
    if charge["transfer_data"] is None:
        return
    now = sandbox.clock.now()
    transfer = build_transfer(
        amount=charge["amount"],
        currency=charge["currency"],
        destination=charge["transfer_data"]["destination"],
        source=charge,
        created=now,
        group=charge["transfer_group"] or f"group_{charge['payment_intent']}",
    )
    charge["transfer_group"] = transfer["transfer_group"]
    charge["transfer"] = transfer["id"]
    send(sandbox, transfer)
    if charge["application_fee_amount"] is None:
        return
    fee = sandbox.store.add(build_application_fee(charge, transfer, sandbox.application_id, now))
    charge["application_fee"] = fee["id"]
    _enter(sandbox, fee, "application_fee", fee["amount"])
    _post(sandbox, transfer["destination"], fee["currency"], -fee["amount"], "application_fee", fee["id"])
    sandbox.events.emit("application_fee.created", fee)


def send(sandbox: Sandbox, transfer: JsonObject, cause: Cause = NO_REQUEST) -> JsonObject:
    """Book a new transfer on both sides, and tell."""
    sandbox.store.add(transfer)
    _enter(sandbox, transfer, "transfer", -transfer["amount"])
    _post(sandbox, transfer["destination"], transfer["currency"], transfer["amount"], "transfer", transfer["id"])
    sandbox.events.emit("transfer.created", transfer, cause=cause)
    return transfer


def reverse(
    sandbox: Sandbox,
    transfer: JsonObject,
    amount: int,
    *,
    refund: str | None = None,
    metadata: dict[str, str] | None = None,
    cause: Cause = NO_REQUEST,
) -> JsonObject:
    """Take a part of a transfer back. Raises StripeError when it is more than is left of it."""
    check_reversal(transfer, amount)
    before = snapshot(transfer)
    reversal = sandbox.store.add(
        build_reversal(transfer, amount, sandbox.clock.now(), refund=refund, metadata=metadata)
    )
    _enter(sandbox, reversal, "transfer_refund", amount)
    _post(sandbox, transfer["destination"], transfer["currency"], -amount, "transfer_reversal", reversal["id"])
    transfer["amount_reversed"] += amount
    transfer["reversed"] = transfer["amount_reversed"] == transfer["amount"]
    _append(transfer["reversals"], reversal)
    previous = previous_attributes(before, transfer)
    sandbox.events.emit("transfer.reversed", transfer, cause=cause, previous=previous)
    return reversal


def check_reversal(transfer: JsonObject, amount: int) -> None:
    """Raises StripeError when ``amount`` is more than is left of a transfer."""
    left = transfer["amount"] - transfer["amount_reversed"]
    if amount > left:
        currency = transfer["currency"]
        raise invalid(
            f"Transfer reversal amount ({display(amount, currency)}) is greater than unreversed amount on transfer "
            f"({display(left, currency)})",
            "amount",
        )


def check_funds(sandbox: Sandbox, transfer: JsonObject, amount: int) -> None:
    """A separate transfer is reversed only as far as the account has the money; a destination charge's always is."""
    charge = sandbox.store.find("charge", transfer["source_transaction"] or "")
    if charge is not None and charge.get("transfer") == transfer["id"]:
        return
    if balance(sandbox, transfer["destination"]).get(transfer["currency"], 0) < amount:
        raise StripeError(
            "Insufficient funds in the destination account to cover this reversal.", code="balance_insufficient"
        )


def give_back(sandbox: Sandbox, charge: JsonObject, refund: JsonObject, params: JsonObject) -> Shares:
    """What a refund with ``reverse_transfer`` and ``refund_application_fee`` moves; after it is booked on the charge."""
    reversal = fee_refund = None
    if params.get("reverse_transfer"):
        transfer = sandbox.store.get("transfer", charge["transfer"])
        reversal = reverse(sandbox, transfer, refund["amount"], refund=refund["id"])
    if params.get("refund_application_fee"):
        fee = sandbox.store.get("application_fee", charge["application_fee"])
        # In proportion to all that was refunded so far, so that the parts of several refunds add up.
        due = proportion(fee["amount"], charge["amount_refunded"], charge["amount"])
        fee_refund = _refund_fee(sandbox, fee, max(due - fee["amount_refunded"], 0))
    return Shares(reversal, fee_refund)


def proportion(amount: int, part: int, whole: int) -> int:
    """``amount * part / whole`` in whole minor units, a half rounded up."""
    return (2 * amount * part + whole) // (2 * whole)


def balance(sandbox: Sandbox, account_id: str) -> dict[str, int]:
    """What an account has at Stripe, by currency; the platform's own is the sum of its balance transactions."""
    sums: dict[str, int] = {}
    if account_id == sandbox.account_id:
        for entry in sandbox.store.oldest_first("balance_transaction"):
            sums[entry["currency"]] = sums.get(entry["currency"], 0) + entry["net"]
    for posting in sandbox.store.postings:
        if posting.account == account_id:
            sums[posting.currency] = sums.get(posting.currency, 0) + posting.amount
    return sums


def _refund_fee(sandbox: Sandbox, fee: JsonObject, amount: int) -> JsonObject | None:
    if amount == 0:
        return None
    before = snapshot(fee)
    refund = sandbox.store.add(build_fee_refund(fee, amount, sandbox.clock.now()))
    _enter(sandbox, refund, "application_fee_refund", -amount)
    _post(sandbox, fee["account"], fee["currency"], amount, "application_fee_refund", refund["id"])
    fee["amount_refunded"] += amount
    fee["refunded"] = fee["amount_refunded"] == fee["amount"]
    _append(fee["refunds"], refund)
    sandbox.events.emit("application_fee.refunded", fee, previous=previous_attributes(before, fee))
    return refund


def _enter(sandbox: Sandbox, source: JsonObject, kind: str, amount: int) -> None:
    entry = sandbox.store.add(build_entry(source, kind, amount, sandbox.clock.now()))
    source["balance_transaction"] = entry["id"]


def _post(sandbox: Sandbox, account: str, currency: str, amount: int, kind: str, source: str) -> None:
    sandbox.store.postings.append(Posting(account, currency, amount, kind, source))


def _append(listed: JsonObject, obj: JsonObject) -> None:
    """Keep an embedded list as Stripe shows it: the newest ten, newest first."""
    data = [snapshot(obj), *listed["data"]]
    listed.update(data=data[:_EMBEDDED], has_more=listed["has_more"] or len(data) > _EMBEDDED)
