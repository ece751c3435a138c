"""The payment methods that buyers keep at Stripe.

``methods.list`` (query): replies with a buyer's methods; reads only.
``methods.detach`` (the marketplace's command): ``POST /v1/payment_methods/{id}/detach``, which Stripe refuses the second time;
the method is read again then. A second run finds the outcome, or the method detached.
``methods.refresh`` (outbox of an event): Stripe's customer and its methods are read, and the rows brought in line. Events only
say that something changed, so neither their order nor their number matters. A second run writes the same again.
"""

import uuid
from typing import Any

from paywindow import clock
from paywindow.actors.registry import actor
from paywindow.actors.runtime import runtime
from paywindow.errors import Problem, StripeRefused, Transient
from paywindow.models import customers, operations, outbox, payment_methods
from paywindow.models.database import transaction
from paywindow.models.tables import Customer, Operation, PaymentMethod
from paywindow.payment_methods import read_customer, read_method
from paywindow.published import Outcome

#: How often a look at Stripe is repeated because something changed meanwhile, before the queue tries again later.
LOOKS = 3


@actor("methods.list")
def list_methods(reply_id: str, buyer_id: str) -> None:
    """Reply with the payment methods of a buyer; of an unknown one, none."""
    with transaction():
        found = payment_methods.kept_by(uuid.UUID(buyer_id), runtime().gateway.livemode)
    runtime().publisher.reply(uuid.UUID(reply_id), Outcome(200, {"paymentMethods": found}, "", ""))


@actor("methods.detach")
def detach(operation_id: str, client: str, fingerprint: str, request: dict[str, Any]) -> None:
    """Take a payment method from its buyer."""
    operation = uuid.UUID(operation_id)
    at = clock.now()
    try:
        with transaction():
            row = operations.begin(operation, "methods.detach", client, fingerprint, request, at)
            method = payment_methods.find(uuid.UUID(request["method_id"]), uuid.UUID(request["buyer_id"]))
            attached = _answer(row, method)
    except operations.KeyReused as reused:
        runtime().publisher.conflict(operation, reused.outcome)
        return
    if attached is None:
        return
    refusal = _detach_at_stripe(attached)
    with transaction():
        row = Operation.select().where(Operation.id == operation).for_update().get()
        if refusal is None:
            payment_methods.detached(attached, clock.now())
            _answer(row, payment_methods.find(attached.id, attached.buyer_id))
        elif row.outcome is None:
            problem = Problem("stripe_refused", str(refusal), stripeCode=refusal.code, param=refusal.param)
            operations.refuse(row, problem, clock.now())


def _detach_at_stripe(method: PaymentMethod) -> StripeRefused | None:
    """Have Stripe forget the method; the refusal, if it will not. One that Stripe does not have is as good as detached."""
    try:
        runtime().gateway.detach_payment_method(method.stripe_payment_method_id)
    except StripeRefused as refusal:
        return None if refusal.code == "resource_missing" else refusal
    return None


def _answer(row: Operation, method: PaymentMethod | None) -> PaymentMethod | None:
    """Answer the command if that is possible; else the method that is still to be detached at Stripe."""
    at = clock.now()
    if row.outcome is not None:
        outbox.follow_up("publish.operation", at, operation_id=str(row.id))
    elif method is None:
        operations.refuse(row, Problem("not_found", "This buyer has no such payment method."), at)
    elif method.detached_at is not None:
        operations.finish(row, 200, {"paymentMethod": payment_methods.public(method, is_default=False)}, at)
    else:
        return method
    return None


@actor("methods.refresh")
def refresh(customer_id: str, outbox_id: int | None = None) -> None:
    """Read a customer and its payment methods from Stripe, and write down how they stand."""
    for _ in range(LOOKS):
        if _look(uuid.UUID(customer_id), outbox_id):
            return
    raise Transient(f"customer {customer_id} keeps changing")


def _look(identifier: uuid.UUID, outbox_id: int | None) -> bool:
    with transaction():
        customer: Customer = Customer.get_by_id(identifier)
        if customer.deleted_at is not None:
            outbox.done(outbox_id)
            return True
    gateway, stripe_id = runtime().gateway, str(customer.stripe_customer_id)
    found = read_customer(gateway.retrieve_customer(stripe_id))
    try:
        methods = [] if found.deleted else [read_method(each) for each in gateway.payment_methods_of(stripe_id)]
    except StripeRefused as refusal:
        # Deleted between the two questions: the next look finds that out.
        if refusal.code != "resource_missing":
            raise
        return False
    with transaction():
        if found.deleted:
            customers.forget(customer, clock.now())
        elif not customers.write(customer, found, methods, clock.now()):
            return False
        outbox.done(outbox_id)
    return True
