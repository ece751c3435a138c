"""Deliveries to a URL as Standard Webhooks: signed, and judged by the status of the answer alone."""

import ssl
import time
from collections.abc import Sequence
from http import HTTPStatus

from paywindow import __version__
from paywindow.notify import signatures
from paywindow.notify.guard import Network
from paywindow.notify.post import post
from paywindow.notify.sinks import Kind, NotDelivered, NotWanted, Told


class WebhookSink:
    """``WebhookSink("https://shop.example.com/hooks", ["whsec_..."])``.

    Every secret signs. ``allowed``: networks that may be called although they are not public. ``timeout``: seconds for one
    try, from the connection to the answer.
    """

    kind: Kind = "webhook"

    def __init__(self, url: str, secrets: Sequence[str], allowed: Sequence[Network] = (), timeout: float = 10):
        self._url = url
        self._secrets = secrets
        self._allowed = allowed
        self._timeout = timeout
        self._tls = ssl.create_default_context()

    def send(self, told: Told) -> None:
        """See :class:`paywindow.notify.sinks.Sink`."""
        body = told.body.encode()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"paywindow/{__version__}",
            # Receivers compare it with their own clock: real time, not business time.
            **signatures.headers(self._secrets, told.id, int(time.time()), body),
        }
        status = post(self._url, body, headers, allowed=self._allowed, timeout=self._timeout, tls=self._tls)
        if status == HTTPStatus.GONE:
            raise NotWanted("answered 410 Gone")
        if not 200 <= status < 300:
            raise NotDelivered(f"answered {status}" + ("; redirects are not followed" if 300 <= status < 400 else ""))
