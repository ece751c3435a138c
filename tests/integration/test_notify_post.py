"""A delivery goes to the address that was judged, verifies the name, and is over when its time is over."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from support.receivers import Receiver

from paywindow.notify import guard, signatures
from paywindow.notify.sinks import NotDelivered, Told
from paywindow.notify.webhook import WebhookSink

SECRET = signatures.new_secret()
LOOPBACK = [ip_network("127.0.0.0/8")]
TOLD = Told("id-1", "payment.completed", "session-1", '{"type":"payment.completed"}')


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    yield found
    found.close()


def resolve(monkeypatch: pytest.MonkeyPatch, answers: Callable[[int], str]) -> list[str]:
    """Let ``hooks.example`` have the address that ``answers`` gives for the first, second... question; who asked for it."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *arguments: Any, **options: Any) -> Any:
        if host != "hooks.example":
            return real(host, port, *arguments, **options)
        asked.append(host)
        return real(answers(len(asked)), port, *arguments, **options)

    monkeypatch.setattr(guard.socket, "getaddrinfo", getaddrinfo)
    return asked


def test_a_name_that_changes_its_address_after_it_was_judged_gains_nothing(
    monkeypatch: pytest.MonkeyPatch, receiver: Receiver
) -> None:
    asked = resolve(monkeypatch, lambda question: "127.0.0.1" if question == 1 else "127.0.0.99")

    WebhookSink(f"http://hooks.example:{receiver.port}/x", [SECRET], LOOPBACK).send(TOLD)

    assert asked == ["hooks.example"]
    (came,) = receiver.came
    assert came.headers["host"] == f"hooks.example:{receiver.port}"


def test_a_receiver_s_name_that_leads_inside_is_not_called(monkeypatch: pytest.MonkeyPatch, receiver: Receiver) -> None:
    resolve(monkeypatch, lambda question: "127.0.0.1")

    with pytest.raises(NotDelivered, match=r"leads to 127\.0\.0\.1, which is not a public address"):
        WebhookSink(f"http://hooks.example:{receiver.port}/x", [SECRET]).send(TOLD)

    assert receiver.came == []


def test_a_redirect_is_a_failure_and_is_not_followed(receiver: Receiver) -> None:
    inner = Receiver()
    receiver.answer = lambda delivery: (307, {"Location": f"{inner.url}/latest/meta-data"})

    with pytest.raises(NotDelivered, match="answered 307; redirects are not followed"):
        WebhookSink(receiver.url, [SECRET]).send(TOLD)

    assert (len(receiver.came), inner.came) == (1, [])
    inner.close()


def test_proxies_of_the_environment_are_not_asked(monkeypatch: pytest.MonkeyPatch, receiver: Receiver) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")

    WebhookSink(receiver.url, [SECRET]).send(TOLD)

    assert len(receiver.came) == 1


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate for ``hooks.example``, in PEM, and a server's context with it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "hooks.example")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("hooks.example")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path, private = tmp_path / "certificate.pem", tmp_path / "key.pem"
    path.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path, private)
    return path, context


def test_tls_verifies_the_name_although_the_connection_is_to_an_address(
    monkeypatch: pytest.MonkeyPatch, certificate: tuple[Path, ssl.SSLContext]
) -> None:
    resolve(monkeypatch, lambda question: "127.0.0.1")
    trusted, context = certificate
    secure = Receiver(tls=context)
    stranger = WebhookSink(f"https://hooks.example:{secure.port}/x", [SECRET], LOOPBACK)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))

    WebhookSink(f"https://hooks.example:{secure.port}/x", [SECRET], LOOPBACK).send(TOLD)
    assert len(secure.came) == 1

    with pytest.raises(NotDelivered, match="its certificate is not valid"):
        WebhookSink(f"https://localhost:{secure.port}/x", [SECRET], LOOPBACK).send(TOLD)
    with pytest.raises(NotDelivered, match="its certificate is not valid"):
        stranger.send(TOLD)
    assert len(secure.came) == 1
    secure.close()


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[[socket.socket], None]], str]]:
    """Runs a function with each connection that comes; the URL."""
    servers: list[socket.socket] = []

    def start(behave: Callable[[socket.socket], None]) -> str:
        server = socket.create_server(("127.0.0.1", 0))
        servers.append(server)

        def accept() -> None:
            try:
                while True:
                    connection, _ = server.accept()
                    with connection:
                        behave(connection)
            except OSError:
                return  # the test is over, or the client has hung up

        threading.Thread(target=accept, daemon=True).start()
        return f"http://127.0.0.1:{server.getsockname()[1]}/"

    yield start
    for server in servers:
        server.close()


def trickle(connection: socket.socket) -> None:
    """An answer that comes byte by byte and never ends, faster than any time-out between bytes."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Endless: ")
    while True:
        connection.sendall(b"x")
        time.sleep(0.01)


def keep_silent(connection: socket.socket) -> None:
    while connection.recv(65_536):
        pass


def answer_without_end(connection: socket.socket) -> None:
    connection.recv(65_536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
    while True:
        connection.sendall(b"x" * 65_536)


def talk_nonsense(connection: socket.socket) -> None:
    connection.recv(65_536)
    connection.sendall(b"220 mail.example ESMTP, nothing to see here\r\n")


@pytest.mark.parametrize("behave", [trickle, keep_silent])
def test_a_try_is_over_when_its_time_is_over(
    serve: Callable[[Callable[[socket.socket], None]], str], behave: Callable[[socket.socket], None]
) -> None:
    with pytest.raises(NotDelivered, match="no answer in time"):
        WebhookSink(serve(behave), [SECRET], timeout=0.3).send(TOLD)


def test_an_endless_answer_is_not_read(serve: Callable[[Callable[[socket.socket], None]], str]) -> None:
    WebhookSink(serve(answer_without_end), [SECRET], timeout=30).send(TOLD)


def test_what_the_other_side_says_is_not_repeated(serve: Callable[[Callable[[socket.socket], None]], str]) -> None:
    with pytest.raises(NotDelivered) as caught:
        WebhookSink(serve(talk_nonsense), [SECRET]).send(TOLD)

    assert str(caught.value) == "no answer: BadStatusLine"
