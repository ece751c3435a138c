"""Statements whose answer nobody reads travel with the next one, and fail and roll back as if they had come alone."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from peewee import DataError, IntegrityError, InterfaceError, InternalError, OperationalError, ProgrammingError
from playhouse.db_url import parse

from paywindow import clock
from paywindow.models import database as db
from paywindow.models import outbox
from paywindow.models.pool import Pool
from paywindow.models.tables import Outbox, StripeEvent

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Watched(Pool):
    """Notes each message that is sent to Postgres."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.sent: list[str] = []
        super().__init__(*args, **kwargs)

    def cursor(self, *args: Any) -> Any:
        return _Cursor(super().cursor(*args), self.sent)  # type: ignore[no-untyped-call]


class _Cursor:
    def __init__(self, cursor: Any, sent: list[str]) -> None:
        self._cursor, self._sent = cursor, sent

    def execute(self, text: str | bytes, params: Any = None) -> None:
        self._sent.append(text if isinstance(text, str) else text.decode())
        self._cursor.execute(text, params) if params is not None else self._cursor.execute(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)


@pytest.fixture
def database(database_url: str) -> Iterator[Watched]:
    options = parse(database_url)
    found = Watched(options.pop("database"), max_connections=1, autoconnect=False, **options)
    with found.connection_context():
        found.execute_sql("CREATE TABLE kept (name text PRIMARY KEY)")
        found.sent.clear()
        yield found
        found.execute_sql("DROP TABLE kept")
    found.close_all()


def insert(database: Pool, name: str) -> None:
    database.execute_later("INSERT INTO kept VALUES (%s)", (name,))


def names(database: Pool) -> list[str]:
    return [name for (name,) in database.execute_sql("SELECT name FROM kept ORDER BY name").fetchall()]


def test_a_transaction_of_such_statements_is_one_message(database: Watched) -> None:
    with database.atomic():
        insert(database, "a")
        insert(database, "b")
    assert database.sent == ["BEGIN;\nINSERT INTO kept VALUES ('a');\nINSERT INTO kept VALUES ('b');\nCOMMIT"]
    assert names(database) == ["a", "b"]


def test_whoever_reads_finds_what_was_written_before(database: Watched) -> None:
    with database.atomic():
        insert(database, "a")
        assert names(database) == ["a"]
    assert len(database.sent) == 2


def test_a_transaction_without_statements_says_nothing(database: Watched) -> None:
    with database.atomic():
        pass
    with pytest.raises(ZeroDivisionError), database.atomic():
        _ = 1 / 0
    assert database.sent == []


def test_outside_of_a_transaction_nothing_is_kept(database: Watched) -> None:
    insert(database, "a")
    assert database.sent == ["INSERT INTO kept VALUES (%s)"]
    assert names(database) == ["a"]


def test_values_are_taken_as_they_are(database: Watched) -> None:
    odd = ["100%", "%s", "%(name)s", "it's; COMMIT", "\\'; ROLLBACK; --", "a\nb"]
    with database.atomic():
        for each in odd:
            insert(database, each)
        assert database.execute_sql("SELECT count(*) FROM kept WHERE name LIKE '%%s'").fetchone() == (2,)
    assert names(database) == sorted(odd)


def test_what_is_kept_is_forgotten_with_its_transaction(database: Watched) -> None:
    with pytest.raises(ZeroDivisionError), database.atomic():
        insert(database, "a")
        _ = 1 / 0
    assert database.sent == []
    with pytest.raises(ZeroDivisionError), database.atomic():
        names(database)
        insert(database, "a")
        _ = 1 / 0
    assert database.sent[-1] == "ROLLBACK"
    assert names(database) == []


@pytest.mark.parametrize("reads", [False, True])
def test_one_that_fails_takes_its_transaction_with_it(database: Watched, reads: bool) -> None:
    with pytest.raises(IntegrityError), database.atomic():
        insert(database, "before")
        insert(database, "twice")
        insert(database, "twice")
        insert(database, "after")
        if reads:
            names(database)
    assert names(database) == []
    with database.atomic():
        insert(database, "the connection is as good as new")
    assert len(names(database)) == 1


def test_a_statement_that_cannot_be_written_fails_where_it_is_asked_for(database: Watched) -> None:
    with pytest.raises((DataError, ProgrammingError, ValueError)), database.atomic():
        insert(database, "a")
        insert(database, "a\0b")
        pytest.fail("it was kept")
    assert names(database) == []


def test_a_savepoint_takes_back_its_own_statements_sent_or_not(database: Watched) -> None:
    with database.atomic():
        insert(database, "outside")
        with pytest.raises(ZeroDivisionError), database.atomic():
            insert(database, "kept")
            _ = 1 / 0
        with pytest.raises(ZeroDivisionError), database.atomic():
            insert(database, "sent")
            names(database)
            insert(database, "kept")
            _ = 1 / 0
        insert(database, "after")
    assert names(database) == ["after", "outside"]


def test_a_statement_that_fails_as_its_savepoint_ends_fails_within_it(database: Watched) -> None:
    with database.atomic():
        insert(database, "outside")
        with pytest.raises(IntegrityError), database.atomic():
            insert(database, "twice")
            insert(database, "twice")
        insert(database, "after")
    assert names(database) == ["after", "outside"]


