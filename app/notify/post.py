"""One POST to a receiver that is not trusted: to a judged address, within a time, and of the answer nothing but its status.

``http.client`` is used because it does no more than asked: it follows no redirect and knows of no proxy, which would resolve
the name again.
"""

import http.client
import socket
import ssl
import threading
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from paywindow.notify.guard import Network, public_addresses
from paywindow.notify.sinks import NotDelivered


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    allowed: Sequence[Network],
    timeout: float,
    tls: ssl.SSLContext,
) -> int:
    """The status of the answer. Raises :class:`NotDelivered` when there is none within ``timeout`` seconds."""
    parts = urlsplit(url)
    host, secure = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    addresses = public_addresses(host, port, allowed)
    connection = _Connection(host, port, addresses, timeout, tls if secure else None)
    # Time-outs of the socket start anew with every byte; this one does not.
    deadline = threading.Timer(timeout, connection.abort)
    deadline.daemon = True
    deadline.start()
    try:
        connection.request("POST", parts.path or "/", body, {**headers, "Host": parts.netloc})
        with connection.getresponse() as answer:
            status = answer.status
    except (OSError, http.client.HTTPException) as error:
        why = "no answer in time" if connection.aborted or isinstance(error, TimeoutError) else _reason(error)
        raise NotDelivered(why) from error
    finally:
        deadline.cancel()
        connection.close()
    if connection.aborted:  # what looks like the end of an answer may be where it was cut off
        raise NotDelivered("no answer in time")
    return status


def _reason(error: Exception) -> str:
    """The sort of the error alone: its text may quote what the other side sent."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not valid: {error.verify_message}"
    return f"no answer: {type(error).__name__}"


class _Connection(http.client.HTTPConnection):
    """A connection to one of ``addresses`` for ``host``, over TLS if ``tls`` is given, that another thread can end."""

    def __init__(self, host: str, port: int, addresses: Sequence[str], timeout: float, tls: ssl.SSLContext | None):
        super().__init__(host, port, timeout=timeout)
        self._addresses = addresses
        self._tls = tls
        self.aborted = False

    def connect(self) -> None:
        """Connect to the first address that answers, without asking the resolver again."""
        self.sock = self._open()
        if self._tls is not None:
            # The handshake begins when abort() can already see the socket.
            secured = self._tls.wrap_socket(self.sock, server_hostname=self.host, do_handshake_on_connect=False)
            self.sock = secured
            if self.aborted:
                raise TimeoutError
            secured.do_handshake()

    def _open(self) -> socket.socket:
        for address in self._addresses[:-1]:
            try:
                return socket.create_connection((address, self.port), self.timeout)
            except OSError:
                if self.aborted:
                    raise
        return socket.create_connection((self._addresses[-1], self.port), self.timeout)

    def abort(self) -> None:
        """End whatever the connection waits for."""
        self.aborted = True
        sock = self.sock
        if sock is not None:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                return  # it has ended by itself
