"""What a sink is, and which ones the settings ask for.

A sink is known by its address, a URL or an ARN: that is what stands in ``notification_deliveries``, so that a delivery belongs
to the same receiver after a restart, and whatever else is configured beside it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from paywindow.errors import Permanent, Transient
from paywindow.settings import Settings

Kind = Literal["webhook", "sns"]


class NotDelivered(Transient):
    """The receiver did not take it; it is offered again later. The text says why, without anything that the receiver sent."""


class NotWanted(Permanent):
    """The receiver asks never to be told again (410 Gone)."""


@dataclass(frozen=True, slots=True)
class Told:
    """A notification as a sink gets it. ``body`` is the JSON text, sent as it is; ``id`` is the same on every try."""

    id: str
    type: str
    session_id: str
    body: str


class Sink(Protocol):
    """A receiver of notifications. ``kind`` is its metrics' label."""

    @property
    def kind(self) -> Kind:
        """What sort of receiver this is."""
        ...

    def send(self, told: Told) -> None:
        """Give it one notification. Raises :class:`NotDelivered` or :class:`NotWanted`; returning means it has it."""
        ...


def open_sinks(settings: Settings) -> Mapping[str, Sink]:
    """The configured sinks by address; nothing is called yet."""
    sinks: dict[str, Sink] = {}
    if settings.notify_urls:
        from paywindow.notify.webhook import WebhookSink

        secrets = [secret.get_secret_value() for secret in settings.notify_webhook_secrets]
        for url in settings.notify_urls:
            sinks[url] = WebhookSink(url, secrets, settings.notify_allowed_networks, settings.notify_timeout_seconds)
    if settings.notify_sns_topic_arn is not None:
        # Loaded only where it is used: boto3 takes longer to import than everything else.
        from paywindow.notify.sns import SnsSink

        arn = settings.notify_sns_topic_arn
        sinks[arn] = SnsSink(arn, settings.notify_timeout_seconds, endpoint_url=settings.aws_endpoint_url)
    return sinks
