"""Where the books and Stripe may disagree: a stable code each, what it means, and what is done about it.

``mended`` says what the ordinary mechanisms do where the money rules decide; ``advice`` what is left to an operator where
they do not, or where mending did not help. docs/reconciliation.md shows this table.
"""

from dataclasses import dataclass

#: What may become of a finding: it can be mended (and was not: only looked); was mended; is held by its session; is left.
OUTCOMES = ("repairable", "repaired", "held", "left")


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """One way to disagree. ``mended`` is ``None`` where no rule decides."""

    meaning: str
    mended: str | None
    advice: str


DISCREPANCIES: dict[str, Discrepancy] = {
    "event_never_received": Discrepancy(
        "Stripe tells of an event in its list that never arrived here: its webhook was lost, or nobody was listening.",
        "The event was put into the inbox and is handled like any other.",
        "See in `stripe_events` why it is not handled.",
    ),
    "events_out_of_reach": Discrepancy(
        "Webhooks were not read for longer than Stripe keeps events (30 days), so some can no longer be fetched.",
        None,
        "Compare this stretch of time with `paywindow reconcile --since ... --until ... --repair`: it looks at the objects "
        "themselves.",
    ),
    "event_parked": Discrepancy(
        "An event arrived, and handling it failed so often that it was set aside.",
        None,
        "`paywindow events show` tells its error; once the cause is mended, `paywindow events replay` handles it again.",
    ),
    "payment_not_booked": Discrepancy(
        "Stripe took the money, and the books have no such payment.",
        "The payment was recorded as Stripe's own page has it: settled, or held or refunded if it came late or twice.",
        "Look at the payment in Stripe's dashboard; refund it there if it cannot be recorded.",
    ),
    "payment_unaccounted": Discrepancy(
        "A payment is in the books that neither settles its session, nor is held, nor is refunded.",
        None,
        "Decide whether to keep or to refund it.",
    ),
    "charge_details_missing": Discrepancy(
        "A payment is in the books without the charge that Stripe made for it.",
        "Charge, card and time were added.",
        "The payment is in order; only its receipt lacks the card.",
    ),
    "charge_missing_at_stripe": Discrepancy(
        "The books have a payment as taken, and Stripe has no successful charge for it.",
        None,
        "Do not hand out goods or money for it. Is this the right Stripe account and key? Was the database restored or edited?",
    ),
    "amount_differs": Discrepancy(
        "The books have a payment with another amount than Stripe took.",
        None,
        "Stripe's amount is what moved. Find out who changed the row; correct it by hand, with its receipt.",
    ),
    "currency_differs": Discrepancy(
        "The books have a payment in another currency than Stripe took it.",
        None,
        "Stripe's currency is what moved. Find out who changed the row; correct it by hand, with its receipt.",
    ),
    "charged_twice": Discrepancy(
        "Two successful charges stand for one auction, and the second was not given back.",
        None,
        "Keep the settled one and refund the other; while its session is held, `resolve` does that.",
    ),
    "fee_not_booked": Discrepancy(
        "Stripe has told its fee for a payment, and the books do not have it.",
        "The fee was recorded.",
        "The fee is in the charge's balance transaction in Stripe's dashboard.",
    ),
    "fee_differs": Discrepancy(
        "The books have another fee of Stripe's for a payment than Stripe has.",
        "Stripe's fee was recorded.",
        "Stripe's figure is what was taken; correct the row.",
    ),
    "share_differs": Discrepancy(
        "What Stripe passed on to the seller, took back, or kept as the platform's fee is not what the books say.",
        "Stripe's figures were recorded; the seller's share follows from them.",
        "Sums in the books are never lowered: look at the charge's transfer in Stripe's dashboard.",
    ),
    "seller_short": Discrepancy(
        "A refund called the seller's share back, and then it failed: the seller has less than is due, and the "
        "platform has it.",
        None,
        "Refund again, or send the seller the difference by a transfer in Stripe's dashboard.",
    ),
    "transfer_not_booked": Discrepancy(
        "A seller was sent money for a payment, and the books have no such transfer.",
        None,
        "It was made by hand, or the database was restored: the seller may be sent the same share again. Reverse one of the two.",
    ),
    "transfer_missing_at_stripe": Discrepancy(
        "The books have a share as sent to the seller, and Stripe does not know the transfer.",
        None,
        "Is this the right Stripe account and key? If so, the seller is owed the money: send it in Stripe's dashboard.",
    ),
    "transfer_differs": Discrepancy(
        "A seller was sent, or gave back, another amount than the books say.",
        None,
        "Somebody reversed it by hand, or edited the row. Stripe's amount is what moved.",
    ),
    "page_payable_though_closed": Discrepancy(
        "A Checkout page can still be paid although its session here is over or has another page.",
        "The page was expired at Stripe.",
        "Expire the page in Stripe's dashboard, or refund what is paid on it.",
    ),
    "page_dead_though_open": Discrepancy(
        "A session here waits for its buyer on a Checkout page that has expired at Stripe.",
        "The page was noted as closed and the session's timer set: it gets a new page, or ends if its time is over.",
        "Extend or expire the window by `paywindow sessions`.",
    ),
    "submission_not_booked": Discrepancy(
        "The buyer has submitted the page and the bank is still deciding; the books say that nothing happened yet.",
        "The session was moved to processing.",
        "Wait for the bank; the outcome comes as an event.",
    ),
    "refusal_not_booked": Discrepancy(
        "The bank has refused a delayed payment; the books still wait for it.",
        "The session was moved to failed; the buyer may try again while the window is open.",
        "Expire the window by `paywindow sessions` if the buyer is gone.",
    ),
    "page_missing_at_stripe": Discrepancy(
        "The books have a Checkout page that Stripe does not know.",
        None,
        "Is this the right Stripe account and key? If so, cancel the session and open a new one.",
    ),
    "page_not_booked": Discrepancy(
        "Stripe has a Checkout page that names a session of ours, and the books do not have that page.",
        None,
        "Was the database restored from a backup, or the page made by hand? Expire it in Stripe's dashboard if it is open; "
        "refund what was paid on it, or record it.",
    ),
    "session_not_booked": Discrepancy(
        "Stripe has a Checkout page or a payment that names a payment session which the books do not have.",
        None,
        "Was the database restored from a backup? Or does another installation use the same Stripe account?",
    ),
    "refund_not_booked": Discrepancy(
        "Stripe has given money back, and the books have no such refund.",
        "The refund was recorded, with its credit note.",
        "Its payment is not in the books either; mend that first.",
    ),
    "refund_missing_at_stripe": Discrepancy(
        "The books have a refund that Stripe does not know: the buyer got nothing.",
        None,
        "Is this the right Stripe account and key? If the buyer is owed the money, refund again.",
    ),
    "refund_differs": Discrepancy(
        "The books have a refund with another amount or currency than Stripe has.",
        None,
        "Stripe's amount is what moved. Find out who changed the row; correct it by hand, with its credit note.",
    ),
    "refund_status_differs": Discrepancy(
        "A refund stands otherwise at Stripe than in the books.",
        "Stripe's word was recorded, and the payment's status with it.",
        "The books are ahead of Stripe, which cannot be by itself: look at the refund in Stripe's dashboard.",
    ),
    "dispute_not_booked": Discrepancy(
        "A buyer disputes a payment at the bank, and the books do not know it.",
        "The dispute was read and recorded, and announced with its deadline for evidence.",
        "Answer it in Stripe's dashboard in time.",
    ),
    "dispute_missing_at_stripe": Discrepancy(
        "The books have a dispute that Stripe does not know.",
        None,
        "Is this the right Stripe account and key? Was the database restored or edited?",
    ),
    "dispute_differs": Discrepancy(
        "A dispute stands otherwise at Stripe than in the books, or has moved other money.",
        "The dispute was read again and recorded.",
        "Look at the dispute in Stripe's dashboard.",
    ),
}


def as_markdown() -> str:
    """The table of docs/reconciliation.md."""
    rows = [
        f"| `{code}` | {found.meaning} | {found.mended or 'nothing: no rule decides'} | {found.advice} |"
        for code, found in DISCREPANCIES.items()
    ]
    head = ["| code | means | what mends it | otherwise |", "| --- | --- | --- | --- |"]
    return "\n".join([*head, *rows])


if __name__ == "__main__":
    print(as_markdown())  # noqa: T201 - for whoever writes the page anew
