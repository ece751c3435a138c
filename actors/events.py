"""Stripe's events: kept first, then handled.

``events.receive`` (front end, a verified webhook) and ``events.handle`` (sweep, or woken by another event). The row is inserted
and the handler runs inside a savepoint of the same transaction, so that one commit carries both; when the handler fails,
the row stays, unhandled, with its error. A redelivery of a handled event changes nothing; of an unhandled one, handles it.

Handlers never call Stripe: one that needs Stripe's word raises :class:`AskStripe`; the transaction ends, the Checkout
Session is read, and the handler runs again with the answer.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

from paywindow import clock, jsons, metrics
from paywindow.actors.event_context import Context, NotYet
from paywindow.actors.handlers import HANDLERS
from paywindow.actors.payment import AskStripe
from paywindow.actors.registry import actor
from paywindow.actors.runtime import runtime
from paywindow.checkout import Checkout, read_checkout
from paywindow.errors import Permanent, StripeUnavailable
from paywindow.models import inbox
from paywindow.models.database import after_commit, savepoint, transaction
from paywindow.models.tables import StripeEvent

logger = logging.getLogger(__name__)

#: How often an event that came before its time is looked at again, if nothing wakes it.
WAIT = timedelta(seconds=5)
#: How long an event waits that needs an answer of Stripe's while there is none to be had.
WAIT_FOR_STRIPE = timedelta(minutes=1)
# Events of connected accounts may carry any metadata: they touch nothing but account state.
_OF_ACCOUNTS = ("account.", "capability.", "payout.")


@actor("events.receive")
def receive(body: str, received_at: str) -> None:
    """Keep a verified webhook and handle it."""
    event = jsons.loads(body)
    at = datetime.fromisoformat(received_at)
    _handle(lambda: inbox.receive(event, body, at))


@actor("events.handle")
def handle(event_id: str) -> None:
    """Handle an event that was kept but not handled."""
    _handle(lambda: inbox.locked(event_id))


def _handle(find: Callable[[], StripeEvent]) -> None:
    known: dict[str, Checkout] = {}
    while True:
        with transaction():
            row = find()
            question = None if row.handled_at else _run(row, known)
        if question is None:
            return
        try:
            known[question] = read_checkout(runtime().gateway.retrieve_checkout(question))
        except StripeUnavailable as error:
            _no_answer(find, inbox.waits, f"Stripe could not be asked: {error}", clock.now() + WAIT_FOR_STRIPE)
            return
        except Permanent as refusal:
            # Asking again will not help, so it counts: the event is parked in the end, not asked about for ever.
            _no_answer(find, inbox.failed, f"{type(refusal).__name__}: {refusal}", clock.now())
            return


def _no_answer(find: Callable[[], StripeEvent], record: Callable[..., None], why: str, at: datetime) -> None:
    """Record that Stripe did not say what was asked, unless the event was handled meanwhile, in another delivery."""
    with transaction():
        row = find()
        if row.handled_at is None:
            record(row, why, at)


def _run(row: StripeEvent, known: dict[str, Checkout]) -> str | None:
    """Run the handler in a savepoint and record how it ended; the id of a Checkout Session to read first, if one is."""
    at = clock.now()
    try:
        with savepoint():
            verdict = _verdict(row, Context(inbox.content(row), at, known, at - row.received_at))
    except AskStripe as ask:
        if ask.checkout_id not in known:
            return ask.checkout_id
        inbox.failed(row, f"Stripe's answer about {ask.checkout_id} does not settle the question", at)
    except NotYet as early:
        inbox.waits(row, str(early), at + WAIT)
    except Exception as error:
        logger.exception("%s could not be handled", row.type)
        # Not swallowed: it is on the row, counted towards parking, and the sweep runs the handler again.
        inbox.failed(row, f"{type(error).__name__}: {error}", at)
        after_commit(metrics.EVENT_FAILURES.inc)
    else:
        inbox.handled(row, verdict, at)
        after_commit(partial(_count, verdict, at - row.stripe_created_at))
    return None


def _count(verdict: str, lag: timedelta) -> None:
    metrics.EVENTS_HANDLED.labels(verdict).inc()
    # Stripe's clock and ours differ a little, and its seconds are whole.
    metrics.WEBHOOK_LAG.observe(max(lag.total_seconds(), 0))


def _verdict(row: StripeEvent, context: Context) -> str:
    if row.livemode != runtime().gateway.livemode:
        return "foreign"
    if row.account is not None and not row.type.startswith(_OF_ACCOUNTS):
        return "foreign"
    handler = HANDLERS.get(row.type)
    return "unknown_type" if handler is None else handler(context)
