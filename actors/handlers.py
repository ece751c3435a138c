"""What each of Stripe's events means: one function a fact, and the table from type to function.

A handler runs inside a transaction, decides from the event and the rows, and returns ``applied``, ``nothing`` or ``foreign``.
Events are matched by ids that are stored here or that Stripe's own Checkout Session confirms; metadata alone only says
where to look. No order is assumed (https://docs.stripe.com/webhooks#event-ordering).
"""

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from paywindow import metrics
from paywindow.actors import answers
from paywindow.actors.dispute_events import dispute_changed
from paywindow.actors.event_context import APPLIED, FOREIGN, NOTHING, Context, NotYet
from paywindow.actors.method_events import customer_changed, customer_deleted, method_changed
from paywindow.actors.payment import AskStripe, record_payment
from paywindow.actors.refund_events import refund_changed
from paywindow.actors.runtime import runtime
from paywindow.actors.seller_events import (
    account_changed,
    application_fee_refunded,
    charge_updated,
    transfer_changed,
)
from paywindow.checkout import moment, named_in, read_charge, read_checkout
from paywindow.models import attempts, declines, moves, payments, retries, windows
from paywindow.models.tables import CheckoutAttempt, PaymentSession, Transaction
from paywindow.states import PAYABLE, Event, Kind, Status

#: How long an event about a payment waits for ``checkout.session.completed`` before Stripe is asked instead.
PATIENCE = timedelta(seconds=30)
#: How long whoever closed a page is given to move its session before the sweep does.
SETTLING = timedelta(seconds=1)


def checkout_completed(context: Context) -> str:
    """The buyer submitted the page: paid at once, or later with a delayed method."""
    if _page_attempt(context.subject) is None:
        return FOREIGN
    page = read_checkout(context.subject)
    return APPLIED if record_payment(context.known.get(page.id, page), context.cause) else NOTHING


def delayed_payment_failed(context: Context) -> str:
    """A delayed payment did not come. Should this be told before the submission, the page is known to be complete now."""
    attempt = _page_attempt(context.subject)
    if attempt is None:
        return FOREIGN
    session = moves.lock_session(attempt.session_id)
    attempts.complete(attempt, context.at)
    # An attempt that is not current never fails its session (money rule 3).
    if session is None or attempt.number != session.attempt_number:
        return NOTHING
    changes = _failure(session, attempt, "payment_did_not_come", answers.PAYMENT_DID_NOT_COME, context.at)
    answer = moves.apply(session, Event.CONFIRMATION_FAILED, context.cause, **changes)
    return NOTHING if answer.kind is Kind.PAST else APPLIED


def checkout_expired(context: Context) -> str:
    """A page died unpaid: at the deadline that closes the window, before it the page has to be replaced."""
    attempt = _page_attempt(context.subject)
    if attempt is None:
        return FOREIGN
    session = moves.lock_session(attempt.session_id)
    if attempts.close(attempt, context.at):
        moves.touch(attempt.session_id, context.at)
    if session is None or attempt.number != session.attempt_number or session.status not in PAYABLE:
        return NOTHING
    # Whoever is closing the page right now (a cancel, a sweep) is about to say why; the sweep looks when they have.
    windows.attend(session, min(session.due_at, context.at + SETTLING))
    return APPLIED


def payment_declined(context: Context) -> str:
    """A card was declined on a page that stays payable."""
    intent = context.subject
    attempt = _intent_attempt(intent["id"], intent, context)
    if attempt is None:
        return FOREIGN
    error = intent.get("last_payment_error") or {}
    reason = answers.decline_text(error.get("code"), error.get("decline_code"))
    session = moves.lock_session(attempt.session_id)
    if session is None:
        return NOTHING
    declined_at = moment(context.event["created"])
    is_current = attempt.number == session.attempt_number and not declines.is_answered(session, declined_at)
    # One failed transaction a charge; a try without a charge (3-D Secure failed) leaves none.
    if error.get("charge") is None:
        is_new = is_current and not declines.was_told(session, context.event["id"], intent["id"], declined_at)
    else:
        is_new = _insert_declined(session, attempt, intent, error, reason, context.at)
    if not is_new:
        return NOTHING
    code = error.get("decline_code") or error.get("code") or "declined"
    if not is_current:
        moves.touch(session.id, context.at)
        return APPLIED
    # Told late, of a session that is being paid by other means, a decline is on record and says nothing new.
    payable = session.status in PAYABLE
    changes = _failure(session, attempt, code, reason, context.at) if payable else {}
    moves.apply(session, Event.DECLINED, context.cause, **changes)
    return APPLIED


