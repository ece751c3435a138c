"""Transfers, their reversals, and application fees.

https://docs.stripe.com/api/transfers, https://docs.stripe.com/api/transfer_reversals,
https://docs.stripe.com/api/application_fees
"""

from stripe.params import (
    ApplicationFeeListParams,
    ApplicationFeeRetrieveParams,
    TransferCreateParams,
    TransferCreateReversalParams,
    TransferListParams,
    TransferListReversalsParams,
    TransferRetrieveParams,
    TransferRetrieveReversalParams,
)

from paywindow.sandbox.accounts import check_can_receive
from paywindow.sandbox.core import Sandbox
from paywindow.sandbox.errors import StripeError, invalid, missing_parameter, no_such, unsupported
from paywindow.sandbox.jsontypes import JsonObject
from paywindow.sandbox.metadata import checked_metadata
from paywindow.sandbox.money import check_currency, check_fraction
from paywindow.sandbox.pagination import created_matches, list_page
from paywindow.sandbox.routing import Call, Route
from paywindow.sandbox.transfer_objects import build_transfer
from paywindow.sandbox.transfers import balance, check_funds, check_reversal, reverse, send

_PATH = "/v1/transfers"
_REVERSALS = _PATH + "/{transfer}/reversals"
_FEES = "/v1/application_fees"
_CREATE = frozenset(
    ["amount", "currency", "description", "destination", "expand", "metadata", "source_transaction", "transfer_group"]
)


def _create(sandbox: Sandbox, call: Call) -> JsonObject:
    params = call.params
    for name in params:
        if name not in _CREATE:
            raise unsupported(name)
    if "amount" not in params:
        raise missing_parameter("amount")
    if params["amount"] < 1:
        raise invalid("This value must be greater than or equal to 1.", "amount", "parameter_invalid_integer")
    currency = check_currency(params["currency"], "currency")
    check_fraction(params["amount"], currency, "amount")
    destination = sandbox.store.get("account", params["destination"], "destination", status=400)
    check_can_receive(destination, "destination")
    charge = _source(sandbox, params, currency) if "source_transaction" in params else None
    if charge is None:
        _check_balance(sandbox, params["amount"], currency)
    transfer = build_transfer(
        amount=params["amount"],
        currency=currency,
        destination=destination["id"],
        source=charge,
        created=sandbox.clock.now(),
        group=params.get("transfer_group") or _group(charge),
        description=params.get("description"),
        metadata=checked_metadata(params.get("metadata") or {}),
    )
    return send(sandbox, transfer, call.cause)


def _group(charge: JsonObject | None) -> str | None:
    return None if charge is None else charge["transfer_group"] or f"group_{charge['payment_intent']}"


def _check_balance(sandbox: Sandbox, amount: int, currency: str) -> None:
    """A transfer without a source is paid from what the platform has."""
    if balance(sandbox, sandbox.account_id).get(currency, 0) < amount:
        raise StripeError(
            "You have insufficient funds in your Stripe account for this transfer.", code="balance_insufficient"
        )


def _source(sandbox: Sandbox, params: JsonObject, currency: str) -> JsonObject:
    """The charge that a transfer is paid from: it succeeded, came in this currency, and still has that much.

    What counts is how it reached the balance, once that is known: a converted charge is in another currency there
    (https://docs.stripe.com/connect/separate-charges-and-transfers#transfer-availability).
    """
    charge = sandbox.store.get("charge", params["source_transaction"], "source_transaction", status=400)
    if charge["status"] != "succeeded":
        raise invalid("The source_transaction is not a successful charge.", "source_transaction")
    came = sandbox.store.find("balance_transaction", charge["balance_transaction"] or "") or charge
    if came["currency"] != currency:
        raise invalid(
            f"The currency of source_transaction's balance transaction ({came['currency']}) must be the same as "
            f"the transfer currency ({currency})",
            "currency",
        )
    group = charge["transfer_group"]
    if group and params.get("transfer_group", group) != group:
        raise invalid("The transfer_group differs from the one of source_transaction.", "transfer_group")
    passed_on = sum(
        transfer["amount"]
        for transfer in sandbox.store.oldest_first("transfer")
        if transfer["source_transaction"] == charge["id"]
    )
    if passed_on + params["amount"] > came["amount"]:
        raise StripeError(
            "Transfers using this transaction as a source must not exceed the source amount of "
            f"{came['amount']} {currency}. (There is already {passed_on} being transferred.)",
            param="amount",
        )
    return charge


def _find(sandbox: Sandbox, call: Call) -> JsonObject:
    return sandbox.store.get("transfer", call.ids["transfer"], "transfer")


def _list(sandbox: Sandbox, call: Call) -> JsonObject:
    params = call.params

    def matches(transfer: JsonObject) -> bool:
        return created_matches(transfer, params.get("created")) and all(
            params.get(name) in (None, transfer[name]) for name in ("destination", "transfer_group")
        )

    return list_page(sandbox.store.newest_first("transfer"), params, _PATH, matches)


def _reverse(sandbox: Sandbox, call: Call) -> JsonObject:
    transfer, params = _find(sandbox, call), call.params
    for name in params:
        if name not in ("amount", "expand", "metadata"):
            raise unsupported(name)
    if transfer["reversed"]:
        raise invalid("This transfer has already been fully reversed.", "id")
    amount: int = params.get("amount", transfer["amount"] - transfer["amount_reversed"])
    if amount < 1:
        raise invalid("This value must be greater than or equal to 1.", "amount", "parameter_invalid_integer")
    check_reversal(transfer, amount)
    check_funds(sandbox, transfer, amount)
    metadata = checked_metadata(params.get("metadata") or {})
    return reverse(sandbox, transfer, amount, metadata=metadata, cause=call.cause)


def _find_reversal(sandbox: Sandbox, call: Call) -> JsonObject:
    reversal = sandbox.store.get("transfer_reversal", call.ids["reversal"], "reversal")
    if reversal["transfer"] != call.ids["transfer"]:
        raise no_such("transfer reversal", reversal["id"])
    return reversal


def _list_reversals(sandbox: Sandbox, call: Call) -> JsonObject:
    transfer = _find(sandbox, call)
    return list_page(
        sandbox.store.newest_first("transfer_reversal"),
        call.params,
        _REVERSALS.format(transfer=transfer["id"]),
        lambda reversal: bool(reversal["transfer"] == transfer["id"]),
    )


def _find_fee(sandbox: Sandbox, call: Call) -> JsonObject:
    return sandbox.store.get("application_fee", call.ids["fee"])


def _list_fees(sandbox: Sandbox, call: Call) -> JsonObject:
    params = call.params
    return list_page(
        sandbox.store.newest_first("application_fee"),
        params,
        _FEES,
        lambda fee: created_matches(fee, params.get("created")) and params.get("charge") in (None, fee["charge"]),
    )


ROUTES = [
    Route("POST", _PATH, _create, TransferCreateParams),
    Route("GET", _PATH, _list, TransferListParams),
    Route("GET", _PATH + "/{transfer}", _find, TransferRetrieveParams),
    Route("POST", _REVERSALS, _reverse, TransferCreateReversalParams),
    Route("GET", _REVERSALS, _list_reversals, TransferListReversalsParams),
    Route("GET", _REVERSALS + "/{reversal}", _find_reversal, TransferRetrieveReversalParams),
    Route("GET", _FEES, _list_fees, ApplicationFeeListParams),
    Route("GET", _FEES + "/{fee}", _find_fee, ApplicationFeeRetrieveParams),
]
