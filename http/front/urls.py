"""Where a buyer may be sent after Checkout: addresses that match an allow-list, compared part by part.

An open redirect on a payment page is a phishing tool, and text comparison is how allow-lists are fooled
(``https://shop.example.evil.org``, ``https://shop.example@evil.org``, ``/shop/../elsewhere``). So an address is
parsed; what parsers read differently is refused; scheme, host and port must be equal, and the path must lie under the
allowed one.
"""

import ipaddress
import re
from dataclasses import dataclass
from typing import Self
from urllib.parse import SplitResult, unquote, urlsplit

from paywindow.settings import Settings

MAX_CHARACTERS = 2048

_PORTS = {"https": 443, "http": 80}
#: RFC 3986 characters, and the braces of Stripe's ``{CHECKOUT_SESSION_ID}``; no backslash, space, control or non-ASCII.
_CHARACTERS = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%{}]+")
_SEPARATORS = re.compile(r"%2f|[\\\x00-\x1f\x7f]", re.IGNORECASE)


class InvalidUrl(ValueError):
    """The address may not be used; the message names the rule."""


@dataclass(frozen=True, slots=True)
class _Place:
    scheme: str
    host: str
    port: int
    path: tuple[str, ...]

    def covers(self, other: "_Place") -> bool:
        same = (self.scheme, self.host, self.port) == (other.scheme, other.host, other.port)
        return same and other.path[: len(self.path)] == self.path


@dataclass(frozen=True, slots=True)
class AllowList:
    """The addresses that return, cancel and refresh URLs must lie under."""

    places: tuple[_Place, ...]

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The configured list, and the addresses that the configuration itself sends buyers and sellers to."""
        own = (
            settings.public_url,
            settings.checkout_return_url,
            settings.checkout_cancel_url,
            settings.seller_return_url,
            settings.seller_refresh_url,
        )
        urls = [*settings.checkout_url_allow_list, *(url for url in own if url is not None)]
        return cls(tuple(_place(urlsplit(url)) for url in urls))

    def check(self, url: str) -> str:
        """The address, unchanged, if it may be used. Raises :class:`InvalidUrl` with the rule that it breaks."""
        if len(url) > MAX_CHARACTERS:
            raise InvalidUrl(f"must not exceed {MAX_CHARACTERS} characters")
        if not _CHARACTERS.fullmatch(url):
            raise InvalidUrl("must be an absolute URL of printable ASCII characters, without backslash or space")
        place = _parsed(url)
        if place.scheme == "http" and not _is_loopback(place.host):
            raise InvalidUrl("must use https")
        if not any(allowed.covers(place) for allowed in self.places):
            raise InvalidUrl("must lie under an address of the allow-list (CHECKOUT_URL_ALLOW_LIST)")
        return url


def _parsed(url: str) -> _Place:
    try:
        parts = urlsplit(url)
        place = _place(parts)
    except ValueError:
        raise InvalidUrl("must be a well-formed absolute URL") from None
    if parts.scheme not in _PORTS or not place.host:
        raise InvalidUrl("must be an absolute http(s) URL")
    if parts.username is not None or parts.password is not None:
        raise InvalidUrl("must not contain a user or password")
    if _climbs(parts.path):
        raise InvalidUrl("must not contain dot segments or encoded slashes in its path")
    return place


def _place(parts: SplitResult) -> _Place:
    port = _PORTS.get(parts.scheme, 0) if parts.port is None else parts.port
    segments = tuple(parts.path.rstrip("/").split("/")[1:])
    return _Place(parts.scheme, parts.hostname or "", port, segments)


def _climbs(path: str) -> bool:
    """Whether a browser or server might read the path as another one: ``..`` and the like, however often encoded."""
    while True:
        if _SEPARATORS.search(path) or any(segment.partition(";")[0] in (".", "..") for segment in path.split("/")):
            return True
        decoded = unquote(path)
        if decoded == path:
            return False
        path = decoded


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
