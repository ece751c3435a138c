"""What a session's document means to a buyer, and when nothing more is to be expected."""

from typing import Any

import pytest

from paywindow.front.phases import is_final, phase

URL = "https://checkout.stripe.com/c/pay/cs_test_1"
READY, COMING = {"ready": True}, {"ready": False}


def document(
    status: str, *, paid: str | None = None, receipt: Any = None, notes: Any = (), **session: Any
) -> dict[str, Any]:
    return {
        "paymentSession": {"status": status, "stripeCheckoutUrl": URL, "closing": False, "hold": None, **session},
        "transaction": paid and {"status": paid},
        "receipt": receipt,
        "creditNotes": list(notes),
    }


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (document("pending"), "pending"),
        (document("pending", stripeCheckoutUrl=None), "preparing"),
        (document("pending", closing=True), "closing"),
        (document("failed"), "failed"),
        (document("failed", closing=True), "closing"),
        (document("processing"), "processing"),
        (document("processing", hold={"reason": "x"}), "held"),
        (document("completed", paid="succeeded"), "completed"),
        (document("completed", paid="refunded"), "refunded"),
        (document("completed", paid="partially_refunded"), "partially_refunded"),
        (document("completed", paid="refunded", hold={"reason": "x"}), "held"),
        (document("expired", paid="refunded"), "expired"),
        (document("canceled"), "canceled"),
    ],
)
def test_the_phase_is_the_status_told_apart_where_a_person_sees_a_difference(found: Any, expected: str) -> None:
    assert phase(found) == expected


@pytest.mark.parametrize(
    ("found", "final"),
    [
        (document("pending"), False),
        (document("failed"), False),
        (document("processing"), False),
        (document("completed", paid="succeeded"), False),
        (document("completed", paid="succeeded", receipt=COMING), False),
        (document("completed", paid="succeeded", receipt=READY), True),
        (document("completed", paid="succeeded", receipt=READY, hold={"reason": "x"}), False),
        (document("completed", paid="refunded", receipt=READY), False),
        (document("completed", paid="refunded", receipt=READY, notes=[COMING]), False),
        (document("completed", paid="refunded", receipt=READY, notes=[READY]), True),
        (document("completed", paid="partially_refunded", receipt=READY, notes=[READY, COMING]), False),
        (document("expired"), False),
        (document("canceled"), True),
        (document("canceled", hold={"reason": "x"}), False),
    ],
)
def test_only_what_nobody_waits_for_is_final(found: Any, final: bool) -> None:
    assert is_final(found) is final
