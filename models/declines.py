"""Which declines say something new: each is one fact, however often Stripe, or an operator who replays its event, tells of it."""

from datetime import datetime, timedelta

from paywindow.models import event_lists
from paywindow.models.tables import PaymentSession, StripeEvent, Transition
from paywindow.states import Event

_TYPE = "payment_intent.payment_failed"
#: Stripe tells times in whole seconds.
_SECOND = timedelta(seconds=1)


def is_answered(session: PaymentSession, declined_at: datetime) -> bool:
    """Whether the session was retried since, on the page that stayed open or on another: it does not fail for that again."""
    retried = Transition.select().where(
        Transition.session == session.id,
        Transition.event == Event.RETRIED.value,
        Transition.at >= declined_at + _SECOND,
    )
    return bool(retried.exists())


def was_told(session: PaymentSession, event_id: str, intent_id: str, declined_at: datetime) -> bool:
    """Whether the session moved for this decline before: by this event, or by another one of Stripe's for the same fact.

    For declines without a charge, which leave nothing else to recognise them by. Nobody fails two 3-D Secure steps of one
    PaymentIntent within a second.
    """
    same = StripeEvent.select(StripeEvent.id).where(
        event_lists.subject() == intent_id, StripeEvent.type == _TYPE, StripeEvent.stripe_created_at == declined_at
    )
    told = Transition.select().where(
        Transition.session == session.id,
        Transition.event == Event.DECLINED.value,
        (Transition.stripe_event_id == event_id) | Transition.stripe_event_id.in_(same),
    )
    return bool(told.exists())
