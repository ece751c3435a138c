"""Makers' accounts at Stripe: opened once each, and kept as Stripe last described them, whatever order its events come in."""

import uuid
from datetime import datetime
from typing import Any

from paywindow import jsons
from paywindow.accounts import Account
from paywindow.clock import isoformat
from paywindow.models.tables import ConnectedAccount

#: What a maker without an account lacks.
NO_ACCOUNT = "account"


def of_maker(maker_id: uuid.UUID) -> ConnectedAccount | None:
    """The maker's account, or the will to open one."""
    found: ConnectedAccount | None = ConnectedAccount.get_or_none(ConnectedAccount.maker_id == maker_id)
    return found


def of_account(account_id: str) -> ConnectedAccount | None:
    """The account by Stripe's id."""
    found: ConnectedAccount | None = ConnectedAccount.get_or_none(ConnectedAccount.stripe_account_id == account_id)
    return found


def locked(maker_id: uuid.UUID) -> ConnectedAccount:
    """The maker's row, locked until the transaction ends. The row must be there."""
    row: ConnectedAccount = ConnectedAccount.select().where(ConnectedAccount.maker_id == maker_id).for_update().get()
    return row


def claim(maker_id: uuid.UUID, params: dict[str, Any], at: datetime) -> ConnectedAccount:
    """Freeze how the maker's account will be opened, or find it as it is; locked until the transaction ends.

    An account that was disconnected is lost to us: another one takes its place, under a key of its own.
    """
    ConnectedAccount.insert(
        maker_id=maker_id, params=jsons.dumps(params), first_called_at=at, created_at=at, updated_at=at
    ).on_conflict_ignore().execute()
    row = locked(maker_id)
    return row if row.deauthorized_at is None else _begin_again(row, jsons.dumps(params), at)


def opened(row: ConnectedAccount, account_id: str, at: datetime) -> None:
    """Record which account Stripe opened. What it says of the account by now is for a reading to tell."""
    ConnectedAccount.update(stripe_account_id=account_id, updated_at=at).where(
        ConnectedAccount.maker_id == row.maker_id,
        ConnectedAccount.generation == row.generation,
        ConnectedAccount.stripe_account_id.is_null(),
    ).execute()


def begin_reading(row: ConnectedAccount) -> int:
    """Number a reading of the account that is about to begin; commit before asking Stripe."""
    rows = (
        ConnectedAccount.update(reads_begun=ConnectedAccount.reads_begun + 1)
        .where(ConnectedAccount.maker_id == row.maker_id)
        .returning(ConnectedAccount.reads_begun)
        .execute()
    )
    return int(next(iter(rows)).reads_begun)


def record(maker_id: uuid.UUID, account: Account, reading: int, at: datetime) -> bool:
    """Record what a reading said, unless one that began later was recorded; true if the maker can now receive money.

    What changed after this reading's answer sent an event of its own, and with it a later reading: so the last word stays.
    """
    rows = list(
        ConnectedAccount.update(
            charges_enabled=account.charges_enabled,
            payouts_enabled=account.payouts_enabled,
            details_submitted=account.details_submitted,
            transfers_capability=account.transfers,
            card_payments_capability=account.card_payments,
            currently_due=jsons.dumps(list(account.currently_due)),
            past_due=jsons.dumps(list(account.past_due)),
            disabled_reason=account.disabled_reason,
            current_deadline=account.current_deadline,
            default_currency=account.default_currency,
            country=account.country,
            reads_recorded=reading,
            read_at=at,
            updated_at=at,
        )
        .where(
            ConnectedAccount.maker_id == maker_id,
            ConnectedAccount.stripe_account_id == account.id,
            ConnectedAccount.deauthorized_at.is_null(),
            ConnectedAccount.reads_recorded < reading,
        )
        .returning(ConnectedAccount)
        .execute()
    )
    return bool(rows) and can_receive(rows[0])


def lost(maker_id: uuid.UUID, account_id: str, at: datetime) -> None:
    """Stripe says that we cannot reach the account any more: its owner disconnected it, or Stripe closed it."""
    ConnectedAccount.update(
        charges_enabled=False,
        payouts_enabled=False,
        transfers_capability=None,
        card_payments_capability=None,
        deauthorized_at=at,
        updated_at=at,
    ).where(ConnectedAccount.maker_id == maker_id, ConnectedAccount.stripe_account_id == account_id).execute()


def can_receive(row: ConnectedAccount | None) -> bool:
    """Whether money can be sent to the account: the capability ``transfers`` is active."""
    return row is not None and row.deauthorized_at is None and row.transfers_capability == "active"


def can_charge(row: ConnectedAccount | None) -> bool:
    """Whether payments can be split with the account."""
    return row is not None and bool(row.charges_enabled) and can_receive(row)


def missing(row: ConnectedAccount | None) -> list[str]:
    """What keeps a maker from taking payments, in Stripe's words: requirements, else the capability or the reason."""
    if can_charge(row):
        return []
    if row is None or row.stripe_account_id is None or row.deauthorized_at is not None:
        return [NO_ACCOUNT]
    due: list[str] = jsons.loads(row.past_due) or jsons.loads(row.currently_due)
    if due:
        return due
    if row.disabled_reason:
        return [str(row.disabled_reason)]
    return ["charges_enabled" if not row.charges_enabled else "capabilities.transfers"]


def public(row: ConnectedAccount) -> dict[str, Any]:
    """The ``account`` object of the API."""
    return {
        "makerId": str(row.maker_id),
        "stripeAccountId": row.stripe_account_id,
        "connected": row.stripe_account_id is not None and row.deauthorized_at is None,
        "ready": can_charge(row),
        "missing": missing(row),
        "chargesEnabled": row.charges_enabled,
        "payoutsEnabled": row.payouts_enabled,
        "detailsSubmitted": row.details_submitted,
        "capabilities": {"transfers": row.transfers_capability, "cardPayments": row.card_payments_capability},
        "requirements": {
            "currentlyDue": jsons.loads(row.currently_due),
            "pastDue": jsons.loads(row.past_due),
            "disabledReason": row.disabled_reason,
            "currentDeadline": isoformat(row.current_deadline) if row.current_deadline else None,
        },
        "defaultCurrency": row.default_currency,
        "country": row.country,
        "readAt": isoformat(row.read_at) if row.read_at else None,
    }


def _begin_again(row: ConnectedAccount, params: str, at: datetime) -> ConnectedAccount:
    fresh: dict[str, Any] = {
        "generation": row.generation + 1,
        "params": params,
        "first_called_at": at,
        "stripe_account_id": None,
        "details_submitted": False,
        "currently_due": "[]",
        "past_due": "[]",
        "disabled_reason": None,
        "current_deadline": None,
        "deauthorized_at": None,
        "updated_at": at,
    }
    ConnectedAccount.update(**fresh).where(ConnectedAccount.maker_id == row.maker_id).execute()
    return locked(row.maker_id)
