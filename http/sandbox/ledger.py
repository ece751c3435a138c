"""The ledger: what really happened, for audits to compare with what a marketplace believes."""

from paywindow.sandbox.core import Sandbox
from paywindow.sandbox.jsontypes import JsonObject
from paywindow.sandbox.transfers import balance

_SESSION_FIELDS = [
    "id",
    "amount_total",
    "client_reference_id",
    "created",
    "currency",
    "expires_at",
    "metadata",
    "payment_intent",
    "payment_status",
    "status",
    "url",
]
_INTENT_FIELDS = [
    "id",
    "amount",
    "amount_received",
    "application_fee_amount",
    "created",
    "currency",
    "latest_charge",
    "metadata",
    "status",
    "transfer_data",
]
_CHARGE_FIELDS = [
    "id",
    "amount",
    "amount_refunded",
    "balance_transaction",
    "created",
    "currency",
    "disputed",
    "failure_code",
    "paid",
    "payment_intent",
    "refunded",
    "status",
]
_DISPUTE_FIELDS = ["id", "amount", "charge", "created", "currency", "payment_intent", "reason", "status"]
_METHOD_FIELDS = [
    "id",
    "allow_redisplay",
    "customer",
    "type",
]
_REFUND_FIELDS = [
    "id",
    "amount",
    "charge",
    "created",
    "currency",
    "metadata",
    "payment_intent",
    "reason",
    "status",
]


_TRANSFER_FIELDS = [
    "id",
    "amount",
    "amount_reversed",
    "created",
    "currency",
    "destination",
    "metadata",
    "source_transaction",
    "transfer_group",
]
_FEE_FIELDS = ["id", "account", "amount", "amount_refunded", "created", "currency", "originating_transaction"]
_ACCOUNT_FIELDS = ["id", "capabilities", "charges_enabled", "created", "metadata", "payouts_enabled", "requirements"]


def ledger(sandbox: Sandbox) -> JsonObject:
    """Everything of value, oldest first, what the platform and each account have, the events by type, the calls by route."""
    store = sandbox.store
    events: dict[str, int] = {}
    for event in store.oldest_first("event"):
        events[event["type"]] = events.get(event["type"], 0) + 1
    return {
        "now": sandbox.clock.now(),
        "sessions": [
            {
                **_pick(session, _SESSION_FIELDS),
                "idempotency_key": store.checkouts[session["id"]].idempotency_key,
                "authenticating": store.checkouts[session["id"]].authenticating is not None,
            }
            for session in store.oldest_first("checkout.session")
        ],
        "payment_intents": [_pick(intent, _INTENT_FIELDS) for intent in store.oldest_first("payment_intent")],
        "charges": [_pick(charge, _CHARGE_FIELDS) for charge in store.oldest_first("charge")],
        "refunds": [
            {
                **_pick(refund, _REFUND_FIELDS),
                "failure_reason": refund.get("failure_reason"),
                "idempotency_key": store.refunds[refund["id"]].idempotency_key,
            }
            for refund in store.oldest_first("refund")
        ],
        "accounts": [
            {**_pick(account, _ACCOUNT_FIELDS), "balance": balance(sandbox, account["id"])}
            for account in store.oldest_first("account")
        ],
        "transfers": [_pick(transfer, _TRANSFER_FIELDS) for transfer in store.oldest_first("transfer")],
        "application_fees": [_pick(fee, _FEE_FIELDS) for fee in store.oldest_first("application_fee")],
        "balance": balance(sandbox, sandbox.account_id),
        "disputes": [
            {
                **_pick(dispute, _DISPUTE_FIELDS),
                "fee": sum(entry["fee"] for entry in dispute["balance_transactions"]),
                "net": sum(entry["net"] for entry in dispute["balance_transactions"]),
            }
            for dispute in store.oldest_first("dispute")
        ],
        "customers": [
            {name: customer.get(name) for name in ("id", "deleted", "email", "metadata")}
            for customer in store.oldest_first("customer")
        ],
        "payment_methods": [_pick(method, _METHOD_FIELDS) for method in store.oldest_first("payment_method")],
        "events": events,
        "calls": dict(sandbox.calls),
        "replays": dict(sandbox.replays),
    }


def _pick(obj: JsonObject, fields: list[str]) -> JsonObject:
    return {name: obj[name] for name in fields}
