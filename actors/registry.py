"""Which function answers to which actor name."""

import logging
from collections.abc import Callable
from importlib import import_module
from typing import TypeVar

from dramatiq import Actor, Broker

from paywindow.messages import ACTORS, Queue

Function = TypeVar("Function", bound=Callable[..., None])

_MODULES = (
    "analytics",
    "card_scan",
    "create",
    "deadline",
    "disputes",
    "event_walk",
    "events",
    "measure",
    "methods",
    "figures",
    "notifications",
    "operations",
    "pages",
    "publish",
    "receipts",
    "reconcile",
    "refunds",
    "replay",
    "resolve",
    "retry",
    "sellers",
    "settling_up",
    "sessions",
    "stop",
    "sweeps",
    "synthetic",
    "take_back",
    "windows",
)
_FUNCTIONS: dict[str, Callable[..., None]] = {}

# Within a process that serves several queues: somebody waits for the first, and follow-ups of a storm must not delay it.
_PRIORITY = {
    Queue.INTERACTIVE: 0,
    Queue.FOLLOW_UPS: 5,
    Queue.EVENTS: 10,
    Queue.SWEEPS: 20,
    Queue.WINDOWS: 25,
    Queue.RECEIPT_NUMBERS: 28,
    Queue.RECEIPTS: 30,
    Queue.DELIVERIES: 35,
}


def actor(name: str) -> Callable[[Function], Function]:
    """Register a function under an actor name of :data:`paywindow.messages.ACTORS`; the function stays a function."""
    if name not in ACTORS:
        raise KeyError(f"{name} is not in paywindow.messages.ACTORS")

    def register(function: Function) -> Function:
        _FUNCTIONS[name] = function
        return function

    return register


def functions() -> dict[str, Callable[..., None]]:
    """All actors by name."""
    for module in _MODULES:
        import_module(f"paywindow.actors.{module}")
    return dict(_FUNCTIONS)


def declare(broker: Broker) -> None:
    """Make Dramatiq actors of all functions, each on its queue."""
    for name, function in functions().items():
        queue = ACTORS[name]
        made = Actor(function, broker=broker, actor_name=name, queue_name=queue, priority=_PRIORITY[queue], options={})
        # At DEBUG it would write all arguments, whole webhooks too.
        made.logger.setLevel(logging.INFO)
