"""Examples for the OpenAPI document, composed from the schemas, so that no route can be without one.

All examples tell one story: Ana's walnut side table. What a field holds in it is said once, by the field's name; a schema's own
``examples`` come first. The tests check every example against its schema, and those of requests against the models that
validate requests.
"""

from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]

_SESSION = "cbddfacc-9485-4999-bee3-28638d37a078"
_RECEIPT = "5d0f7b1e-6f0c-4a57-9a55-0d7f4f1f9f3c"
_CREATED, _PAID, _DEADLINE = "2026-11-23T10:30:00Z", "2026-11-23T10:42:07Z", "2026-11-24T10:30:00Z"
_HOST = "https://pay.example.com"

#: Field name -> what it holds. ``None`` only where the story has nothing there.
_STORY: dict[str, Any] = {
    "id": _SESSION,
    "paymentSessionId": _SESSION,
    "sessionId": _SESSION,
    "auctionId": "6f9619ff-8b86-4d01-b42d-00cf4fc964ff",
    "buyerId": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
    "makerId": "1b4e28ba-2fa1-41d2-883f-0016d3cca427",
    "amount": 275.50,
    "total": 275.50,
    "platformFee": 27.55,
    "stripeFee": 8.29,
    "currency": "USD",
    "stripeFeeCurrency": "USD",
    "description": "Walnut side table",
    "buyerEmail": "ana@example.com",
    "email": "maker@example.com",
    "country": "US",
    "refreshUrl": "https://shop.example.com/payouts/again",
    "locale": "en",
    "returnUrl": "https://shop.example.com/orders/17",
    "cancelUrl": "https://shop.example.com/orders/17",
    "windowMinutes": 1440,
    "minutes": 60,
    "reason": "The buyer asked on the phone.",
    "createdAt": _CREATED,
    "expiresAt": _DEADLINE,
    "completedAt": None,
    "canceledAt": None,
    "closedAt": None,
    "retryAt": None,
    "issuedAt": _PAID,
    "serverNow": "2026-11-23T10:35:00.000Z",
    "remainingMs": 86_100_000,
    "duration": "24:00:00",
    "status": "succeeded",
    "stripePaymentIntentId": None,
    "stripeCheckoutUrl": "https://checkout.stripe.com/c/pay/cs_test_a1JCt6Xp",
    "payUrl": f"{_HOST}/pay/{_SESSION}?token={_SESSION.replace('-', '')}.uf67L8xtQ0",
    "token": f"{_SESSION.replace('-', '')}.uf67L8xtQ0",
    "downloadUrl": f"{_HOST}/payments/receipts/{_RECEIPT}/download",
    "number": "R-2026-000001",
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "size": 48_213,
    "transactionId": "0e2c4d0f-5a5f-4c57-8a6e-3c9ad8a7b1d2",
    "failureReason": None,
    "stripeDisputeId": "du_1QkTest",
    "feeCurrency": "USD",
    "fee": 15.00,
    "refunds": [],
    "disputes": [],
    "evidenceDueBy": "2026-12-07T23:59:59Z",
    "releaseAuction": False,
    "stripePaymentMethodId": "pm_1QkTest",
    "stripeType": "card",
    "expMonth": 4,
    "expYear": 2030,
    "brand": "visa",
    "last4": "4242",
    "count": 0,
    "left": 3,
    "version": 1,
    "failure": None,
    "hold": None,
    "closing": False,
    "released": False,
    "canRetry": False,
    "attempts": [],
    "creditNotes": [],
    "nextCursor": None,
}

#: Model -> path within it -> what differs from the story's beginning.
_CHAPTERS: dict[str, dict[str, Any]] = {
    "SessionStatus": {
        "paymentSession.status": "completed",
        "paymentSession.completedAt": _PAID,
        "paymentSession.stripePaymentIntentId": "pi_3QkTest",
        "paymentSession.stripeCheckoutUrl": None,
        "paymentSession.version": 4,
        "transaction.id": "0e2c4d0f-5a5f-4c57-8a6e-3c9ad8a7b1d2",
        "receipt.id": _RECEIPT,
        "statement": None,
    },
    "CheckoutCanceled": {
        "paymentSession.status": "canceled",
        "paymentSession.canceledAt": _PAID,
        "paymentSession.stripeCheckoutUrl": None,
        "paymentSession.released": True,
        "paymentSession.version": 2,
    },
    "OperationPending": {"operation.id": "b3c9d1a4-2d59-5f0e-9a53-6a9d6ce0f5f1"},
    "ReceiptFound": {"receipt.id": _RECEIPT},
}


class NoExampleError(KeyError):
    """A field of a schema has nothing from which an example could be made; the message names it."""


def of_model(name: str, schemas: Mapping[str, Schema]) -> Any:
    """An example of the schema with that name. Raises :class:`NoExampleError`."""
    found = _example(schemas[name], schemas, name, name)
    for path, value in _CHAPTERS.get(name, {}).items():
        *parents, last = path.split(".")
        place = found
        for parent in parents:
            place = place[parent]
        place[last] = value
    return found


def of_field(name: str, schema: Schema, schemas: Mapping[str, Schema], where: str) -> Any:
    """An example of one field or parameter. ``where`` names it in the error. Raises :class:`NoExampleError`."""
    if schema.get("examples"):
        return schema["examples"][0]
    if "const" in schema:
        return schema["const"]
    if schema.get("default") is not None:
        return schema["default"]
    if schema.get("type") == "array" and not isinstance(_STORY.get(name), list):
        return [of_field(name, schema["items"], schemas, where)]
    choices = _enum(schema, schemas)
    if name in _STORY and (not choices or _STORY[name] in choices):
        return _STORY[name]
    return choices[0] if choices else _example(schema, schemas, name, where)


def _example(schema: Schema, schemas: Mapping[str, Schema], name: str, where: str) -> Any:
    if "$ref" in schema:
        model = schema["$ref"].rpartition("/")[2]
        return _example(schemas[model], schemas, model, model)
    if schema.get("examples"):
        return schema["examples"][0]
    for branches in ("anyOf", "oneOf", "allOf"):
        if branches in schema:
            return of_field(name, schema[branches][0], schemas, where)
    kind = schema.get("type")
    if kind == "object":
        fields = schema.get("properties", {})
        return {field: of_field(field, each, schemas, f"{where}.{field}") for field, each in fields.items()}
    if kind == "boolean":
        return True
    if schema.get("format") == "uuid":
        return _SESSION
    if schema.get("format") == "date-time":
        return _CREATED
    raise NoExampleError(f"{where}: give the field examples, or its name a line in {__name__}._STORY")


def _enum(schema: Schema, schemas: Mapping[str, Schema]) -> list[Any]:
    if "$ref" in schema:
        return _enum(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    if schema.get("anyOf"):
        return _enum(schema["anyOf"][0], schemas)
    return list(schema.get("enum", []))
