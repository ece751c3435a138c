"""Opening a payment session and its Checkout page.

``checkout.create`` (the marketplace's command): -> pending. ``checkout.open`` (the sweep, when the first try did not finish)
and ``checkout.close_page`` (outbox, when a page came too late for its session).

The session, its first attempt and the frozen parameters are committed before Stripe is called, so a crash at any point
leaves a row from which the same call is made again: ``POST /v1/checkout/sessions`` with the attempt's own key, which can only
return the same page. A second run finds the attempt past *claimed* and stops, or replays the same call.
"""

import uuid
from datetime import datetime, timedelta
from typing import Any

from paywindow import clock, ids, jsons
from paywindow.actors import answers
from paywindow.actors.payment import record_payment
from paywindow.actors.registry import actor
from paywindow.actors.runtime import runtime
from paywindow.checkout import Checkout, freeze_params, read_checkout
from paywindow.errors import Problem, StripeRefused, StripeUnavailable
from paywindow.messages import CheckoutRequest
from paywindow.models import analytics, attempts, moves, operations, outbox
from paywindow.models.database import transaction
from paywindow.models.moves import Cause
from paywindow.models.snapshots import current_attempt
from paywindow.models.tables import CheckoutAttempt, Operation, PaymentSession
from paywindow.states import Event, Kind

#: Stripe keeps an idempotency key for at least 24 hours; from here on a repeat could open a second page.
KEY_AGE_LIMIT = timedelta(hours=23)
#: A lookup starts this much before the first call: our clock and Stripe's differ.
LOOKUP_MARGIN = timedelta(minutes=5)


@actor("checkout.create")
def create(operation_id: str, client: str, fingerprint: str, request: dict[str, Any]) -> None:
    """Record the command, claim the auction and the first attempt, then open its page."""
    at = clock.now()
    operation = uuid.UUID(operation_id)
    try:
        with transaction():
            moves.lock_auction(uuid.UUID(request["auction_id"]))
            row = operations.begin(operation, "checkout.create", client, fingerprint, request, at)
            attempt = _claim_auction(row, CheckoutRequest(**request), at)
    except operations.KeyReused as reused:
        runtime().publisher.conflict(operation, reused.outcome)
        return
    if attempt is not None:
        _open(attempt)


@actor("checkout.open")
def open_page(attempt_id: str) -> None:
    """Go on with an attempt whose page is not recorded yet."""
    with transaction():
        attempt = attempts.claimed(uuid.UUID(attempt_id))
    if attempt is not None:
        _open(attempt)


@actor("checkout.close_page")
def close_page(attempt_id: str, outbox_id: int | None = None) -> None:
    """Expire a page that its session does not want (any more); money that came in meanwhile is recorded."""
    with transaction():
        attempt: CheckoutAttempt = CheckoutAttempt.get_by_id(uuid.UUID(attempt_id))
    page = read_checkout(runtime().gateway.expire_checkout(attempt.page_id))
    with transaction():
        if page.paid or page.awaiting_money:
            record_payment(page, Cause("system:checkout.close_page", clock.now()))
        else:
            attempts.close(attempt, clock.now())
        outbox.done(outbox_id)


def _claim_auction(operation: Operation, request: CheckoutRequest, at: datetime) -> CheckoutAttempt | None:
    """Decide what the command means now; the attempt is returned if its page is for this run to open."""
    if operation.outcome is not None:
        outbox.follow_up("publish.operation", at, operation_id=str(operation.id))
        return None
    if operation.session is not None:
        # An earlier run of this message got this far; its attempt may or may not have reached Stripe.
        return attempts.claimed_of(operation.session)
    taken: PaymentSession | None = PaymentSession.get_or_none(
        PaymentSession.auction_id == request.auction_id, PaymentSession.released_at.is_null()
    )
    if taken is None:
        session = _insert_session(request, at)
        operation.session = session
        operation.save(only=[Operation.session])
        return _claim_attempt(session, at)
    _join(operation, taken, request, at)
    return None


def _join(operation: Operation, session: PaymentSession, request: CheckoutRequest, at: datetime) -> None:
    """Answer a create for an auction that already has its session (money rule 1)."""
    same = (
        str(session.buyer_id) == request.buyer_id
        and session.amount_minor == request.amount_minor
        and session.currency == request.currency
    )
    if not same:
        detail = "Another buyer, amount or currency was asked for than in the auction's open payment session."
        operations.refuse(operation, Problem("auction_taken", detail, sessionId=str(session.id)), at)
        return
    operation.session = session
    attempt = current_attempt(session)
    if attempt is not None and attempt.status == "claimed":
        operation.save(only=[Operation.session])  # answered by whoever opens the page
    else:
        operations.finish(operation, 200, answers.created(session), at)


