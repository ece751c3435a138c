"""Why a payment failed, as a key into the words of the page.

The snapshot's own message is English; the page says the same in the buyer's language, from the code.
"""

from typing import Any

#: Codes from https://docs.stripe.com/declines/codes -> text. A code that is no key here, nor a text itself, is ``declined``:
#: that never says why a card was reported lost or stolen.
_SAME_WORDS = {
    "payment_intent_authentication_failure": "authentication_required",
    "invalid_cvc": "incorrect_cvc",
    "invalid_number": "incorrect_number",
    "invalid_expiry_month": "expired_card",
    "invalid_expiry_year": "expired_card",
    "try_again_later": "processing_error",
    "issuer_not_available": "processing_error",
    "reenter_transaction": "processing_error",
}
_OWN_WORDS = frozenset(
    "insufficient_funds expired_card incorrect_cvc incorrect_number processing_error authentication_required "
    "payment_did_not_come".split()
)


def words_for_failure(snapshot: dict[str, Any]) -> str:
    """The key in the section ``failures`` for a failed session."""
    attempts = snapshot.get("attempts") or []
    if attempts and attempts[-1]["status"] == "refused":
        return "not_possible"  # Stripe did not even open a page
    code: str = (snapshot["paymentSession"].get("failure") or {}).get("code") or ""
    code = _SAME_WORDS.get(code, code)
    return code if code in _OWN_WORDS else "declined"
