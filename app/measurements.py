"""What waits in Postgres, measured once for the whole installation and served by the scheduler.

Every process could ask Postgres when Prometheus asks it, and a hundred would. So ``sweeps.measure`` measures at each of its
ticks, which only one scheduler enqueues and one worker gets, and leaves the result in Redis; schedulers serve what lies there.
All schedulers tell the same, so queries take the ``max``. A measurement that has grown old is not served: its time is, by which
an alert says that nobody measures any more.
"""

import json
import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import redis
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

logger = logging.getLogger(__name__)

KEY = "pw:measured"
#: How old a measurement may be to be served. Six times the sweep's period.
MAX_AGE_SECONDS = 60
#: No count goes further: it is the size of a problem, not its exact extent, and counting must stay cheap in the middle of one.
COUNTED_UP_TO = 100_000

#: Gauge -> what it says, and its label.
GAUGES: dict[str, tuple[str, str]] = {
    "payments_checkout_sessions_active": (
        "Payment sessions that may still be paid and are not held, by status, counted up to 100,000 in all.",
        "status",
    ),
    "payments_checkout_sessions_held": (
        "Payment sessions that wait for an operator's decision, by the reason of the hold.",
        "reason",
    ),
    "payments_hold_oldest_age_seconds": (
        "How long the longest of these holds has lasted, by reason.",
        "reason",
    ),
    "payments_pending_rows": (
        "Rows of Postgres whose work is still to be done, by kind, counted up to 100,000.",
        "kind",
    ),
    "payments_pending_oldest_age_seconds": (
        "How long the oldest of these rows has waited, by the business clock; 0 when none waits.",
        "kind",
    ),
}

#: Gauge -> value of its label -> value.
Measurement = Mapping[str, Mapping[str, float]]


def publish(client: "redis.Redis", measurement: Measurement) -> None:
    """Leave a measurement for the schedulers. Raises :class:`KeyError` for a gauge that is not in :data:`GAUGES`."""
    unknown = set(measurement) - set(GAUGES)
    if unknown:
        raise KeyError(f"not in {__name__}.GAUGES: {', '.join(sorted(unknown))}")
    client.set(KEY, json.dumps({"at": time.time(), "values": measurement}))


class MeasurementCollector(Collector):
    """Serves the last measurement. ``client``: the state database."""

    def __init__(self, client: "redis.Redis"):
        self._redis: Any = client  # the annotations of redis-py cover asyncio and decoded answers, too

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """The gauges without values, so that registering does not need Redis."""
        return [_measured_at(0), *(_family(name, {}) for name in GAUGES)]

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The time of the last measurement, and its values unless they are old."""
        try:
            text = self._redis.get(KEY)
        except redis.RedisError as error:
            logger.warning("no measurement: %s", type(error).__name__)
            return
        found: dict[str, Any] = {"at": 0, "values": {}} if text is None else json.loads(text)
        yield _measured_at(found["at"])
        if time.time() - found["at"] <= MAX_AGE_SECONDS:
            for name, values in found["values"].items():
                if name in GAUGES:  # a newer worker may measure what an older scheduler does not know
                    yield _family(name, values)


def _measured_at(at: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(
        "payments_measured_timestamp_seconds", "When Postgres was last measured, by the real clock; 0: never.", value=at
    )


def _family(name: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    meaning, label = GAUGES[name]
    family = GaugeMetricFamily(name, meaning, labels=[label])
    for value, number in values.items():
        family.add_metric([value], number)
    return family
