"""Transfers, application fees, what is given back of both, and their balance transactions, with every field.

https://docs.stripe.com/api/transfers/object, https://docs.stripe.com/api/transfer_reversals/object,
https://docs.stripe.com/api/application_fees/object, https://docs.stripe.com/api/fee_refunds/object
"""

from typing import Any

from paywindow.sandbox.ids import new_id
from paywindow.sandbox.jsontypes import JsonObject


def build_transfer(
    *,
    amount: int,
    currency: str,
    destination: str,
    source: JsonObject | None,
    created: int,
    group: str | None = None,
    description: str | None = None,
    metadata: dict[str, str] | None = None,
) -> JsonObject:
    """Money moved to a connected account; ``source`` is the charge it comes from."""
    transfer_id = new_id("tr_3" if source else "tr_1")
    return {
        "id": transfer_id,
        "object": "transfer",
        "amount": amount,
        "amount_reversed": 0,
        "balance_transaction": None,
        "created": created,
        "currency": currency,
        "description": description,
        "destination": destination,
        "destination_payment": new_id("py_1"),
        "livemode": False,
        "metadata": metadata or {},
        "reversals": _empty_list(f"/v1/transfers/{transfer_id}/reversals"),
        "reversed": False,
        "source_transaction": source["id"] if source else None,
        "source_type": "card",
        "transfer_group": group,
    }


def build_reversal(
    transfer: JsonObject,
    amount: int,
    created: int,
    *,
    refund: str | None = None,
    metadata: dict[str, str] | None = None,
) -> JsonObject:
    """A part of a transfer that came back; ``refund``: the refund that asked for it."""
    return {
        "id": new_id("trr_1"),
        "object": "transfer_reversal",
        "amount": amount,
        "balance_transaction": None,
        "created": created,
        "currency": transfer["currency"],
        "destination_payment_refund": new_id("pyr_1"),
        "metadata": metadata or {},
        "source_refund": refund,
        "transfer": transfer["id"],
    }


def build_application_fee(charge: JsonObject, transfer: JsonObject, application: str, created: int) -> JsonObject:
    """What the platform keeps of a destination charge: taken out of the connected account's payment."""
    fee_id = new_id("fee_1")
    return {
        "id": fee_id,
        "object": "application_fee",
        "account": transfer["destination"],
        "amount": charge["application_fee_amount"],
        "amount_refunded": 0,
        "application": application,
        "balance_transaction": None,
        "charge": transfer["destination_payment"],
        "created": created,
        "currency": charge["currency"],
        "fee_source": {"type": "charge", "charge": transfer["destination_payment"]},
        "livemode": False,
        "originating_transaction": charge["id"],
        "refunded": False,
        "refunds": _empty_list(f"/v1/application_fees/{fee_id}/refunds"),
    }


def build_fee_refund(fee: JsonObject, amount: int, created: int) -> JsonObject:
    """A part of an application fee that the connected account got back."""
    return {
        "id": new_id("fr_1"),
        "object": "fee_refund",
        "amount": amount,
        "balance_transaction": None,
        "created": created,
        "currency": fee["currency"],
        "fee": fee["id"],
        "metadata": {},
    }


def build_entry(source: JsonObject, kind: str, amount: int, created: int) -> JsonObject:
    """The platform's balance transaction of a transfer, an application fee, or what was given back of one."""
    return {
        "id": new_id("txn_3"),
        "object": "balance_transaction",
        "amount": amount,
        "available_on": created,
        "balance_type": "payments",
        "created": created,
        "currency": source["currency"],
        "description": None,
        "exchange_rate": None,
        "fee": 0,
        "fee_details": [],
        "net": amount,
        "reporting_category": _CATEGORIES[kind],
        "source": source["id"],
        "status": "available",
        "type": kind,
    }


# https://docs.stripe.com/reports/balance-transaction-types
_CATEGORIES = {
    "transfer": "transfer",
    "transfer_refund": "transfer_reversal",
    "application_fee": "platform_earning",
    "application_fee_refund": "platform_earning_refund",
}


def _empty_list(url: str) -> dict[str, Any]:
    return {"object": "list", "data": [], "has_more": False, "url": url}
