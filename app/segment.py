"""Analytics events to Segment, one HTTP request an event (https://segment.com/docs/connections/sources/catalog/libraries/server/python/).

Import this module only where a write key is configured.
"""

import logging
from collections.abc import Mapping
from datetime import datetime

import requests
from segment.analytics.client import Client  # type: ignore[import-untyped]
from segment.analytics.request import APIError  # type: ignore[import-untyped]

from paywindow.errors import Transient

TIMEOUT_SECONDS = 10


class NotTracked(Transient):
    """Segment did not take the event. The text says why, without what Segment answered."""


class Segment:
    """``Segment(write_key).track(...)`` returns when Segment has the event."""

    def __init__(self, write_key: str, host: str):
        # The library would write the key to the log, at level DEBUG.
        logging.getLogger("segment").setLevel(logging.CRITICAL)
        self._client = Client(write_key, host=host, sync_mode=True, timeout=TIMEOUT_SECONDS)

    def track(self, event: str, user_id: str, at: datetime, properties: Mapping[str, object], message_id: str) -> None:
        """Send one event. Segment drops a second one with the same ``message_id``. Raises :class:`NotTracked`."""
        try:
            self._client.track(user_id, event, dict(properties), timestamp=at, message_id=message_id)
        except APIError as error:
            raise NotTracked(f"Segment answered {error.status}") from None  # its text may quote the request
        except requests.RequestException as error:
            raise NotTracked(f"no answer from Segment: {type(error).__name__}") from None
