"""Checkout pages: opening the one that an attempt was claimed for, and closing one that is no longer wanted.

``checkout.open`` (sweep: the first try did not finish) and ``checkout.close_page`` (outbox: a page came too late).

An attempt and its frozen parameters are committed before Stripe is called, so a crash at any point leaves a row from which
the same call is made again: ``POST /v1/checkout/sessions`` with the attempt's own key, which can only return the same page. A
second run finds the attempt past *claimed* and stops, or replays the same call.
"""

import logging
import uuid
from datetime import datetime, timedelta

from paywindow import clock, ids, jsons, locales
from paywindow.actors import answers
from paywindow.actors.customers import forget_customer, with_customer
from paywindow.actors.payment import record_payment
from paywindow.actors.registry import actor
from paywindow.actors.runtime import runtime
from paywindow.checkout import Checkout, freeze_params, moment, named_in, read_checkout
from paywindow.errors import Problem, StripeRefused, StripeUnavailable
from paywindow.models import analytics, attempts, moves, operations, outbox, shares, windows
from paywindow.models.database import transaction
from paywindow.models.moves import Cause
from paywindow.models.tables import CheckoutAttempt, PaymentSession
from paywindow.states import Event, Kind

logger = logging.getLogger(__name__)

#: Stripe keeps an idempotency key for at least 24 hours; from here on a repeat could open a second page.
KEY_AGE_LIMIT = timedelta(hours=23)
#: After so many unknown outcomes the page is looked for before its call is made again.
TRIES_BEFORE_LOOKING = 2
#: A lookup starts this much before the first call: our clock and Stripe's differ.
LOOKUP_MARGIN = timedelta(minutes=5)
#: Parameters younger than this cannot have gone stale: if Stripe refuses their ``expires_at``, fresh ones would fare no better.
TOO_FRESH_TO_BE_STALE = timedelta(seconds=15)
#: Our own word, where Stripe cannot open the page any more, or not safely, and its list does not have it.
_NEVER_ARRIVED = "attempt_never_arrived"


@actor("checkout.open")
def open_claimed(attempt_id: str) -> None:
    """Go on with an attempt whose page is not recorded yet."""
    with transaction():
        attempt = attempts.claimed(uuid.UUID(attempt_id))
    if attempt is None:
        return
    try:
        open_page(attempt)
    except StripeUnavailable as error:
        # The row says when to try again; a message that retries as well would only pile up.
        logger.warning("left for later: %s", error, extra={"attempt_id": attempt_id})


@actor("checkout.close_page")
def close_unwanted(attempt_id: str, outbox_id: int | None = None) -> None:
    """Expire a page that its session does not want (any more); money that came in meanwhile is recorded."""
    with transaction():
        attempt: CheckoutAttempt = CheckoutAttempt.get_by_id(uuid.UUID(attempt_id))
    page = close_page(attempt)
    cause = Cause("system:checkout.close_page", clock.now())
    with transaction():
        if not record_closed(attempt, page, cause) and page is not None:
            moves.touch(attempt.session_id, cause.at)
        outbox.done(outbox_id)


def claim_attempt(session: PaymentSession, kind: str, at: datetime) -> CheckoutAttempt:
    """Freeze the parameters of the session's current attempt, in the current transaction."""
    settings = runtime().settings
    pay_url = answers.pay_url(session)
    params = freeze_params(
        session_id=str(session.id),
        attempt_number=session.attempt_number,
        auction_id=str(session.auction_id),
        buyer_id=str(session.buyer_id),
        amount_minor=session.amount_minor,
        currency=session.currency,
        description=session.description,
        buyer_email=session.buyer_email,
        locale=locales.for_checkout(session.locale),
        success_url=session.return_url or settings.checkout_return_url or pay_url,
        cancel_url=session.cancel_url or settings.checkout_cancel_url or pay_url,
        method_types=settings.payment_method_types,
        save_methods=settings.payment_save_methods,
        window_ends=session.expires_at,
        at=at,
        split=session.split is not None,
        destination=shares.destination(session),
    )
    key = ids.checkout_key(session.id, session.attempt_number)
    return attempts.claim(session, kind=kind, params=jsons.dumps(params), idempotency_key=key, at=at)


