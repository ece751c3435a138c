"""What is read from Stripe's Dispute objects."""

from datetime import UTC, datetime
from typing import Any, get_args

import pytest
import stripe

from paywindow.disputes import is_inquiry, read_dispute
from paywindow.errors import Permanent


def dispute(**changes: Any) -> dict[str, Any]:
    return {
        "id": "du_1",
        "amount": 27_550,
        "balance_transactions": [],
        "charge": "ch_1",
        "created": 1_769_855_400,
        "currency": "usd",
        "evidence_details": {"due_by": 1_770_633_000},
        "is_charge_refundable": False,
        "payment_intent": "pi_1",
        "reason": "fraudulent",
        "status": "needs_response",
        **changes,
    }


WITHDRAWN = {"amount": -27_550, "fee": 1_500, "net": -29_050, "currency": "usd"}
REINSTATED = {"amount": 27_550, "fee": 0, "net": 27_550, "currency": "usd"}


@pytest.mark.parametrize(
    ("entries", "withdrawn", "reinstated", "fee", "net"),
    [
        ([], False, False, 0, 0),
        ([WITHDRAWN], True, False, 1_500, -29_050),
        ([WITHDRAWN, REINSTATED], True, True, 1_500, -1_500),
    ],
)
def test_balance_transactions_say_what_was_taken_and_given_back(
    entries: list[dict[str, Any]], withdrawn: bool, reinstated: bool, fee: int, net: int
) -> None:
    found = read_dispute(dispute(balance_transactions=entries))

    assert (found.withdrawn, found.reinstated, found.fee_minor, found.net_minor) == (withdrawn, reinstated, fee, net)
    assert found.balance_currency == ("USD" if entries else None)


@pytest.mark.parametrize("due_by", [None, 0])
def test_a_bank_that_takes_no_evidence_sets_no_deadline(due_by: int | None) -> None:
    # Stripe says 0 where no response is allowed.
    assert read_dispute(dispute(evidence_details={"due_by": due_by})).evidence_due is None
    assert read_dispute(dispute()).evidence_due == datetime(2026, 2, 9, 10, 30, tzinfo=UTC)


STATUSES = {
    "needs_response": (False, False),
    "under_review": (False, False),
    "won": (False, True),
    "lost": (False, True),
    "prevented": (False, True),
    "warning_needs_response": (True, False),
    "warning_under_review": (True, False),
    "warning_closed": (True, True),
    "appeal_needs_response": (False, False),
    "appeal_under_review": (False, False),
}


@pytest.mark.parametrize("status", STATUSES)
def test_every_status_says_whether_it_is_an_inquiry_and_whether_it_is_over(status: str) -> None:
    assert (is_inquiry(status), read_dispute(dispute(status=status)).closed) == STATUSES[status]


def test_the_statuses_are_those_that_the_sdk_lists() -> None:
    listed, _ = get_args(stripe.Dispute.__annotations__["status"])

    assert set(get_args(listed)) == STATUSES.keys()


@pytest.mark.parametrize("missing", ["id", "amount", "charge", "status", "balance_transactions", "evidence_details"])
def test_what_is_not_a_dispute_is_refused(missing: str) -> None:
    found = dispute()
    del found[missing]

    with pytest.raises(Permanent, match="not a Dispute"):
        read_dispute(found)
