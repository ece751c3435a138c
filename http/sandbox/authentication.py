"""``Authorization: Bearer sk_test_...`` (https://docs.stripe.com/api/authentication). Live keys are turned away."""

from paywindow.sandbox.errors import StripeError

_TEST_PREFIXES = ("sk_test_", "rk_test_")
_LIVE_PREFIXES = ("sk_live_", "rk_live_", "pk_live_")
_SHOWN = 4


def api_key(authorization: str | None) -> str:
    """The test key of a request; any will do. Raises StripeError (401) without one, and for a live key."""
    scheme, _, key = (authorization or "").partition(" ")
    key = key.strip()
    if scheme.lower() != "bearer" or not key:
        raise StripeError(
            "You did not provide an API key. You need to provide your API key in the Authorization header, using "
            "Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY'). See "
            "https://stripe.com/docs/api#authentication for details, or we can help at https://support.stripe.com/.",
            status=401,
        )
    if key.startswith(_LIVE_PREFIXES):
        raise StripeError(
            "A live API key was sent to a sandbox, which refuses it. Use a test key; treat the live key as exposed.",
            status=401,
        )
    if not key.startswith(_TEST_PREFIXES):
        raise StripeError(f"Invalid API Key provided: {_masked(key)}", status=401)
    return key


def _masked(key: str) -> str:
    return key[:_SHOWN] + "*" * max(len(key) - 2 * _SHOWN, _SHOWN) + key[-_SHOWN:]