def open_page(attempt: CheckoutAttempt) -> None:
    """Ask Stripe for a claimed attempt's page and record the answer, whatever it is.

    Raises :class:`StripeUnavailable` when there is no answer; the attempt is then left to the sweep.
    """
    try:
        attempt = with_customer(attempt)
        page = _ask(attempt)
    except StripeUnavailable as error:
        with transaction():
            attempts.postpone(attempt, str(error), clock.now())
        raise
    except StripeRefused as refusal:
        with transaction():
            successor = _give_up(attempt, refusal, clock.now())
        if successor is not None:
            open_page(successor)
        return
    with transaction():
        _attach(attempt, page, clock.now())


def close_page(attempt: CheckoutAttempt) -> Checkout | None:
    """Make sure at Stripe that an attempt's page cannot be paid, and return how it stands; ``None`` if it has no open page.

    Called outside any transaction. A claimed attempt has no page that could be closed: when Stripe's answer comes, the page
    finds a session that has moved on, and is closed then.
    """
    if attempt.status != "open":
        return None
    return read_checkout(runtime().gateway.expire_checkout(attempt.page_id))


def read_page(attempt: CheckoutAttempt) -> Checkout | None:
    """How an attempt's page stands at Stripe, left as it is; ``None`` if it has no open page."""
    if attempt.status != "open":
        return None
    return read_checkout(runtime().gateway.retrieve_checkout(attempt.page_id))


def record_closed(attempt: CheckoutAttempt, page: Checkout | None, cause: Cause) -> bool:
    """Write down what :func:`close_page` found; true when it found money or the promise of it."""
    if page is None:
        return False
    if page.paid or page.awaiting_money:
        record_payment(page, cause)
        return True
    moves.lock_session(attempt.session_id)  # before the attempt's row, as everywhere
    attempts.close(attempt, cause.at)
    return False


def _ask(attempt: CheckoutAttempt) -> Checkout:
    """The attempt's page: posted under its key or, where posting is not safe or does not help, looked up."""
    never_again = _key_may_be_forgotten(attempt) or _would_have_ended(attempt)
    # A 500 is replayed under its key for as long as Stripe keeps that, though the page may be there.
    page = _find(attempt) if never_again or attempt.tries >= TRIES_BEFORE_LOOKING else None
    if page is None and never_again:
        raise StripeRefused("Stripe has no Checkout Session for this attempt", code=_NEVER_ARRIVED)
    return page or _post(attempt)


def _would_have_ended(attempt: CheckoutAttempt) -> bool:
    """Whether the end that the page was to have has passed: Stripe opens none with it any more, however late a call arrives."""
    asked_for = jsons.loads(attempt.params).get(
        "expires_at"
    )  # left out: its end is counted from the call that opens it
    return asked_for is not None and moment(asked_for) <= clock.now()


def _post(attempt: CheckoutAttempt) -> Checkout:
    return read_checkout(runtime().gateway.create_checkout(jsons.loads(attempt.params), attempt.idempotency_key))


def _key_may_be_forgotten(attempt: CheckoutAttempt) -> bool:
    age: timedelta = clock.now() - attempt.first_called_at
    return age > KEY_AGE_LIMIT


def _find(attempt: CheckoutAttempt) -> Checkout | None:
    """Look for the page of an attempt whose outcome stayed unknown.

    Raises :class:`StripeUnavailable` also when Stripe refuses to list its pages: that says nothing about this one.
    """
    try:
        for found in runtime().gateway.checkouts_since(attempt.first_called_at - LOOKUP_MARGIN):
            if named_in(found) == (str(attempt.session_id), attempt.number):
                return read_checkout(found)
    except StripeRefused as refusal:
        raise StripeUnavailable(f"Stripe does not let its pages be listed: {refusal}") from refusal
    return None


