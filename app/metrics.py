"""Metrics that the actors keep. Names follow https://prometheus.io/docs/practices/naming/; no ids in labels."""

from collections.abc import Iterator

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from paywindow.dead_letters import DeadLetters

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
HOLDS = Gauge(
    "payments_holds_open",
    "Payment sessions that are held for an operator, by reason.",
    ["reason"],
    multiprocess_mode="mostrecent",
)
DISPUTES = Counter(
    "payments_disputes",
    "What was learned of disputes, by their status: each status of a dispute counts once.",
    ["status"],
)
DISPUTE_FEES = Counter(
    "payments_dispute_fees_minor", "What disputes cost beside their amount, in minor units.", ["currency"]
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


SPLIT_AMOUNT = Counter(
    "payments_minor_units",
    "Money of payments whose figures are known, in minor units: amount = platform + seller; stripe_fee is the platform's, in "
    "the currency in which Stripe took it.",
    ["part", "currency"],
)


class DeadLetterCollector(Collector):
    """Counts the dead letters when Prometheus asks; the scheduler serves it."""

    def __init__(self, letters: DeadLetters):
        self._letters = letters

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """One gauge, by queue."""
        family = GaugeMetricFamily("payments_dead_letters", "Messages whose actor failed for good.", labels=["queue"])
        for queue, count in self._letters.count().items():
            family.add_metric([queue], count)
        yield family
