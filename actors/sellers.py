"""Sellers' accounts at Stripe.

``sellers.link`` (the marketplace's command): opens the maker's account, once, and mints an onboarding link, each time. The row
with the frozen parameters is committed before ``POST /v1/accounts`` is called under the maker's own key; a second run replays
the call, or finds the account. ``POST /v1/account_links`` has the command's key; a command with an outcome keeps its link.
``sellers.refresh`` (outbox of an account's event, of a link to it, or of a share that waits for it) reads the account from Stripe
and records what it says; a second run reads again. ``sellers.find`` answers the front end.
"""

import uuid
from datetime import timedelta
from typing import Any

from paywindow import clock, ids, jsons
from paywindow.accounts import Account, account_params, link_params, read_account
from paywindow.actors.registry import actor
from paywindow.actors.runtime import runtime
from paywindow.checkout import moment
from paywindow.clock import isoformat
from paywindow.errors import Problem, StripeRefused
from paywindow.models import operations, outbox, sellers, shares
from paywindow.models.database import transaction
from paywindow.models.tables import ConnectedAccount, Operation
from paywindow.published import Outcome

#: A call that is repeated so long after the first is preceded by a look: Stripe replays a 500 under its key though the account
#: may be there, and forgets the key after 24 hours.
LOOK_FIRST_AFTER = timedelta(seconds=20)
#: A lookup starts this much before the first call: our clock and Stripe's differ.
LOOKUP_MARGIN = timedelta(minutes=5)
_DISCONNECTED = "account_invalid"


@actor("sellers.link")
def link(operation_id: str, client: str, fingerprint: str, request: dict[str, Any]) -> None:
    """Open the maker's account if there is none, and answer with a fresh onboarding link."""
    at = clock.now()
    operation, maker_id = uuid.UUID(operation_id), uuid.UUID(request["maker_id"])
    try:
        with transaction():
            row = operations.begin(operation, "sellers.link", client, fingerprint, request, at)
            if row.outcome is not None:
                outbox.follow_up("publish.operation", at, operation_id=operation_id)
                return
            params = account_params(request["maker_id"], request.get("country"), request.get("email"))
            account = sellers.claim(maker_id, params, at)
    except operations.KeyReused as reused:
        runtime().publisher.conflict(operation, reused.outcome)
        return
    try:
        is_new = account.stripe_account_id is None
        account_id = _open(account) if is_new else str(account.stripe_account_id)
        if is_new:
            _record_opening(account, account_id)
        found = runtime().gateway.create_account_link(
            link_params(account_id, request["return_url"], request["refresh_url"]),
            # Another sweep, another key: a stored 500 would be replayed, and a second link does no harm.
            ids.account_link_key(operation, row.tries),
        )
    except StripeRefused as refusal:
        _refuse(operation, maker_id, refusal)
        return
    with transaction():
        row = _locked(operation)
        if row.outcome is None:
            body = {
                "account": sellers.public(sellers.locked(maker_id)),
                "onboarding": {"url": found["url"], "expiresAt": isoformat(moment(found["expires_at"]))},
            }
            operations.finish(row, 201 if is_new else 200, body, clock.now())
            if not is_new:  # a new account is read as soon as it is opened
                outbox.follow_up("sellers.refresh", clock.now(), maker_id=str(maker_id))


@actor("sellers.refresh")
def refresh(maker_id: str, outbox_id: int | None = None) -> None:
    """Read the maker's account from Stripe, and wake what waited for it."""
    identifier = uuid.UUID(maker_id)
    with transaction():
        row = sellers.of_maker(identifier)
        account_id = None if row is None or row.deauthorized_at else row.stripe_account_id
        if row is None or account_id is None:
            outbox.done(outbox_id)
            return
        reading = sellers.begin_reading(row)
    account = _read(account_id)
    at = clock.now()
    with transaction():
        if account is None:
            sellers.lost(identifier, account_id, at)
        elif sellers.record(identifier, account, reading, at):
            shares.wake(identifier, at)
        outbox.done(outbox_id)


@actor("sellers.find")
def find(reply_id: str, maker_id: str) -> None:
    """Reply with the maker's account as it was last read, or a 404. Reads only; a second run replies again."""
    with transaction():
        row = sellers.of_maker(uuid.UUID(maker_id))
        body = None if row is None else {"account": sellers.public(row)}
    if body is None:
        problem = Problem("not_found", "This maker has no account; POST to this address opens one.")
        outcome = Outcome(problem.status, problem.body(), "", "")
    else:
        outcome = Outcome(200, body, "", "")
    runtime().publisher.reply(uuid.UUID(reply_id), outcome)


def _open(row: ConnectedAccount) -> str:
    """The id of the maker's account: posted under its key, or, if an earlier call may have opened it, found."""
    gateway = runtime().gateway
    if clock.now() - row.first_called_at > LOOK_FIRST_AFTER:
        for found in gateway.accounts_since(row.first_called_at - LOOKUP_MARGIN):
            if read_account(found).maker_id == str(row.maker_id):
                return str(found["id"])
    key = ids.account_key(row.maker_id, row.generation)
    return read_account(gateway.open_account(jsons.loads(row.params), key)).id


def _record_opening(row: ConnectedAccount, account_id: str) -> None:
    """Record the id. A replayed answer is as old as the first call, so what it says of the account is read again."""
    at = clock.now()
    with transaction():
        sellers.opened(row, account_id, at)
        outbox.follow_up("sellers.refresh", at, maker_id=str(row.maker_id))


def _read(account_id: str) -> Account | None:
    """The account, or ``None`` when Stripe says that it is not ours (any more)."""
    try:
        return read_account(runtime().gateway.retrieve_account(account_id))
    except StripeRefused as refusal:
        if refusal.code != _DISCONNECTED:
            raise
        return None


def _refuse(operation: uuid.UUID, maker_id: uuid.UUID, refusal: StripeRefused) -> None:
    """Stripe said no. To an account that is gone: its loss is noticed, and the next command opens another."""
    at = clock.now()
    code = refusal.code or "stripe_refused"
    problem = Problem("stripe_refused", str(refusal), makerId=str(maker_id), stripeCode=code, param=refusal.param)
    with transaction():
        row = _locked(operation)
        if row.outcome is None:
            operations.refuse(row, problem, at)
            outbox.follow_up("sellers.refresh", at, maker_id=str(maker_id))


def _locked(operation: uuid.UUID) -> Operation:
    row: Operation = Operation.select().where(Operation.id == operation).for_update().get()
    return row
