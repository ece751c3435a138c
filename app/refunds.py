"""What Stripe's Refund objects mean to us: the parameters that we freeze and the refusals that pass."""

from typing import Any

#: Stripe's refusals that may pass: a dispute is decided, a seller's balance fills up. An operator says whether to try again.
#: https://docs.stripe.com/error-codes
BLOCKED = frozenset({"charge_disputed", "balance_insufficient", "insufficient_funds"})
#: Stripe knows of refunds that are not in the books yet.
ALREADY_REFUNDED = "charge_already_refunded"


def freeze_params(
    *,
    refund_id: str,
    session_id: str,
    payment_intent_id: str,
    amount_minor: int,
    reason: str,
    checkout: dict[str, Any],
    split_by_stripe: bool = True,
) -> dict[str, Any]:
    """The body of ``POST /v1/refunds`` (https://docs.stripe.com/api/refunds/create) for one refund.

    ``checkout``: the parameters with which the page was opened on which the money came in. On a destination charge the
    seller's share is called back and the platform's fee returned, both in proportion; otherwise the platform would pay the whole
    refund (https://docs.stripe.com/connect/destination-charges#issue-refunds). Not so unless ``split_by_stripe``: then the share
    no longer lies in Stripe's own transfer, Stripe would refuse to call it back from there, and we take it back ourselves.
    """
    params: dict[str, Any] = {
        "payment_intent": payment_intent_id,
        "amount": amount_minor,
        "reason": reason,
        "metadata": {"refund_id": refund_id, "payment_session_id": session_id},
    }
    intent = checkout.get("payment_intent_data") or {}
    if split_by_stripe and (intent.get("transfer_data") or {}).get("destination"):
        params["reverse_transfer"] = True
        # Stripe refuses the parameter on a charge that has no fee.
        if intent.get("application_fee_amount"):
            params["refund_application_fee"] = True
    return params
