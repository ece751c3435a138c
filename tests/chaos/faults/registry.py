"""What a fault is, and how the suite knows of it: a module of this folder declares its family's with :func:`fault`.

A fault is a context manager over the installation: entering strikes, leaving lifts. It yields whether it hit: one that waits for
a moment which never came is counted as missed, not as struck.
"""

import importlib
import pkgutil
import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Fault:
    """A kind of fault.

    ``target``: what it strikes; two on the same target never overlap. ``seconds``: how long it lasts at least and at most.
    ``storage``: the only place of receipts in which it means anything. ``choices``: what a seed decides about it.
    """

    name: str
    target: str
    seconds: tuple[float, float]
    storage: str | None
    choices: dict[str, tuple[Any, ...]]
    strike: Callable[..., AbstractContextManager[bool]]

    def draw(self, chance: random.Random) -> dict[str, Any]:
        """Decide the details."""
        return {name: chance.choice(options) for name, options in self.choices.items()}


_FAULTS: dict[str, Fault] = {}


def fault(
    name: str, target: str, seconds: tuple[float, float], storage: str | None = None, **choices: tuple[Any, ...]
) -> Callable[[Callable[..., Iterator[bool]]], None]:
    """Declare a fault: a generator function of the installation and the details that yields once."""

    def declare(strike: Callable[..., Iterator[bool]]) -> None:
        _FAULTS[name] = Fault(name, target, seconds, storage, choices, contextmanager(strike))

    return declare


@cache
def faults() -> dict[str, Fault]:
    """All faults by name, in an order that does not change from run to run."""
    for module in sorted(found.name for found in pkgutil.iter_modules([str(Path(__file__).parent)])):
        importlib.import_module(f"chaos.faults.{module}")
    return dict(_FAULTS)
