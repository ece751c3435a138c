"""Lists of sessions: filters, order, pages, and the indexes that make them cheap."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from paywindow import jsons, messages
from paywindow.models import database as db
from paywindow.models import session_lists
from paywindow.models.database import transaction
from paywindow.published import reply_key

START = datetime(2026, 11, 1, 12, tzinfo=UTC)
BUYER, MAKER = uuid.uuid4(), uuid.uuid4()


def insert(count: int, *, seconds: int = 1, at: datetime = START, **values: Any) -> None:
    """Sessions that are ``seconds`` apart; 0 has all of them created at the same moment."""
    columns = {"status": "completed", "hold_reason": None, "maker_id": None, "buyer_id": None, **values}
    database = db.database.obj
    with transaction():
        database.execute_sql(
            """
            INSERT INTO payment_sessions (id, auction_id, buyer_id, maker_id, amount_minor, currency, late_policy, window_minutes,
                livemode, status, attempt_number, expires_at, due_at, released_at, hold_reason, hold_since, completed_at,
                created_at, updated_at)
            SELECT gen_random_uuid(), gen_random_uuid(), coalesce(%(buyer_id)s::uuid, gen_random_uuid()), %(maker_id)s::uuid, 100,
                'USD', 'refund', 60, false, %(status)s, 1, moment, moment, moment, %(hold_reason)s,
                CASE WHEN %(hold_reason)s IS NOT NULL THEN moment END,
                CASE WHEN %(status)s = 'completed' THEN moment END, moment, moment
            FROM (SELECT %(at)s::timestamptz + number * %(seconds)s * interval '1 second' AS moment
                  FROM generate_series(0, %(count)s - 1) AS number) AS moments
            """,
            {**columns, "count": count, "seconds": seconds, "at": at},
        )


def pages(**query: Any) -> list[list[dict[str, Any]]]:
    """All pages of a list, each through a transaction of its own."""
    found, cursor = [], None
    while True:
        with transaction():
            body = session_lists.page({"limit": 20, **query, "cursor": cursor})
        found.append(body["paymentSessions"])
        cursor = body["nextCursor"]
        if cursor is None:
            return found


def listed(**query: Any) -> list[dict[str, Any]]:
    return [session for page in pages(**query) for session in page]


def test_pages_hold_every_session_once_newest_first_even_when_all_were_created_at_one_moment(shop):
    insert(10)
    insert(7, seconds=0, at=START + timedelta(seconds=4))
    found = pages(limit=4)

    assert [len(page) for page in found] == [4, 4, 4, 4, 1]
    sessions = [session for page in found for session in page]
    assert len({session["id"] for session in sessions}) == 17
    keys = [(session["createdAt"], session["id"]) for session in sessions]
    assert keys == sorted(keys, reverse=True)


def test_a_page_that_is_exactly_full_is_the_last_one_when_nothing_follows(shop):
    insert(4)
    assert [len(page) for page in pages(limit=2)] == [2, 2]


def test_sessions_that_are_opened_meanwhile_move_nothing(shop):
    insert(4)
    with transaction():
        first = session_lists.page({"limit": 2})
    insert(3, at=START + timedelta(hours=1))
    with transaction():
        second = session_lists.page({"limit": 2, "cursor": first["nextCursor"]})

    assert len({each["id"] for each in first["paymentSessions"] + second["paymentSessions"]}) == 4
    assert second["nextCursor"] is None


def test_each_filter_finds_what_it_names_and_together_they_narrow(shop):
    insert(2)
    insert(3, status="expired", buyer_id=str(BUYER))
    insert(4, status="canceled", maker_id=str(MAKER), at=START + timedelta(days=1))
    insert(1, status="expired", hold_reason="late", at=START + timedelta(days=2))
    auction = listed(buyer_id=str(BUYER))[0]["auctionId"]

    def count(**query: Any) -> int:
        return len(listed(**query))

    assert count() == 10
    assert count(status=["expired"]) == 4
    assert count(status=["expired", "canceled"]) == 8
    assert count(buyer_id=str(BUYER)) == 3
    assert count(maker_id=str(MAKER)) == 4
    assert count(auction_id=auction) == 1
    assert (count(held=True), count(held=False), count(held=None)) == (1, 9, 10)
    # From inclusive, before exclusive.
    day = (START + timedelta(days=1)).isoformat()
    assert (count(created_from=day), count(created_before=day)) == (5, 5)
    assert count(created_from=day, created_before=(START + timedelta(days=2)).isoformat()) == 4
    assert count(status=["expired"], buyer_id=str(BUYER), held=False) == 3
    assert count(status=["completed"], buyer_id=str(BUYER)) == 0


def test_a_listed_session_is_what_its_status_answer_says(shop):
    session = shop.open_session()
    (found,) = listed()
    assert found == shop.snapshot(session)["paymentSession"]
    assert found["stripeCheckoutUrl"].startswith("http")

    shop.pass_time(days=2)
    (found,) = listed()
    assert (found["closing"], found["stripeCheckoutUrl"]) == (True, None)


def test_the_actor_replies_with_the_page(shop):
    session, reply = shop.open_session(), uuid.uuid4()
    shop.run(messages.find_sessions(reply, {"limit": 20}))
    outcome = jsons.loads(shop.state.get(reply_key(reply)))
    assert outcome["status"] == 200
    assert [each["id"] for each in outcome["body"]["paymentSessions"]] == [str(session.id)]


INDEXES: list[tuple[dict[str, Any], str]] = [
    ({}, "payment_sessions_listed"),
    ({"created_from": START.isoformat()}, "payment_sessions_listed"),
    ({"status": ["expired"]}, "payment_sessions_listed_by_status"),
    ({"maker_id": str(MAKER)}, "payment_sessions_listed_by_maker"),
    ({"held": True}, "payment_sessions_listed_held"),
    ({"buyer_id": str(BUYER)}, "payment_sessions_by_buyer"),
    ({"auction_id": str(uuid.uuid4())}, "payment_sessions_by_auction"),
]


def test_every_list_is_read_off_an_index_on_its_first_page_and_on_later_ones(shop, monkeypatch):
    insert(8_000)
    insert(
        400,
        status="expired",
        maker_id=str(MAKER),
        buyer_id=str(BUYER),
        hold_reason="late",
        at=START + timedelta(hours=1),
    )
    insert(8_000, at=START + timedelta(hours=2))
    database, asked = db.database.obj, []
    execute = database.execute_sql

    def executing(sql, params=None, *args, **kwargs):
        asked.append((sql, params))
        return execute(sql, params, *args, **kwargs)

    monkeypatch.setattr(database, "execute_sql", executing)
    with transaction():
        execute("ANALYZE payment_sessions")
        for query, index in INDEXES:
            cursor = None
            for _ in range(2):
                asked.clear()
                cursor = session_lists.page({"limit": 10, **query, "cursor": cursor})["nextCursor"]
                (sql, params) = asked[0]
                plan = "\n".join(row[0] for row in execute(f"EXPLAIN {sql}", params).fetchall())
                assert f" {index} on" in plan, plan
                assert "Seq Scan" not in plan
