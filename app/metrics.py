"""What the workers count. Names follow https://prometheus.io/docs/practices/naming/; no ids in labels.

Every metric of the product, those of the front end and the scheduler too, is listed in ``docs/metrics.md``, which
:mod:`paywindow.cli.metrics_document` makes from the code. Labels take values from fixed sets, and those that are known
beforehand start at 0, because a counter that appears with its first event shows no increase to Prometheus.
"""

from prometheus_client import Counter, Gauge, Histogram

from paywindow.states import HELD, HELD_EXCEPT, TABLE

SESSION_MOVES = Counter(
    "payments_checkout_session_moves",
    "Moves of payment sessions, by what happened and by the status that came of it. A payment's success rate is the part of "
    "`completed` in `completed` and `failed`.",
    ["event", "status"],
)
MONEY_TAKEN = Counter(
    "payments_money_taken_minor_units",
    "Money of payments that settled their session, in the currency's minor units (cents; whole yen), by ISO 4217 code.",
    ["currency"],
)
WINDOW_LATENESS = Histogram(
    "payments_window_close_lateness_seconds",
    "How long after its deadline a payment window was closed.",
    buckets=(0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3600),
)
WINDOWS_EXPIRED = Counter("payments_window_expired", "Payment windows that closed unpaid at their deadline.")
RETRY_ATTEMPTS = Counter("payments_retry_attempts", "Tries after a failed payment, by who asked.", ["asked_by"])
RETRY_FAILURES = Counter("payments_retry_failures", "Payments that failed again after a retry.")
WINDOW_DRIFT = Histogram(
    "payments_window_mirror_drift_seconds",
    "How far the remaining time in Redis was from the deadline in Postgres when it was compared.",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 5, 60, 3600),
)
WINDOW_REPAIRS = Counter("payments_window_mirror_repaired", "Remaining times in Redis that were put right.")
REFUNDS = Counter(
    "payments_refunds", "Refunds that came to a status; one that is made, and fails later, counts in both.", ["status"]
)
DISPUTES = Counter(
    "payments_disputes",
    "What was learned of disputes, by their status: each status of a dispute counts once.",
    ["status"],
)
DISPUTE_FEES = Counter(
    "payments_dispute_fees_minor_units", "What disputes cost beside their amount, in minor units.", ["currency"]
)
WEBHOOK_LAG = Histogram(
    "payments_webhook_lag_seconds",
    "From the moment that Stripe made an event, in its whole seconds, until a worker had handled it.",
    buckets=(1, 2, 5, 10, 30, 60, 120, 300, 900, 3600, 21600, 86400),
)
EVENTS_HANDLED = Counter(
    "payments_webhook_events_handled",
    "Events whose handling ended, by verdict: applied, nothing (nothing to do), foreign (not ours), unknown_type.",
    ["verdict"],
)
EVENT_FAILURES = Counter(
    "payments_webhook_event_failures", "Tries to handle an event that failed; tried again, and parked after too many."
)
STRIPE_REQUESTS = Counter(
    "payments_stripe_requests",
    "HTTP requests to Stripe, the SDK's repeats included, by endpoint and status; `none`: no answer came.",
    ["endpoint", "status"],
)
STRIPE_SECONDS = Histogram(
    "payments_stripe_request_seconds",
    "How long an HTTP request to Stripe took, answered or not, by endpoint.",
    ["endpoint"],
    buckets=(0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 2, 5, 10, 20),
)
STRIPE_FAILURES = Counter(
    "payments_stripe_failures",
    "HTTP requests to Stripe that failed whatever they asked for: rate_limited (429), unreachable (no answer), "
    "server_error (5xx), unauthorized (401, 403).",
    ["reason"],
)
RENDER_SECONDS = Histogram(
    "payments_receipt_render_seconds",
    "How long a receipt, credit note or statement took to draw.",
    ["kind"],
    buckets=(0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60),
)
RENDER_FAILURES = Counter(
    "payments_receipt_render_failures",
    "Documents that could not be drawn; all but the impossible are tried again.",
    ["reason"],
)
STORE_FAILURES = Counter(
    "payments_receipt_store_failures", "Documents that could not be stored; tried again.", ["reason"]
)
EVENTS_RECOVERED = Counter(
    "payments_stripe_events_recovered", "Events of Stripe that did not come as webhooks and were found in its list."
)
EVENTS_WALKED_UNTIL = Gauge(
    "payments_stripe_events_walked_until_timestamp_seconds",
    "Up to when Stripe's list of events has been read.",
    multiprocess_mode="mostrecent",
)
RECONCILIATION_DRIFT = Gauge(
    "payments_reconciliation_drift",
    "Discrepancies between the books and Stripe that the last finished comparison found, by what became of them.",
    ["code", "outcome"],
    multiprocess_mode="mostrecent",
)
RECONCILIATION_FINISHED = Gauge(
    "payments_reconciliation_finished_timestamp_seconds",
    "When the books were last compared with Stripe to the end.",
    multiprocess_mode="mostrecent",
)
NOTIFICATION_TRIES = Counter(
    "payments_notification_tries",
    "Tries to deliver a notification, by sort of sink and outcome: delivered, failed (tried again), dead (given up).",
    ["sink", "outcome"],
)
ANALYTICS_EVENTS = Counter(
    "payments_analytics_events",
    "Tries to send an analytics event to Segment, by outcome: sent, failed (tried again), dropped (given up).",
    ["outcome"],
)
CARD_NUMBERS = Gauge(
    "payments_card_numbers_found",
    "Places where the last finished scan of the database found a card number, by table.",
    ["table"],
    multiprocess_mode="mostrecent",
)
CARD_SCAN_FINISHED = Gauge(
    "payments_card_scan_finished_timestamp_seconds",
    "When the database was last searched for card numbers to the end; 0: not since these workers started.",
    multiprocess_mode="mostrecent",
)
SYNTHETIC_PURCHASE = Gauge(
    "payments_synthetic_purchase_timestamp_seconds",
    "When the synthetic purchase last ended so; 0: not since these workers started.",
    ["result"],
    multiprocess_mode="mostrecent",
)
SYNTHETIC_SECONDS = Gauge(
    "payments_synthetic_purchase_seconds",
    "How long the last synthetic purchase that succeeded took.",
    multiprocess_mode="mostrecent",
)
SPLIT_AMOUNT = Counter(
    "payments_minor_units",
    "Money of payments whose figures are known, in minor units: amount = platform + seller; stripe_fee is the platform's, in "
    "the currency in which Stripe took it.",
    ["part", "currency"],
)