def payment_succeeded(context: Context) -> str:
    """The PaymentIntent succeeded: settled by ``checkout.session.completed``, or, should that be lost, from here."""
    intent = context.subject
    if payments.of_intent(intent["id"]) is not None:
        return NOTHING
    return _settle_without_completed(intent["id"], intent, context)


def charge_succeeded(context: Context) -> str:
    """The charge behind a payment: its id and the card, for the books and the receipt; should all else be lost, its money."""
    charge = read_charge(context.subject)
    intent = context.subject.get("payment_intent")
    if not isinstance(intent, str):
        return FOREIGN
    row = payments.of_intent(intent)
    if row is None:
        return _settle_without_completed(intent, context.subject, context)
    moves.lock_session(row.session_id)
    row = Transaction.get_by_id(row.id)
    if row.stripe_charge_id is not None:
        return NOTHING
    Transaction.change(
        row.id,
        stripe_charge_id=charge.id,
        card_brand=charge.card_brand,
        card_last4=charge.card_last4,
        processed_at=charge.created,
    )
    moves.touch(row.session_id, context.at)
    return APPLIED


def nothing_to_do(context: Context) -> str:
    """Known, and told better by another event."""
    del context
    return NOTHING


HANDLERS: dict[str, Callable[[Context], str]] = {
    "checkout.session.completed": checkout_completed,
    "checkout.session.async_payment_succeeded": checkout_completed,
    "checkout.session.async_payment_failed": delayed_payment_failed,
    "checkout.session.expired": checkout_expired,
    "payment_intent.payment_failed": payment_declined,
    "payment_intent.succeeded": payment_succeeded,
    "charge.succeeded": charge_succeeded,
    "refund.created": refund_changed,
    "refund.updated": refund_changed,
    "refund.failed": refund_changed,
    "charge.dispute.created": dispute_changed,
    "charge.dispute.funds_withdrawn": dispute_changed,
    "charge.dispute.updated": dispute_changed,
    "charge.dispute.funds_reinstated": dispute_changed,
    "charge.dispute.closed": dispute_changed,
    "payment_method.attached": method_changed,
    "payment_method.detached": method_changed,
    "payment_method.updated": method_changed,
    "payment_method.automatically_updated": method_changed,
    "customer.updated": customer_changed,
    "customer.deleted": customer_deleted,
    "customer.created": nothing_to_do,  # the answer to the call that made it says the same
    "charge.updated": charge_updated,
    "transfer.created": transfer_changed,
    "transfer.reversed": transfer_changed,
    "transfer.updated": transfer_changed,
    "application_fee.refunded": application_fee_refunded,
    # These happen on connected accounts, and touch nothing but what is known of the account.
    "account.updated": account_changed,
    "account.application.authorized": account_changed,
    "account.application.deauthorized": account_changed,
    "account.external_account.created": account_changed,
    "account.external_account.deleted": account_changed,
    "account.external_account.updated": account_changed,
    "capability.updated": account_changed,
    "payout.failed": account_changed,  # Stripe stops further payouts until there is another bank account
    "payout.canceled": nothing_to_do,  # between Stripe and the seller, as all that follows about payouts
    "payout.created": nothing_to_do,
    "payout.paid": nothing_to_do,
    "payout.reconciliation_completed": nothing_to_do,
    "payout.updated": nothing_to_do,
    # Known, and told better by another event.
    "application_fee.created": nothing_to_do,  # charge.updated says the same
    "charge.refunded": nothing_to_do,  # refund.* carry the refund itself
    "charge.refund.updated": nothing_to_do,  # the older name of refund.updated
    "payment_intent.created": nothing_to_do,  # nobody has paid yet
    "payment_intent.requires_action": nothing_to_do,  # 3-D Secure is between the buyer and Stripe's page
    "payment_intent.processing": nothing_to_do,  # checkout.session.completed (unpaid) says the same of the session
    "payment_intent.canceled": nothing_to_do,  # checkout.session.expired says the same of the session
    "charge.failed": nothing_to_do,  # payment_intent.payment_failed carries the charge and the reason
    "charge.pending": nothing_to_do,  # checkout.session.completed (unpaid) says the same of the session
}


