"""What workers log about messages, and how ids travel with them.

A message that is sent while a request or another message is at work takes that one's ``request_id`` along as an *option*,
beside its arguments: nothing that an actor does depends on it.
"""

import logging
import threading
import time
from typing import Any

import dramatiq
from dramatiq.middleware import Middleware

from paywindow import logs
from paywindow.messages import Queue

logger = logging.getLogger(__name__)

#: The option of a message that says which request it follows from.
REQUEST_ID = "request_id"
_ARGUMENTS = ("operation_id", "session_id", "event_id", "attempt_id")


def request_option() -> dict[str, str]:
    """What a message that is sent now takes along."""
    request_id = logs.current().get(REQUEST_ID)
    return {} if request_id is None else {REQUEST_ID: request_id}


def ids_of(message: Any) -> dict[str, str]:
    """The ids that lines about a message carry."""
    request = message.kwargs.get("request")
    found = {**(request if isinstance(request, dict) else {}), **message.kwargs}
    ids = {REQUEST_ID: message.options.get(REQUEST_ID), "message_id": message.message_id, "actor": message.actor_name}
    ids |= {name: found.get(name) for name in _ARGUMENTS}
    return {name: str(value) for name, value in ids.items() if value is not None}


class LogMessages(Middleware):
    """Dramatiq middleware that binds a message's ids while a thread works on it.

    Says when it is done; of a sweep, which runs every few seconds, only at DEBUG. Dramatiq itself says when it failed.
    """

    def __init__(self) -> None:
        self._begun = threading.local()

    def before_enqueue(self, broker: dramatiq.Broker, message: Any, delay: int | None) -> None:
        """Give what follows the request's id. One that is tried again has it already."""
        del broker, delay
        for name, value in request_option().items():
            message.options.setdefault(name, value)

    def before_process_message(self, broker: dramatiq.Broker, message: Any) -> None:
        """A thread begins."""
        del broker
        self._begun.at = time.perf_counter()
        logs.replace(ids_of(message))

    def after_process_message(
        self, broker: dramatiq.Broker, message: Any, *, result: Any = None, exception: BaseException | None = None
    ) -> None:
        """A thread is done: the next message must not inherit anything."""
        del broker, result
        if exception is None:
            level = logging.DEBUG if message.queue_name == Queue.SWEEPS else logging.INFO
            logs.replace({**logs.current(), **ids_of(message)})
            logger.log(level, "%s done in %.1f ms", message.actor_name, (time.perf_counter() - self._begun.at) * 1000)
        logs.replace({})

    def after_skip_message(self, broker: dramatiq.Broker, message: Any) -> None:
        """A thread is done with a message that nobody works on."""
        del broker, message
        logs.replace({})