def _insert_session(request: CheckoutRequest, at: datetime) -> PaymentSession:
    values = request.asdict()
    session: PaymentSession = PaymentSession.create(
        **values,
        id=uuid.uuid4(),
        livemode=runtime().gateway.livemode,
        status="pending",
        attempt_number=1,
        expires_at=at + timedelta(minutes=request.window_minutes),
        created_at=at,
        updated_at=at,
    )
    return session


def _claim_attempt(session: PaymentSession, at: datetime) -> CheckoutAttempt:
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
        locale=session.locale,
        success_url=session.return_url or settings.checkout_return_url or pay_url,
        cancel_url=session.cancel_url or settings.checkout_cancel_url or pay_url,
        method_types=settings.payment_method_types,
        window_ends=session.expires_at,
        at=at,
    )
    key = ids.checkout_key(session.id, session.attempt_number)
    return attempts.claim(session, kind="first", params=jsons.dumps(params), idempotency_key=key, at=at)


def _open(attempt: CheckoutAttempt) -> None:
    """Ask Stripe for the attempt's page and record the answer, whatever it is."""
    try:
        page = _find(attempt) if _key_may_be_forgotten(attempt) else _post(attempt)
    except StripeUnavailable as error:
        with transaction():
            attempts.postpone(attempt, str(error), clock.now())
        raise
    except StripeRefused as refusal:
        with transaction():
            _give_up(attempt, refusal, clock.now())
        return
    with transaction():
        _attach(attempt, page, clock.now())


def _post(attempt: CheckoutAttempt) -> Checkout:
    # Plain json: the parameters must go out exactly as they were frozen, and hold no decimals.
    return read_checkout(runtime().gateway.create_checkout(jsons.loads(attempt.params), attempt.idempotency_key))


def _key_may_be_forgotten(attempt: CheckoutAttempt) -> bool:
    age: timedelta = clock.now() - attempt.first_called_at
    return age > KEY_AGE_LIMIT


def _find(attempt: CheckoutAttempt) -> Checkout:
    """Look for the page of an attempt whose outcome stayed unknown for so long that posting again is not safe."""
    for found in runtime().gateway.checkouts_since(attempt.first_called_at - LOOKUP_MARGIN):
        page = read_checkout(found)
        if page.session_id == str(attempt.session_id) and page.attempt_number == attempt.number:
            return page
    raise StripeRefused("Stripe has no Checkout Session for this attempt", code="attempt_never_arrived")


def _attach(attempt: CheckoutAttempt, page: Checkout, at: datetime) -> None:
    """Make the page the session's; if the session no longer wants it, have it closed."""
    session = moves.lock_session(attempt.session_id)
    if session is None or not attempts.attach(attempt, page):
        return
    cause = Cause("system:checkout.create", at)
    # A full default window ends when its page does: Stripe's clock, not ours, says when that is.
    window = {} if "expires_at" in jsons.loads(attempt.params) else {"expires_at": page.expires_at}
    current = session.attempt_number == attempt.number
    if current and moves.apply(session, Event.PAGE_OPENED, cause, **window).kind is not Kind.PAST:
        analytics.track(analytics.CHECKOUT_STARTED, session, at)
        for position, operation in enumerate(operations.unfinished_of(session.id)):
            operations.finish(operation, 201 if position == 0 else 200, answers.created(session), at)
        return
    outbox.follow_up("checkout.close_page", at, attempt_id=str(attempt.id))
    _refuse_waiting(session, Problem("session_closed", f"The payment session is {session.status}."), at)


def _give_up(attempt: CheckoutAttempt, refusal: StripeRefused, at: datetime) -> None:
    session = moves.lock_session(attempt.session_id)
    if session is None or not attempts.refuse(attempt, str(refusal), at):
        return
    cause = Cause("system:checkout.create", at, why=str(refusal))
    code = refusal.code or "stripe_refused"
    if session.attempt_number == attempt.number:
        moves.apply(session, Event.PAGE_REFUSED, cause, failure_code=code, failure_message=answers.NOT_POSSIBLE)
    problem = Problem("stripe_refused", str(refusal), sessionId=str(session.id), stripeCode=code, param=refusal.param)
    _refuse_waiting(session, problem, at)


def _refuse_waiting(session: PaymentSession, problem: Problem, at: datetime) -> None:
    for operation in operations.unfinished_of(session.id):
        operations.refuse(operation, problem, at)
