"""The state machine, compared with a table written by hand from the design, cell by cell."""

from pathlib import Path

import pytest

from paywindow import states
from paywindow.errors import PROBLEMS
from paywindow.states import HELD, HELD_EXCEPT, MEANING, TABLE, Answer, Event, Kind, Status, answer

COLUMNS = ("pending", "processing", "failed", "completed", "expired", "canceled", "held")

# What the design says of each event, in words: "-> x" moves, "409:x" refuses with code x.
EXPECTED = {
    "page_opened": ("stay", "past", "stay", "past", "past", "past", "past"),
    "page_refused": ("-> failed", "past", "-> failed", "past", "past", "past", "past"),
    "submitted": ("-> processing", "past", "-> processing", "past", "-> processing", "stay", "stay"),
    "paid": ("-> completed", "-> completed", "-> completed", "past", "-> completed", "refund", "hold"),
    "paid_late": ("refund", "refund -> expired", "refund", "refund", "refund", "refund", "hold"),
    "paid_late_held": ("hold", "hold", "hold", "hold", "hold", "hold", "hold"),
    "paid_twice": ("refund", "refund", "refund", "refund", "refund", "refund", "refund"),
    "paid_mismatched": ("hold", "hold", "hold", "hold", "hold", "hold", "hold"),
    "paid_canceled": ("refund", "refund", "refund", "refund", "refund", "refund", "refund"),
    "paid_while_taken": ("stay", "stay", "stay", "stay", "stay", "stay", "hold"),
    "superseded": ("-> expired", "-> expired", "-> expired", "past", "past", "past", "-> expired"),
    "refunded": ("past", "past", "past", "stay", "past", "past", "stay"),
    "refund_failed": ("hold", "hold", "hold", "hold", "hold", "hold", "hold"),
    "refund_blocked": ("hold", "hold", "hold", "hold", "hold", "hold", "hold"),
    "resolve_accept": (*("409:not_held",) * 6, "-> completed"),
    "resolve_refund": (*("409:not_held",) * 6, "stay"),
    "declined": ("-> failed", "stay", "stay", "stay", "stay", "stay", "stay"),
    "confirmation_failed": ("-> failed", "-> failed", "past", "past", "past", "past", "stay"),
    "window_closed": ("-> expired", "past", "-> expired", "past", "past", "past", "past"),
    "page_rolled": ("stay", "past", "past", "past", "past", "past", "past"),
    "retried": (
        "409:not_failed",
        "409:payment_processing",
        "-> pending",
        "409:already_paid",
        "409:session_expired",
        "409:session_canceled",
        "409:session_held",
    ),
    "retries_used_up": ("past", "past", "stay", "past", "past", "past", "past"),
    "grant_retry": (
        "409:not_failed",
        "409:payment_processing",
        "stay",
        "409:already_paid",
        "409:session_expired",
        "409:session_canceled",
        "409:session_held",
    ),
    "cancel": (
        "-> canceled",
        "409:payment_processing",
        "-> canceled",
        "409:already_paid",
        "409:session_expired",
        "past",
        "409:session_held",
    ),
    "expire": (
        "-> expired",
        "409:payment_processing",
        "-> expired",
        "409:already_paid",
        "past",
        "409:session_canceled",
        "409:session_held",
    ),
    "extend": (
        "stay",
        "stay",
        "stay",
        "409:already_paid",
        "409:session_expired",
        "409:session_canceled",
        "409:session_held",
    ),
    "reopen": (
        "409:session_open",
        "409:payment_processing",
        "409:session_open",
        "409:already_paid",
        "-> pending",
        "409:session_canceled",
        "409:session_held",
    ),
}

# What a held session answers in some statuses otherwise than in the rest.
EXPECTED_HELD = {
    ("superseded", "completed"): "past",
    ("superseded", "expired"): "past",
    ("superseded", "canceled"): "past",
    ("resolve_accept", "completed"): "stay",
    ("resolve_accept", "canceled"): "409:session_canceled",
    ("resolve_refund", "processing"): "-> failed",
}


def in_words(found: Answer) -> str:
    if found.status:
        return f"-> {found.status}" if found.kind is Kind.MOVE else f"{found.kind} -> {found.status}"
    return f"409:{found.code}" if found.kind is Kind.REFUSE else str(found.kind)


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("event", EXPECTED)
def test_each_cell_answers_what_the_design_says(event: str, column: str) -> None:
    expected = EXPECTED[event][COLUMNS.index(column)]
    if column == "held":
        for status in Status:
            found = in_words(answer(Event(event), status, held=True))
            assert found == EXPECTED_HELD.get((event, status.value), expected)
    else:
        assert in_words(answer(Event(event), Status(column))) == expected


def test_the_table_has_every_event_in_every_status_and_nothing_else() -> None:
    assert set(TABLE) == {(event, status) for event in Event for status in Status}
    assert set(HELD) == set(MEANING) == set(Event)
    assert set(EXPECTED) == {event.value for event in Event}


def test_every_refusal_has_a_code_of_the_api_that_is_a_conflict() -> None:
    refusals = [
        found for found in [*TABLE.values(), *HELD.values(), *HELD_EXCEPT.values()] if found.kind is Kind.REFUSE
    ]

    assert {PROBLEMS[str(found.code)][0] for found in refusals} == {409}


def test_only_a_refusal_by_stripe_leads_to_where_the_session_already_is() -> None:
    # A page that replaced a declined one is refused: failed as before, and the auction is released.
    same = [cell for cell, found in TABLE.items() if found.status == cell[1]]

    assert same == [(Event.PAGE_REFUSED, Status.FAILED)]


def test_a_completed_session_never_moves_again() -> None:
    for held in (False, True):
        leads = {answer(event, Status.COMPLETED, held=held).status for event in Event}
        assert leads == {None}


def test_the_document_is_what_the_code_says() -> None:
    document = Path(__file__).parents[2] / "docs" / "states.md"

    assert document.read_text() == states.as_markdown(), "run: python -m paywindow.states > docs/states.md"
