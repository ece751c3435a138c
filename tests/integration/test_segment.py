"""Analytics events reach Segment with the documented names and properties, once under one id however often they are sent."""

import base64
import json
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from support.receivers import Receiver

from paywindow import clock
from paywindow.actors import analytics
from paywindow.errors import Transient
from paywindow.models.tables import Outbox

if TYPE_CHECKING:
    from conftest import Shop
else:
    Shop = Any


@pytest.fixture
def segment() -> Iterator[Receiver]:
    found = Receiver(answer=lambda delivery: (200, {}))
    yield found
    found.close()


@pytest.fixture
def tracked(make_shop: Callable[..., Shop], segment: Receiver) -> Shop:
    """A shop that tells Segment."""
    return make_shop(SEGMENT_WRITE_KEY="write-key", SEGMENT_HOST=segment.url)


def events(segment: Receiver) -> list[dict[str, Any]]:
    return [event for each in segment.came for event in json.loads(each.body)["batch"]]


def waiting(shop: Shop) -> list[Outbox]:
    return shop.rows(Outbox, Outbox.actor == "analytics.track")


def test_a_purchase_is_told_by_name_with_its_properties_and_ids_alone(tracked: Shop, segment: Receiver) -> None:
    session = tracked.open_session(buyer_email="anna@example.com", locale="de-AT")
    tracked.pay(session)
    tracked.deliver()

    started, completed, generated = events(segment)
    assert [event["event"] for event in (started, completed, generated)] == [
        "payments.checkout.started",
        "payments.checkout.completed",
        "payments.receipt.generated",
    ]
    for event in (started, completed, generated):
        assert event["type"] == "track"
        assert event["userId"] == str(session.buyer_id)
        assert event["properties"]["payment_session_id"] == str(session.id)
        assert event["properties"]["auction_id"] == str(session.auction_id)
        assert event["properties"]["amount_usd"] == "275.50"
        assert abs(datetime.fromisoformat(event["timestamp"]) - clock.now()).total_seconds() < 120
    assert generated["properties"]["receipt_number"].startswith("R-")
    assert generated["properties"]["receipt_language"] == "de"
    assert base64.b64decode(segment.came[0].headers["authorization"].split()[1]) == b"write-key:"
    assert all(b"anna@example.com" not in each.body for each in segment.came)
    assert waiting(tracked) == []


def test_an_event_that_segment_did_not_take_is_sent_again_under_the_same_id(tracked: Shop, segment: Receiver) -> None:
    statuses = [500, 200]
    segment.answer = lambda delivery: (statuses.pop(0), {})
    tracked.deaf_to = {"analytics.track"}
    tracked.open_session()
    tracked.deaf_to = set()
    (row,) = waiting(tracked)
    arguments = json.loads(row.arguments)

    with pytest.raises(Transient, match="Segment answered 500"):
        analytics.track(**arguments, outbox_id=row.id)
    assert len(waiting(tracked)) == 1
    tracked.pass_time(minutes=1)
    tracked.sweep()

    first, second = events(segment)
    assert first["messageId"] == second["messageId"]
    assert waiting(tracked) == []


def test_different_events_have_different_ids(tracked: Shop, segment: Receiver) -> None:
    tracked.open_session()
    tracked.pay(tracked.open_session())
    tracked.deliver()

    ids = [event["messageId"] for event in events(segment)]
    assert len(set(ids)) == len(ids) == 4


def test_an_event_that_nobody_took_for_days_is_dropped(tracked: Shop, segment: Receiver) -> None:
    segment.answer = lambda delivery: (503, {})
    tracked.deaf_to = {"analytics.track"}
    tracked.open_session()
    tracked.deaf_to = set()
    (row,) = waiting(tracked)

    tracked.pass_time(days=3)
    analytics.track(**json.loads(row.arguments), outbox_id=row.id)

    assert waiting(tracked) == []


def test_a_segment_that_hangs_leaves_the_event_to_the_outbox(
    tracked: Shop, segment: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(analytics._LANES, "_width", 0)

    tracked.open_session()

    assert segment.came == []
    assert len(waiting(tracked)) == 1


def test_without_a_write_key_events_are_logged_and_done(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "paywindow.analytics")

    session = shop.open_session()

    (line,) = [record for record in caplog.records if record.name == "paywindow.analytics"]
    assert line.message == "payments.checkout.started"
    assert line.__dict__["properties"]["payment_session_id"] == str(session.id)
    assert waiting(shop) == []
