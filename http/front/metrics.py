"""Metrics that the front end keeps. Names follow https://prometheus.io/docs/practices/naming/; no ids in labels."""

from prometheus_client import Counter, Gauge

STREAMS = Gauge("payments_event_streams", "Event streams that are open.")
STREAMS_ENDED = Counter(
    "payments_event_streams_ended",
    "Event streams that ended: final (nothing more will come), gone (the reader left), slow (it did not keep up), "
    "token (the buyer's token is over), stopping (the process ends).",
    ["reason"],
)
