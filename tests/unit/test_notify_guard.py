"""Receivers' names never lead to an inner address."""

import socket
from ipaddress import ip_network
from typing import Any

import pytest

from paywindow.notify import guard
from paywindow.notify.guard import Forbidden, public_addresses
from paywindow.notify.sinks import NotDelivered

PUBLIC = "93.184.215.14"


def resolving_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    def getaddrinfo(host: str, port: int, **options: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(guard.socket, "getaddrinfo", getaddrinfo)


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "127.0.0.1",
        "127.8.8.8",
        "0.0.0.0",  # noqa: S104 - an address to be refused, not one to listen on
        "169.254.169.254",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1%eth0",
        "fd00:ec2::254",
        "ff02::1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a00:1::",
    ],
)
def test_inner_addresses_are_refused(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    resolving_to(monkeypatch, address)

    with pytest.raises(Forbidden, match=r"hooks\.example leads to .* not a public address"):
        public_addresses("hooks.example", 443, [])


@pytest.mark.parametrize("address", [PUBLIC, "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "::ffff:8.8.8.8"])
def test_public_addresses_are_not(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    resolving_to(monkeypatch, address, address)

    assert public_addresses("hooks.example", 443, []) == [address]


def test_one_inner_address_among_public_ones_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving_to(monkeypatch, PUBLIC, "10.0.0.1")

    with pytest.raises(Forbidden):
        public_addresses("hooks.example", 443, [])


def test_an_inner_network_can_be_allowed_and_nothing_else_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    allowed = [ip_network("10.1.0.0/16"), ip_network("fd12::/16")]
    resolving_to(monkeypatch, "10.1.2.3", "fd12::1")
    assert public_addresses("hooks.internal", 443, allowed) == ["10.1.2.3", "fd12::1"]

    resolving_to(monkeypatch, "10.2.0.1")
    with pytest.raises(Forbidden):
        public_addresses("hooks.internal", 443, allowed)


def test_this_machine_is_called_only_by_its_own_name(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving_to(monkeypatch, "127.0.0.1")
    assert public_addresses("localhost", 8000, []) == ["127.0.0.1"]
    with pytest.raises(Forbidden):
        public_addresses("localhost.example", 8000, [])

    # A name of this machine that leads elsewhere is no name of this machine.
    resolving_to(monkeypatch, "10.0.0.1")
    with pytest.raises(Forbidden):
        public_addresses("localhost", 8000, [])


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "127.1", "0177.0.0.1"])
def test_other_ways_to_write_an_inner_address_are_seen_through(host: str) -> None:
    with pytest.raises(Forbidden):
        public_addresses(host, 443, [])


def test_a_name_that_does_not_exist_is_tried_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    def getaddrinfo(*args: Any, **options: Any) -> list[Any]:
        raise socket.gaierror

    monkeypatch.setattr(guard.socket, "getaddrinfo", getaddrinfo)

    with pytest.raises(NotDelivered, match=r"nowhere\.example cannot be resolved"):
        public_addresses("nowhere.example", 443, [])
