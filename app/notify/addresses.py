"""What a receiver's URL may look like, before anything is resolved."""

import re
from collections.abc import Iterator, Sequence
from urllib.parse import SplitResult, urlsplit

_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")


def names_this_machine(host: str | None) -> bool:
    """Whether a URL's host is this machine by name: for development."""
    return host in _LOOPBACK_NAMES


def problems(urls: Sequence[str], *, development: bool) -> Iterator[str]:
    """What is wrong with receivers' URLs, a rule at a time. ``development``: receivers on this machine are fine, even by http."""
    if len(set(urls)) < len(urls):
        yield "names a URL twice"
    for parts in map(urlsplit, urls):
        if not re.fullmatch(r"[!-~]+", parts.geturl()):
            yield "must be ASCII without spaces; write other characters as %XX, and names of hosts in Punycode"
        elif not _has_usable_port(parts):
            yield "has a port that is none"
        elif names_this_machine(parts.hostname):
            if not development:
                yield "this machine is refused as a receiver with a live key"
        elif parts.scheme != "https":
            yield "must be https, but for this machine"


def _has_usable_port(parts: SplitResult) -> bool:
    try:
        return parts.port != 0
    except ValueError:
        return False
