"""What a session's public document means to the buyer: the *phase* in which the page shows it.

A phase is the status, told apart where a person sees a difference: a page that is still being opened, a window that has ended but
is not closed yet, money that was given back.
"""

from typing import Any

#: Phases in which the buyer can pay, if there is a page or a try left.
PAYABLE = ("pending", "failed")
#: Phases in which the time to pay runs.
TIMED = ("preparing", *PAYABLE)
#: All of them; each has its words in every language.
PHASES = (
    *TIMED,
    *("processing", "completed", "refunded", "partially_refunded", "expired", "canceled", "held", "closing"),
)

_RETURNED = ("refunded", "partially_refunded")


def phase(snapshot: dict[str, Any]) -> str:
    """The phase of a session; ``snapshot`` is the document of ``GET .../status``."""
    session = snapshot["paymentSession"]
    status: str = session["status"]
    if session.get("hold"):
        return "held"
    if status in PAYABLE and session.get("closing"):
        return "closing"
    if status == "completed":
        return money_back(snapshot) or status
    return "preparing" if status == "pending" and not session.get("stripeCheckoutUrl") else status


def money_back(snapshot: dict[str, Any]) -> str | None:
    """Whether the payment was given back: ``refunded``, ``partially_refunded`` or ``None``."""
    status = (snapshot.get("transaction") or {}).get("status")
    return status if status in _RETURNED else None


def is_final(snapshot: dict[str, Any]) -> bool:
    """Whether nothing is expected to happen any more, so that nobody need watch.

    Not when it expired: an admin may open the window again, and a payment made in time may be learned of later. Money that is
    given back after all, and what else only people decide, is seen when the page is opened again.
    """
    now = phase(snapshot)
    if now == "canceled":
        return True
    receipt = snapshot.get("receipt") or {}
    notes = snapshot.get("creditNotes") or []
    if now not in ("completed", *_RETURNED) or not receipt.get("ready"):
        return False
    return now == "completed" or (bool(notes) and all(note.get("ready") for note in notes))
