"""PaymentIntents, charges and balance transactions, read only: Checkout makes them.

https://docs.stripe.com/api/payment_intents, https://docs.stripe.com/api/charges,
https://docs.stripe.com/api/balance_transactions
"""

from stripe.params import (
    BalanceTransactionRetrieveParams,
    ChargeListParams,
    ChargeRetrieveParams,
    PaymentIntentListParams,
    PaymentIntentRetrieveParams,
)

from paywindow.sandbox.core import Sandbox
from paywindow.sandbox.errors import unsupported
from paywindow.sandbox.jsontypes import JsonObject
from paywindow.sandbox.pagination import created_matches, list_page
from paywindow.sandbox.routing import Call, Route

_CURSORS = frozenset(["created", "ending_before", "expand", "limit", "starting_after"])
_INTENT_FILTERS = _CURSORS
_CHARGE_FILTERS = _CURSORS | {"payment_intent", "transfer_group"}


def _find_intent(sandbox: Sandbox, call: Call) -> JsonObject:
    if "client_secret" in call.params:
        raise unsupported("client_secret")
    return sandbox.store.get("payment_intent", call.ids["intent"], "intent")


def _list_intents(sandbox: Sandbox, call: Call) -> JsonObject:
    return _list(sandbox, call, "payment_intent", "/v1/payment_intents", _INTENT_FILTERS)


def _find_charge(sandbox: Sandbox, call: Call) -> JsonObject:
    return sandbox.store.get("charge", call.ids["charge"])


def _list_charges(sandbox: Sandbox, call: Call) -> JsonObject:
    return _list(sandbox, call, "charge", "/v1/charges", _CHARGE_FILTERS)


def _find_balance_transaction(sandbox: Sandbox, call: Call) -> JsonObject:
    return sandbox.store.get("balance_transaction", call.ids["transaction"])


def _list(sandbox: Sandbox, call: Call, kind: str, url: str, modelled: frozenset[str]) -> JsonObject:
    params = call.params
    for name in params:
        if name not in modelled:
            raise unsupported(name)

    def matches(obj: JsonObject) -> bool:
        return created_matches(obj, params.get("created")) and all(
            params[name] == obj[name] for name in modelled - _CURSORS if name in params
        )

    return list_page(sandbox.store.newest_first(kind), params, url, matches)


ROUTES = [
    Route("GET", "/v1/payment_intents", _list_intents, PaymentIntentListParams),
    Route("GET", "/v1/payment_intents/{intent}", _find_intent, PaymentIntentRetrieveParams),
    Route("GET", "/v1/charges", _list_charges, ChargeListParams),
    Route("GET", "/v1/charges/{charge}", _find_charge, ChargeRetrieveParams),
    Route(
        "GET",
        "/v1/balance_transactions/{transaction}",
        _find_balance_transaction,
        BalanceTransactionRetrieveParams,
    ),
]
