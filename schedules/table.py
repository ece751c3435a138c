"""What runs how often. A tick only enqueues the sweep's actor; the actor claims what is due."""

from dataclasses import dataclass

from paywindow.settings import Settings


@dataclass(frozen=True, slots=True)
class Periodic:
    """``actor`` runs every ``seconds`` (real time), once across all schedulers."""

    actor: str
    seconds: float


TABLE: tuple[Periodic, ...] = (
    Periodic("sweeps.attempts", 5),
    Periodic("sweeps.operations", 5),
    Periodic("sweeps.refunds", 5),
    Periodic("sweeps.inbox", 2),
    Periodic("sweeps.outbox", 2),
    Periodic("sweeps.windows", 0.5),
    Periodic("sweeps.window_mirror", 60),
    Periodic("sweeps.stripe_events", 30),
    Periodic("sweeps.reconciliation", 30),
    Periodic("sweeps.sellers", 30),
    Periodic("sweeps.notifications", 5),
    Periodic("sweeps.measure", 10),
    Periodic("sweeps.card_numbers", 60),
)


def table(settings: Settings) -> tuple[Periodic, ...]:
    """All periodic work of an installation: the table, and what its settings add."""
    seconds = settings.synthetic_purchase_seconds
    return TABLE + ((Periodic("sweeps.synthetic_purchase", seconds),) if seconds else ())