def test_a_statement_from_before_a_savepoint_does_not_fail_within_it(database: Watched) -> None:
    insert(database, "there")
    with pytest.raises(IntegrityError), database.atomic():
        insert(database, "there")
        with database.atomic():
            pytest.fail("the savepoint began")
    assert names(database) == ["there"]


def test_savepoints_within_savepoints_end_with_their_own(database: Watched) -> None:
    with database.atomic():
        with pytest.raises(ZeroDivisionError), database.atomic():
            insert(database, "outer")
            with database.atomic():
                insert(database, "inner")
            _ = 1 / 0
        with database.atomic():
            insert(database, "outer")
            with pytest.raises(ZeroDivisionError), database.atomic():
                insert(database, "inner")
                _ = 1 / 0
    assert names(database) == ["outer"]


def test_a_savepoint_travels_with_its_statements_and_its_end_with_what_follows(database: Watched) -> None:
    with database.atomic():
        with database.atomic():
            insert(database, "a")
        insert(database, "b")
    first, second = (message.split(";\n") for message in database.sent)
    assert [statement.split()[0] for statement in first] == ["BEGIN", "SAVEPOINT", "INSERT"]
    assert [statement.split()[0] for statement in second] == ["RELEASE", "INSERT", "COMMIT"]


def test_a_savepoint_without_statements_says_nothing(database: Watched) -> None:
    with database.atomic():
        with database.atomic():
            pass
        insert(database, "a")
    assert "SAVEPOINT" not in "".join(database.sent)


def test_a_savepoint_that_was_rolled_back_leaves_a_transaction_that_can_be_committed(database: Watched) -> None:
    insert(database, "there")
    with database.atomic():
        with pytest.raises(IntegrityError), database.atomic():
            insert(database, "there")
            names(database)
        insert(database, "after")
    with database.atomic(), pytest.raises(IntegrityError), database.atomic():
        insert(database, "there")
        names(database)
    assert names(database) == ["after", "there"]


def test_an_error_that_was_overlooked_does_not_end_as_a_commit(database: Watched) -> None:
    insert(database, "there")
    with pytest.raises(InternalError, match="has failed"), database.atomic():
        insert(database, "a")
        insert(database, "there")
        with pytest.raises(IntegrityError):
            names(database)
    assert names(database) == ["there"]


@pytest.mark.parametrize("then", [names, lambda database: insert(database, "b")])
def test_what_follows_a_first_message_that_postgres_could_not_read_is_not_committed_alone(
    database: Watched, then: Callable[[Pool], object]
) -> None:
    with pytest.raises(InternalError, match="did not begin"), database.atomic():
        insert(database, "a")
        with pytest.raises(ProgrammingError):
            database.execute_sql("SELEC 1")
        then(database)
    assert names(database) == []


def test_a_connection_that_is_lost_in_the_middle_of_a_message_loses_its_transaction_and_no_more(
    database: Watched, database_url: str
) -> None:
    options = parse(database_url)
    dying = Pool(options.pop("database"), max_connections=1, autoconnect=False, **options)
    lost = pytest.raises((OperationalError, InterfaceError))
    with lost, dying.connection_context(), dying.atomic():
        insert(dying, "a")
        dying.execute_later("SELECT pg_terminate_backend(pg_backend_pid())")
        insert(dying, "b")
    with dying.connection_context(), dying.atomic():
        insert(dying, "c")
    dying.close_all()
    assert names(database) == ["c"]


def test_the_workers_savepoints_are_such(shop: Any) -> None:
    del shop
    with db.transaction():
        outbox.follow_up("publish.session", clock.now(), session_id="outside")
        with pytest.raises(ValueError, match="the handler's own"), db.savepoint():
            for _ in range(2):  # would collide, if anybody sent them
                StripeEvent.create(id="evt_1", type="ping", livemode=False, stripe_created_at=NOW, received_at=NOW)
            outbox.follow_up("publish.session", clock.now(), session_id="inside")
            raise ValueError("the handler's own")
        with pytest.raises(IntegrityError), db.savepoint():
            for _ in range(2):
                StripeEvent.create(id="evt_1", type="ping", livemode=False, stripe_created_at=NOW, received_at=NOW)
            outbox.follow_up("publish.session", clock.now(), session_id="inside")
        StripeEvent.create(id="evt_2", type="ping", livemode=False, stripe_created_at=NOW, received_at=NOW)
    with db.transaction():
        assert [row.id for row in StripeEvent.read_all("")] == ["evt_2"]
        assert ["outside" in row.arguments for row in Outbox.read_all("")] == [True]


def test_a_transaction_within_one_is_refused_and_takes_nothing_from_it(shop: Any) -> None:
    with db.transaction():
        outbox.follow_up("publish.session", clock.now(), session_id="outer")
        with pytest.raises(RuntimeError, match="already open"), db.transaction():
            pytest.fail("it began")
    assert [message.kwargs["session_id"] for message in shop.queue.messages] == ["outer"]


def test_a_follow_up_without_a_transaction_is_refused(shop: Any) -> None:
    del shop
    with db.connection(), pytest.raises(RuntimeError, match="no transaction"):
        outbox.follow_up("publish.session", clock.now(), session_id="nobody's")
