"""A request's access line: on it are the ids of that request, and of no other."""

import io
import json
import logging
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from paywindow import logs
from paywindow.front.middleware import access_log


@pytest.fixture
def lines() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Call it for the access lines that were written."""
    stream, before = io.StringIO(), access_log.level
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.Formatter("front"))
    access_log.addHandler(handler)
    access_log.setLevel(logging.DEBUG)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    access_log.removeHandler(handler)
    access_log.setLevel(before)


async def test_the_lines_of_one_connection_carry_each_the_ids_of_their_own_request(
    front: Any, shop: dict[str, str], stripe_signature: Callable[[bytes], dict[str, str]], lines: Any
) -> None:
    session, operation = str(uuid.uuid4()), str(uuid.uuid4())
    event = {"id": "evt_1", "object": "event", "type": "charge.succeeded", "livemode": False, "data": {"object": {}}}
    webhook = json.dumps(event).encode()

    await front.post(f"/payments/checkout/{session}/cancel", headers={"X-Request-Id": "first"})
    await front.post("/payments/webhooks/stripe", data=webhook, headers=stripe_signature(webhook))
    await front.get(f"/payments/operations/{operation}", headers={"X-Request-Id": "third"})
    await front.get("/payments/checkout/no-uuid/status", headers={"X-Request-Id": "fourth"})

    first, second, third, fourth = ({name: line[name] for name in logs.IDS if name in line} for line in lines())
    assert first == {"request_id": "first", "session_id": session}
    assert (second.keys(), second["event_id"]) == ({"request_id", "event_id"}, "evt_1")
    assert third == {"request_id": "third", "operation_id": operation}
    assert fourth == {"request_id": "fourth"}


async def test_an_error_is_on_a_line_with_the_ids_of_its_request(front: Any, lines: Any) -> None:
    session = str(uuid.uuid4())

    answer = await front.get(f"/payments/checkout/{session}/status", headers={"X-Request-Id": "refused"})

    (line,) = lines()
    assert (answer.status, line["request_id"], line["session_id"]) == (401, "refused", session)
    assert line["message"].startswith(f"GET /payments/checkout/{session}/status 401 ")