def _page_attempt(page: dict[str, Any]) -> CheckoutAttempt | None:
    """The attempt of a page. A page may be paid before the answer that opened it is recorded: then wait for that."""
    attempt = attempts.of_checkout(page["id"])
    if attempt is not None:
        return attempt
    claimed = _named_attempt(page)
    if claimed is not None and claimed.status == "claimed":
        raise NotYet("its page is not recorded yet")
    return None


def _settle_without_completed(intent_id: str, subject: dict[str, Any], context: Context) -> str:
    """Settle by Stripe's own Checkout Session, once ``checkout.session.completed`` has had its time to come."""
    known = attempts.of_payment_intent(intent_id) or _named_attempt(subject)
    if known is not None and context.waited < PATIENCE:
        raise NotYet("checkout.session.completed has not come yet")
    attempt = _intent_attempt(intent_id, subject, context)
    if attempt is None:
        return FOREIGN
    page = context.known.get(attempt.page_id)
    if page is None:
        raise AskStripe(attempt.page_id)
    # A page that was closed while the buyer was at the bank never completes, though the money came.
    if page.status != "complete" and not (page.status == "expired" and page.paid):
        raise NotYet("its page is not complete yet")
    return APPLIED if record_payment(page, context.cause) else NOTHING


def _intent_attempt(intent_id: str, subject: dict[str, Any], context: Context) -> CheckoutAttempt | None:
    """The attempt on whose page a PaymentIntent was made: stored, or named by metadata and confirmed by Stripe's page."""
    attempt = attempts.of_payment_intent(intent_id)
    if attempt is not None:
        return attempt
    named = _named_attempt(subject)
    if named is None:
        return None
    if named.status == "claimed":
        raise NotYet("its page is not recorded yet")
    if named.stripe_checkout_id is None:
        return None
    page = context.known.get(named.stripe_checkout_id)
    if page is None:
        raise AskStripe(named.stripe_checkout_id)
    if page.payment_intent_id != intent_id:
        return None
    # The session's lock comes before any row of it, here as everywhere, so that nobody waits in a circle.
    moves.lock_session(named.session_id)
    attempts.know_payment_intent(named, intent_id)
    return named


def _named_attempt(subject: dict[str, Any]) -> CheckoutAttempt | None:
    session_id, number = named_in(subject)
    try:
        found = uuid.UUID(session_id or "")
    except ValueError:
        return None
    return attempts.numbered(found, number) if number is not None else None


def _insert_declined(
    session: PaymentSession,
    attempt: CheckoutAttempt,
    intent: dict[str, Any],
    error: dict[str, Any],
    reason: str,
    at: datetime,
) -> bool:
    """Record the failed charge; false if it is known already."""
    inserted = (
        Transaction.insert(
            id=uuid.uuid4(),
            session=session.id,
            attempt=attempt.id,
            stripe_payment_intent_id=intent["id"],
            stripe_charge_id=error["charge"],
            status="failed",
            amount_minor=int(intent["amount"]),
            currency=str(intent["currency"]).upper(),
            failure_code=error.get("code"),
            decline_code=error.get("decline_code"),
            failure_reason=reason,
            created_at=at,
            processed_at=at,
        )
        .on_conflict_ignore()
        .returning(Transaction.id)
        .execute()
    )
    return len(list(inserted)) == 1


def _failure(session: PaymentSession, attempt: CheckoutAttempt, code: str, reason: str, at: datetime) -> dict[str, Any]:
    """What a failure changes: the reason shown to the buyer, and when to try again.

    A second decline on the same page leaves the time of the retry; a session past failing keeps what it says.
    """
    if session.status not in (*PAYABLE, Status.PROCESSING):
        return {}
    told = {"failure_code": code, "failure_message": reason}
    if session.status == Status.FAILED:
        return told
    if session.retry_count:
        metrics.RETRY_FAILURES.inc()
    return {**told, **retries.schedule(session, attempt, runtime().settings, at)}