def _attach(attempt: CheckoutAttempt, page: Checkout, at: datetime) -> None:
    """Make the page the session's; if the session no longer wants it, have it closed."""
    session = moves.lock_session(attempt.session_id)
    if session is None or not attempts.attach(attempt, page):
        return
    cause = Cause(f"system:{attempt.kind}", at)
    current = session.attempt_number == attempt.number
    if (
        current
        and moves.apply(session, Event.PAGE_OPENED, cause, **_clocks(session, attempt, page)).kind is not Kind.PAST
    ):
        if attempt.kind == "first":
            analytics.track(analytics.CHECKOUT_STARTED, session, at)
        for operation in operations.unfinished_of(session.id):
            status = 201 if operations.is_first_create(operation) else 200
            operations.finish(operation, status, answers.created(session), at)
        return
    outbox.follow_up("checkout.close_page", at, attempt_id=str(attempt.id))
    _refuse_waiting(session, Problem("session_closed", f"The payment session is {session.status}."), at)


def _clocks(session: PaymentSession, attempt: CheckoutAttempt, page: Checkout) -> dict[str, datetime]:
    """The window's end and when it next needs attention, now that the page's end is known.

    A full default window ends when its first page does: Stripe's clock, not ours, says when that is.
    """
    asked_for = session.created_at + timedelta(minutes=session.window_minutes)
    full = attempt.kind == "first" and session.window_minutes == windows.DEFAULT_MINUTES
    expires_at = page.expires_at if full and session.expires_at == asked_for else session.expires_at
    return {"expires_at": expires_at, "due_at": min(expires_at, page.expires_at)}


def _give_up(attempt: CheckoutAttempt, refusal: StripeRefused, at: datetime) -> CheckoutAttempt | None:
    """Stripe will never open this page. It is replaced if all that is wrong with it is its age (its frozen ``expires_at``, or the
    key of a call that never arrived), or that its customer was deleted at Stripe.
    """
    session = moves.lock_session(attempt.session_id)
    if session is None or not attempts.refuse(attempt, str(refusal), at):
        return None
    cause = Cause(f"system:{attempt.kind}", at, why=str(refusal))
    current = session.attempt_number == attempt.number
    stale = refusal.code == _NEVER_ARRIVED
    stale |= refusal.param == "expires_at" and at - attempt.created_at > TOO_FRESH_TO_BE_STALE
    if (refusal.param, refusal.code) == ("customer", "resource_missing"):
        forget_customer(attempt, at)
        stale = True
    if stale and current and at >= session.expires_at:
        # Not refused but too late: the window closes as any other.
        moves.touch(session.id, at)
        windows.attend(session, at)
        closed = Problem("session_expired", "The payment window has closed.", sessionId=str(session.id))
        _refuse_waiting(session, closed, at)
        return None
    if stale and at < session.expires_at:
        number = attempt.number + 1
        wanted = current and session.released_at is None
        changes = {"attempt_number": number, "due_at": session.expires_at}
        if wanted and moves.apply(session, Event.PAGE_ROLLED, cause, **changes).kind is not Kind.PAST:
            return claim_attempt(session, "roll", at)
    code = refusal.code or "stripe_refused"
    told = {"failure_code": code, "failure_message": answers.NOT_POSSIBLE}
    if not current or moves.apply(session, Event.PAGE_REFUSED, cause, **told).kind is Kind.PAST:
        moves.touch(session.id, at)
    problem = Problem("stripe_refused", str(refusal), sessionId=str(session.id), stripeCode=code, param=refusal.param)
    _refuse_waiting(session, problem, at)
    return None


def _refuse_waiting(session: PaymentSession, problem: Problem, at: datetime) -> None:
    if attempts.claimed_of(session) is not None:
        return  # another page is being opened, which will answer them
    for operation in operations.unfinished_of(session.id):
        operations.refuse(operation, problem, at)
