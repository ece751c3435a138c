"""Requests that reach the public internet and nothing inside (server-side request forgery, OWASP API7:2023).

A receiver's name is resolved once, every address that it has is judged, and the connection goes to exactly an address that was
judged: a name that answers differently a moment later (*DNS rebinding*) gains nothing. TLS still verifies the name.
"""

import ipaddress
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from paywindow.notify.addresses import names_this_machine
from paywindow.notify.sinks import NotDelivered

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

#: Addresses of IPv4 in the clothes of IPv6, by way of a translating gateway (RFC 6052).
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class Forbidden(NotDelivered):
    """The receiver's name leads to an address that must not be called."""


def public_addresses(host: str, port: int, allowed: Sequence[Network]) -> list[str]:
    """All addresses of ``host``, each of them public or in an ``allowed`` network.

    Raises :class:`Forbidden` when any of them is not, and :class:`NotDelivered` when there is none.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise NotDelivered(f"{host} cannot be resolved") from error
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    for text in addresses:
        address = ipaddress.ip_address(text)
        loopback = names_this_machine(host) and address.is_loopback
        if not (loopback or _is_allowed(address, allowed) or _is_public(address)):
            raise Forbidden(f"{host} leads to {text}, which is not a public address (NOTIFY_ALLOWED_NETWORKS)")
    return addresses


def _is_allowed(address: Address, allowed: Sequence[Network]) -> bool:
    return any(address in network for network in allowed if network.version == address.version)


def _is_public(address: Address) -> bool:
    inner = _embedded(address)
    if inner is not None:
        return _is_public(inner)
    return address.is_global and not address.is_multicast


def _embedded(address: Address) -> IPv4Address | None:
    """The address of IPv4 that a gateway or the kernel would call in its place."""
    if isinstance(address, IPv4Address):
        return None
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour
