"""``expand[]`` (https://docs.stripe.com/api/expanding_objects): ids replaced by the objects that they name.

A further resource registers its expandable fields in :data:`EXPANDABLE`.
"""

from collections.abc import Callable

from paywindow.sandbox.errors import StripeError, invalid
from paywindow.sandbox.jsontypes import JsonObject, snapshot
from paywindow.sandbox.pagination import list_page
from paywindow.sandbox.store import Store

_MAXIMUM_DEPTH = 4

# (object, field) -> kinds of object that the field's id may name.
EXPANDABLE: dict[tuple[str, str], tuple[str, ...]] = {
    ("checkout.session", "customer"): ("customer",),
    ("checkout.session", "payment_intent"): ("payment_intent",),
    ("payment_intent", "latest_charge"): ("charge",),
    ("payment_intent", "payment_method"): ("payment_method",),
    ("charge", "payment_intent"): ("payment_intent",),
    ("charge", "balance_transaction"): ("balance_transaction",),
    ("refund", "balance_transaction"): ("balance_transaction",),
    ("refund", "charge"): ("charge",),
    ("refund", "failure_balance_transaction"): ("balance_transaction",),
    ("refund", "payment_intent"): ("payment_intent",),
    ("refund", "payment_method"): ("payment_method",),
    ("balance_transaction", "source"): (
        "charge",
        "refund",
        "dispute",
        "transfer",
        "transfer_reversal",
        "application_fee",
        "fee_refund",
    ),
    ("charge", "application_fee"): ("application_fee",),
    ("charge", "transfer"): ("transfer",),
    ("dispute", "charge"): ("charge",),
    ("dispute", "payment_intent"): ("payment_intent",),
    ("refund", "transfer_reversal"): ("transfer_reversal",),
    ("transfer", "balance_transaction"): ("balance_transaction",),
    ("transfer", "destination"): ("account",),
    ("transfer", "source_transaction"): ("charge",),
    ("transfer_reversal", "balance_transaction"): ("balance_transaction",),
    ("transfer_reversal", "source_refund"): ("refund",),
    ("transfer_reversal", "transfer"): ("transfer",),
    ("application_fee", "account"): ("account",),
    ("application_fee", "balance_transaction"): ("balance_transaction",),
    ("application_fee", "originating_transaction"): ("charge",),
}


def _line_items(store: Store, session: JsonObject) -> JsonObject:
    items = store.checkouts[session["id"]].line_items
    url = f"/v1/checkout/sessions/{session['id']}/line_items"
    return {"object": "list", "data": [snapshot(item) for item in items], "has_more": False, "url": url}


def _refunds(store: Store, charge: JsonObject) -> JsonObject:
    """The ten newest refunds of a charge."""
    mine = [snapshot(refund) for refund in store.newest_first("refund") if refund["charge"] == charge["id"]]
    return list_page(mine, {}, f"/v1/charges/{charge['id']}/refunds", lambda _: True)


# (object, field) -> a field that is left out altogether unless asked for.
_INCLUDABLE: dict[tuple[str, str], Callable[[Store, JsonObject], JsonObject]] = {
    ("checkout.session", "line_items"): _line_items,
    ("charge", "refunds"): _refunds,
}


def expand(store: Store, obj: JsonObject, paths: list[str]) -> JsonObject:
    """A copy of ``obj`` (an object or a list of objects) with every path expanded.

    Raises StripeError for a path that names nothing expandable, or more than four levels.
    """
    if not paths:
        return obj
    copy = snapshot(obj)
    for path in paths:
        names = path.split(".")
        if len(names) > _MAXIMUM_DEPTH + (names[0] == "data"):
            raise invalid(f"You cannot expand more than {_MAXIMUM_DEPTH} levels of a property ({path}).", "expand")
        _expand_path(store, copy, names, path)
    return copy


def _expand_path(store: Store, obj: JsonObject, names: list[str], path: str) -> None:
    if not names:
        return
    name, rest = names[0], names[1:]
    if obj.get("object") == "list":
        if name != "data":
            raise _not_expandable(path, hint=f"data.{path}")
        for item in obj["data"]:
            _expand_path(store, item, rest, path)
        return
    _expand_field(store, obj, name, path)
    child = obj.get(name)
    if isinstance(child, dict):
        _expand_path(store, child, rest, path)


def _expand_field(store: Store, obj: JsonObject, name: str, path: str) -> None:
    field = (str(obj.get("object")), name)
    if field in _INCLUDABLE:
        obj.setdefault(name, _INCLUDABLE[field](store, obj))
    elif field in EXPANDABLE:
        value = obj.get(name)
        if isinstance(value, str):
            obj[name] = snapshot(_named(store, EXPANDABLE[field], value))
    elif not isinstance(obj.get(name), dict):
        raise _not_expandable(path)


def _named(store: Store, kinds: tuple[str, ...], object_id: str) -> JsonObject:
    """The object with this id, which is of one of the kinds."""
    return next(obj for kind in kinds if (obj := store.find(kind, object_id)) is not None)


def _not_expandable(path: str, hint: str | None = None) -> StripeError:
    advice = f" You may want to try expanding '{hint}' instead." if hint else ""
    return invalid(f"This property cannot be expanded ({path}).{advice}", "expand")
