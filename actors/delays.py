"""Telling whoever waits for a command that Stripe does not answer, so that nobody waits for nothing.

The command itself goes on: its row says when it is tried again. A first failure is not told, because most are over with the
next try, a second later; when calls fail at once because Stripe is known to be away (:mod:`paywindow.circuit`), it is.
"""

import uuid
from typing import Any

import dramatiq
from dramatiq.middleware import Middleware

from paywindow.actors.runtime import runtime
from paywindow.errors import StripeUnavailable
from paywindow.published import Outcome

_BODY = {"code": "stripe_unavailable", "detail": "Stripe does not answer right now. The command goes on when it does."}


class TellOfDelays(Middleware):
    """Publishes the delay of a command after each try that Stripe did not answer, but for a first one."""

    def after_process_message(
        self, broker: dramatiq.Broker, message: Any, *, result: Any = None, exception: BaseException | None = None
    ) -> None:
        """A thread is done with a message, of a command or not."""
        del broker, result
        command = message.kwargs
        if (
            not isinstance(exception, StripeUnavailable)
            or not {"operation_id", "client", "fingerprint"} <= command.keys()
        ):
            return
        if message.options.get("retries", 0) or runtime().gateway.circuit.open:
            outcome = Outcome(202, _BODY, command["client"], command["fingerprint"])
            runtime().publisher.delay(uuid.UUID(command["operation_id"]), outcome)
