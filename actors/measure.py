"""``sweeps.measure`` (scheduler): how much waits in Postgres, and for how long, left in Redis for the metrics.

Writes no row and calls nobody; a second run measures again.
"""

from paywindow import clock
from paywindow.actors.registry import actor
from paywindow.actors.runtime import runtime
from paywindow.models import measure
from paywindow.models.database import transaction


@actor("sweeps.measure")
def measure_all() -> None:
    """Measure, and publish what was found."""
    with transaction():
        found = measure.everything(clock.now())
    runtime().publisher.measurement(found)
