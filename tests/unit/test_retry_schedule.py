"""When a failed payment is tried again, and when no more."""

from datetime import UTC, datetime, timedelta

import pytest

from paywindow.models import retries
from paywindow.models.tables import CheckoutAttempt, PaymentSession
from paywindow.settings import Role, Settings

NOW = datetime(2026, 1, 31, 10, 30, tzinfo=UTC)
PAGE_ENDS = NOW + timedelta(hours=20)


def settings(**changes: str) -> Settings:
    return Settings.load(Role.MIGRATE, {"DATABASE_URL": "postgresql://x@127.0.0.1/x", **changes})


def session(retry_count: int, granted: int = 0, closes_in: timedelta = timedelta(hours=24)) -> PaymentSession:
    return PaymentSession(retry_count=retry_count, retries_granted=granted, expires_at=NOW + closes_in)


def page() -> CheckoutAttempt:
    return CheckoutAttempt(status="open", page_expires_at=PAGE_ENDS)


@pytest.mark.parametrize(("count", "minutes"), [(0, 1), (1, 5), (2, 15), (3, 15), (19, 15)])
def test_the_waits_are_the_lists_and_beyond_it_the_last(count: int, minutes: int) -> None:
    assert retries.wait(session(count), settings()) == timedelta(minutes=minutes)


@pytest.mark.parametrize(("count", "granted", "left"), [(0, 0, 3), (2, 0, 1), (3, 0, 0), (3, 1, 1), (5, 1, 0)])
def test_grants_add_to_the_limit_and_a_limit_lowered_later_leaves_none_not_less(
    count: int, granted: int, left: int
) -> None:
    assert retries.left(session(count, granted), settings()) == left


def test_a_limit_of_none_means_no_retry_at_all() -> None:
    assert retries.left(session(0), settings(PAYMENT_RETRY_LIMIT="0")) == 0


def test_a_failure_is_looked_at_again_when_its_retry_is_due() -> None:
    assert retries.schedule(session(1), page(), settings(), NOW) == {
        "retry_at": NOW + timedelta(minutes=5),
        "due_at": NOW + timedelta(minutes=5),
    }


def test_a_failure_shortly_before_the_deadline_is_looked_at_again_at_the_deadline() -> None:
    soon = timedelta(minutes=2)

    assert retries.schedule(session(1, closes_in=soon), page(), settings(), NOW)["due_at"] == NOW + soon


def test_a_failure_with_no_retry_left_is_looked_at_at_once_for_its_page_to_be_closed() -> None:
    assert retries.schedule(session(3), page(), settings(), NOW) == {"retry_at": None, "due_at": NOW}
