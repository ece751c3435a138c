"""Lines carry the ids of the work at hand, and only its."""

import io
import json
import logging
import threading
import uuid
from collections.abc import Iterator
from contextvars import copy_context
from datetime import UTC, datetime
from typing import Any

import pytest
from dramatiq import MessageProxy
from dramatiq.brokers.stub import StubBroker

from paywindow import logs, messages
from paywindow.message_logs import LogMessages, ids_of


@pytest.fixture
def written() -> Iterator[Any]:
    """Call it for the lines that the test's logger has written. Nothing is bound, though an actor ran here before."""
    logs.replace({})
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.Formatter("worker"))
    logger = logging.getLogger("paywindow.test")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logger.removeHandler(handler)
    logs.replace({})


LOG = logging.getLogger("paywindow.test")


def test_what_is_bound_is_in_the_lines_of_the_same_context(written: Any) -> None:
    def inside() -> None:
        logs.bind(request_id="r")
        logs.bind(session_id="s", attempt_id=None)
        LOG.info("inside")

    copy_context().run(inside)
    LOG.info("outside")

    within, outside = written()
    assert (within["request_id"], within["session_id"]) == ("r", "s")
    assert "attempt_id" not in within
    assert not set(logs.IDS) & set(outside)
    assert {"time", "level", "logger", "message", "role", "pid"} <= set(outside)


def test_a_name_that_is_no_id_cannot_be_bound() -> None:
    with pytest.raises(KeyError, match="sesion_id"):
        logs.bind(sesion_id="s")


def test_another_thread_has_ids_of_its_own(written: Any) -> None:
    logs.bind(request_id="r")
    thread = threading.Thread(target=LOG.info, args=("elsewhere",))
    thread.start()
    thread.join()

    assert "request_id" not in written()[0]


def test_a_message_is_named_without_its_arguments_and_errors_are_scrubbed(written: Any) -> None:
    message = messages.build("events.receive", body='{"name": "Ada Winner"}', received_at="now")
    try:
        int("no such buyer: ada@example.com")
    except ValueError:
        LOG.exception("failed: %s, %r", MessageProxy(message), message, extra={"card": "4242 4242 4242 4242"})

    (line,) = written()
    assert line["message"] == f"failed: events.receive {message.message_id}, 'events.receive {message.message_id}'"
    assert line["error"].splitlines()[-1] == (
        "ValueError: invalid literal for int() with base 10: 'no such buyer: [email]'"
    )
    assert line["card"] == "[card]"


def test_what_came_with_a_line_is_in_it_and_hidden_where_it_is_private(written: Any) -> None:
    LOG.info("sold", extra={"lots": [1, 2], "at": datetime(2026, 1, 2, tzinfo=UTC), "buyer_email": "ada@example.com"})

    (line,) = written()
    assert (line["lots"], line["at"][:10], line["buyer_email"]) == ([1, 2], "2026-01-02", "[hidden]")


ODD = ["half of a pair: \ud83d", 2**70, {"within": "\udc00"}, object(), b"\xff", float("nan"), "\x9b31m \u2028 \x85"]


@pytest.mark.parametrize("odd", ODD, ids=range(len(ODD)))
def test_no_value_keeps_a_line_from_being_json(written: Any, odd: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        LOG, "propagate", False
    )  # what pytest captures goes from one process to another, which not all can
    LOG.info("it was %s", odd, extra={"odd": odd})

    (line,) = written()
    assert line["message"].startswith("it was ")
    assert "odd" in line


def test_what_another_handler_has_left_in_a_record_is_not_in_the_line(written: Any) -> None:
    other = logging.StreamHandler(io.StringIO())
    other.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    LOG.handlers.insert(0, other)
    LOG.info("to %r", messages.build("events.receive", body="Ada Winner", received_at="now"))
    LOG.removeHandler(other)

    (line,) = written()
    assert "Ada" not in line["message"]
    assert "asctime" not in line


def test_the_ids_of_a_message_are_those_of_its_arguments_and_its_request() -> None:
    message = messages.command("window.expire", uuid.UUID(int=1), "shop", "0", {"session_id": "s"})

    assert ids_of(message.copy(options={"request_id": "r"})) == {
        "request_id": "r",
        "message_id": message.message_id,
        "actor": "window.expire",
        "operation_id": "00000000-0000-0000-0000-000000000001",
        "session_id": "s",
    }


def test_a_thread_forgets_a_message_when_it_is_done_with_it_however_it_ended() -> None:
    middleware, broker = LogMessages(), StubBroker(middleware=[])
    message = messages.publish_session(uuid.UUID(int=1))

    for end in (
        lambda: middleware.after_process_message(broker, message),
        lambda: middleware.after_process_message(broker, message, exception=ValueError()),
        lambda: middleware.after_skip_message(broker, message),
    ):
        middleware.before_process_message(broker, message)
        assert logs.current()["session_id"]
        end()
        assert logs.current() == {}


def test_a_message_takes_along_the_request_that_caused_it_and_keeps_its_own() -> None:
    middleware, broker = LogMessages(), StubBroker(middleware=[])
    first, second = messages.build("sweeps.inbox"), messages.build("sweeps.inbox").copy(options={"request_id": "mine"})

    def sent() -> None:
        logs.bind(request_id="r")
        for message in (first, second):
            middleware.before_enqueue(broker, message, None)

    copy_context().run(sent)

    assert (first.options["request_id"], second.options["request_id"]) == ("r", "mine")


def test_an_id_that_a_caller_chose_is_scrubbed_like_everything_else(written: Any) -> None:
    logs.bind(request_id="4242424242424242")
    LOG.info("asked")

    assert written()[0]["request_id"] == "[card]"