for _event, _answer in [
    *((event, answer) for (event, _), answer in [*TABLE.items(), *HELD_EXCEPT.items()]),
    *HELD.items(),
]:
    if _answer.status is not None:
        SESSION_MOVES.labels(_event.value, _answer.status.value)
for _sink in ("webhook", "sns"):
    for _outcome in ("delivered", "failed", "dead"):
        NOTIFICATION_TRIES.labels(_sink, _outcome)
for _kind in ("receipt", "statement", "credit_note"):
    RENDER_SECONDS.labels(_kind)
for _result in ("succeeded", "failed"):
    SYNTHETIC_PURCHASE.labels(_result)
for _counter, _values in (
    (RETRY_ATTEMPTS, ("timer", "request")),
    (REFUNDS, ("held", "pending", "requires_action", "succeeded", "failed", "canceled")),
    (DISPUTES, ("needs_response", "under_review", "won", "lost")),
    (EVENTS_HANDLED, ("applied", "nothing", "foreign", "unknown_type")),
    (STRIPE_FAILURES, ("rate_limited", "unreachable", "server_error", "unauthorized")),
    (ANALYTICS_EVENTS, ("sent", "failed", "dropped")),
    (RENDER_FAILURES, ("timeout", "failed")),
    (STORE_FAILURES, ("unavailable", "refused")),
):
    for _value in _values:
        _counter.labels(_value)
