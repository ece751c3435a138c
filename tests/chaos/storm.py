"""Has the blows of a run fall, each when so many purchases have begun; those on the same target one after another."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import psycopg2
import redis
from chaos.faults.registry import faults
from chaos.ground import Ground
from chaos.plans import Blow

_LOOK_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Struck:
    """A blow that fell: when, in seconds since the run began; whether it hit anything."""

    blow: Blow
    at: float
    hit: bool


@dataclass
class Storm:
    """The blows of one run. ``struck``: what fell so far; ``broken``: what the harness itself did wrong."""

    ground: Ground
    blows: Sequence[Blow]
    begun: Callable[[], int]
    struck: list[Struck] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        targets: dict[str, list[Blow]] = defaultdict(list)
        for blow in self.blows:
            targets[faults()[blow.fault].target].append(blow)
        self._threads = [threading.Thread(target=self._rage, args=(mine,), daemon=True) for mine in targets.values()]

    def start(self) -> None:
        """Begin."""
        self._began = time.monotonic()
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        """Wait until the last blow was lifted."""
        for thread in self._threads:
            thread.join()

    def _rage(self, blows: Sequence[Blow]) -> None:
        for blow in blows:
            while self.begun() < blow.after:
                time.sleep(_LOOK_SECONDS)
            self._strike(blow)
        self.ground.books.close()

    def _strike(self, blow: Blow) -> None:
        at, hit = time.monotonic() - self._began, False
        try:
            with faults()[blow.fault].strike(self.ground, **blow.details) as hit:
                time.sleep(blow.seconds if hit else 0)
        except (redis.RedisError, psycopg2.Error, ConnectionError, ProcessLookupError):
            pass  # another blow has hit what this one needs; what it left is lifted with all the others
        except Exception as error:
            self.broken.append(f"{blow}: {type(error).__name__}: {error}")
        self.struck.append(Struck(blow, round(at, 1), bool(hit)))
