"""What may be refunded (https://docs.stripe.com/api/refunds/create).

The names and types of parameters have been checked against the SDK before; here are the rules between values. Raises
StripeError throughout.
"""

from paywindow.sandbox.errors import StripeError, invalid, unsupported
from paywindow.sandbox.jsontypes import JsonObject
from paywindow.sandbox.metadata import checked_metadata
from paywindow.sandbox.money import check_fraction, display
from paywindow.sandbox.store import Store

_MODELLED = frozenset(
    [
        "amount",
        "charge",
        "expand",
        "metadata",
        "payment_intent",
        "reason",
        "refund_application_fee",
        "reverse_transfer",
    ]
)


def check_create(store: Store, params: JsonObject) -> tuple[JsonObject, int]:
    """Check all parameters of a create and put metadata in order; the charge, and the amount in minor units."""
    for name in params:
        if name not in _MODELLED:
            raise unsupported(name)
    if params.get("amount", 1) < 1:
        raise invalid("This value must be greater than or equal to 1.", "amount", "parameter_invalid_integer")
    if "metadata" in params:
        params["metadata"] = checked_metadata(params["metadata"] or {})
    charge = _find_charge(store, params)
    _check_refundable(store, charge)
    _check_connect(charge, params)
    return charge, _check_amount(charge, params.get("amount"))


def _find_charge(store: Store, params: JsonObject) -> JsonObject:
    if "charge" in params and "payment_intent" in params:
        raise invalid("You may only specify one of these parameters: charge, payment_intent.", "payment_intent")
    if "charge" in params:
        return store.get("charge", params["charge"])
    if "payment_intent" not in params:
        raise invalid("One of the following params should be provided for this request: payment_intent or charge.")
    intent = store.get("payment_intent", params["payment_intent"], "payment_intent")
    charge = store.find("charge", intent["latest_charge"] or "")
    if charge is None:
        raise _no_successful_charge(intent["id"])
    return charge


def _no_successful_charge(intent_id: str) -> StripeError:
    return invalid(f"This PaymentIntent ({intent_id}) does not have a successful charge to refund.")


def _check_refundable(store: Store, charge: JsonObject) -> None:
    if charge["status"] != "succeeded":
        raise _no_successful_charge(charge["payment_intent"])
    if charge["disputed"] and not _refundable_though_disputed(store, charge):
        raise StripeError(
            f"Charge {charge['id']} has been charged back; cannot issue a refund.", code="charge_disputed"
        )
    if charge["refunded"]:
        raise StripeError(f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")


def _refundable_though_disputed(store: Store, charge: JsonObject) -> bool:
    """While a bank only inquires, and once the dispute is won."""
    newest = next((each for each in store.newest_first("dispute") if each["charge"] == charge["id"]), None)
    return newest is not None and bool(newest["is_charge_refundable"])


def _check_connect(charge: JsonObject, params: JsonObject) -> None:
    """Money can be called back only where it was passed on, and the fee given back only together with that."""
    if params.get("reverse_transfer") and charge["transfer_data"] is None:
        raise invalid(
            f"Cannot reverse transfer on charge {charge['id']} because it does not have an associated transfer.",
            "reverse_transfer",
        )
    if params.get("refund_application_fee"):
        if charge["application_fee_amount"] is None:
            raise invalid(
                f"Cannot refund the application fee on charge {charge['id']} because it does not have one.",
                "refund_application_fee",
            )
        if not params.get("reverse_transfer"):
            raise invalid(
                "Refunding the application fee of a destination charge requires reverse_transfer to be true.",
                "refund_application_fee",
            )


def _check_amount(charge: JsonObject, asked: int | None) -> int:
    """The amount asked for, or all that is left."""
    left: int = charge["amount"] - charge["amount_refunded"]
    if asked is None:
        return left
    currency = charge["currency"]
    if asked > left:
        limit = "unrefunded amount on charge" if charge["amount_refunded"] else "charge amount"
        raise invalid(
            f"Refund amount ({display(asked, currency)}) is greater than {limit} ({display(left, currency)})", "amount"
        )
    check_fraction(asked, currency, "amount")
    return asked
