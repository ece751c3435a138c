"""When a page's money counts, and when a window next needs attention."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from paywindow.checkout import read_checkout
from paywindow.models import windows

AT = datetime(2026, 1, 31, 10, 30, tzinfo=UTC)
SOON, LATER = AT + timedelta(hours=1), AT + timedelta(hours=2)


def page(status, payment_status, charge=None):
    charge = charge and {"id": "ch_1", "status": charge, "amount": 100, "created": 1}
    return read_checkout(
        {
            "id": "cs_1",
            "status": status,
            "payment_status": payment_status,
            "amount_total": 100,
            "currency": "usd",
            "expires_at": 1,
            "payment_intent": {"id": "pi_1", "status": "succeeded", "latest_charge": charge},
        }
    )


@pytest.mark.parametrize(
    ("found", "paid"),
    [
        (page("complete", "paid"), True),
        (page("complete", "paid", "succeeded"), True),
        (page("complete", "unpaid", "pending"), False),
        (page("open", "unpaid", "failed"), False),
        (page("expired", "unpaid", "failed"), False),
        (page("expired", "unpaid"), False),
        (page("expired", "unpaid", "succeeded"), True),
    ],
)
def test_a_charge_that_succeeded_is_money_whatever_became_of_the_page(found, paid):
    assert found.paid is paid


def attempt(status, page_expires_at=None):
    return SimpleNamespace(status=status, page_expires_at=page_expires_at)


@pytest.mark.parametrize(
    ("current", "retry_at", "due"),
    [
        (None, None, LATER),
        (attempt("claimed"), None, LATER),
        (attempt("open", SOON), None, SOON),
        (attempt("open", LATER + timedelta(hours=1)), None, LATER),
        (attempt("closed", SOON), None, LATER),
        (attempt("open", LATER), AT, AT),
    ],
)
def test_a_window_is_due_at_its_deadline_or_earlier_with_its_page_or_its_retry(current, retry_at, due):
    assert windows.next_due(LATER, current, retry_at) == due
