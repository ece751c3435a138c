"""The life of a connected account (https://docs.stripe.com/connect/handling-api-verification).

Created able to do nothing; its owner goes through onboarding on a hosted page; then its capabilities are active, until
Stripe wants to know more. Every change sends ``account.updated`` and, where one changed, ``capability.updated``, both
with ``account``: they happened there.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from paywindow.sandbox.account_object import build_account, build_capability, build_link, build_requirements
from paywindow.sandbox.core import Sandbox
from paywindow.sandbox.errors import StripeError, invalid, missing_parameter, unsupported
from paywindow.sandbox.events import NO_REQUEST, Cause, previous_attributes
from paywindow.sandbox.jsontypes import JsonObject, snapshot
from paywindow.sandbox.metadata import checked_metadata, merged_metadata
from paywindow.sandbox.money import check_currency

LINK_SECONDS = 5 * 60
"""Stripe says "a few minutes"."""
_CREATE = frozenset(
    [
        "business_profile",
        "business_type",
        "capabilities",
        "controller",
        "country",
        "default_currency",
        "email",
        "expand",
        "metadata",
    ]
)
_UPDATE = frozenset(["business_profile", "business_type", "email", "expand", "metadata"])
_CAPABILITIES = frozenset(["card_payments", "transfers"])


@dataclass(slots=True)
class AccountLink:
    """What an onboarding link carries out of sight."""

    account: str
    return_url: str
    refresh_url: str
    expires_at: int
    used: bool = False


def create_account(sandbox: Sandbox, params: JsonObject, cause: Cause) -> JsonObject:
    """Open an account with ``controller`` properties. Raises StripeError when the rules forbid it."""
    _check_modelled(params, _CREATE)
    if "controller" not in params:
        raise unsupported("type", "accounts without the parameter controller, of the older")
    for name in params.get("capabilities", {}):
        if name not in _CAPABILITIES:
            raise unsupported(f"capabilities[{name}]")
    if "default_currency" in params:
        params["default_currency"] = check_currency(params["default_currency"], "default_currency")
    params["metadata"] = checked_metadata(params.get("metadata") or {})
    config = sandbox.config
    account = sandbox.store.add(
        build_account(
            params, country=config.account_country, currency=config.account_currency, created=sandbox.clock.now()
        )
    )
    sandbox.events.emit("account.updated", account, cause=cause, account=account["id"])
    return account


def update_account(sandbox: Sandbox, account: JsonObject, params: JsonObject, cause: Cause) -> JsonObject:
    """Change what a platform may change of an account whose requirements Stripe collects."""
    _check_modelled(params, _UPDATE)

    def apply(changed: JsonObject) -> None:
        for name in ("business_type", "email"):
            if name in params:
                changed[name] = params[name]
        if "business_profile" in params:
            changed["business_profile"] |= params["business_profile"]
        if "metadata" in params:
            changed["metadata"] = merged_metadata(changed["metadata"], params["metadata"])

    return change_account(sandbox, account, apply, cause=cause)


def create_link(sandbox: Sandbox, params: JsonObject, *, page_base: str) -> JsonObject:
    """A link to the hosted onboarding: good once, for a few minutes (https://docs.stripe.com/api/account_links)."""
    for name in ("refresh_url", "return_url"):
        if name not in params:
            raise missing_parameter(name)
        if not params[name].startswith(("http://", "https://")):
            raise invalid("Not a valid URL", name, "url_invalid")
    if params["type"] != "account_onboarding":
        raise unsupported("type", f"value {params['type']} of the parameter")
    account = sandbox.store.get("account", params["account"], "account", status=400)
    now = sandbox.clock.now()
    token = secrets.token_urlsafe(12)
    link = AccountLink(account["id"], params["return_url"], params["refresh_url"], now + LINK_SECONDS)
    sandbox.account_links[token] = link
    return build_link(f"{page_base}/setup/e/{account['id']}/{token}", now, link.expires_at)


def onboard(sandbox: Sandbox, account: JsonObject) -> JsonObject:
    """The owner has told everything, and Stripe believes it: charges and payouts are enabled."""

    def apply(changed: JsonObject) -> None:
        changed.update(details_submitted=True, charges_enabled=True, payouts_enabled=True)
        changed["requirements"] = build_requirements()
        changed["capabilities"] = dict.fromkeys(changed["capabilities"], "active")
        changed["tos_acceptance"] = {"date": sandbox.clock.now(), "ip": "127.0.0.1", "user_agent": None}

    return change_account(sandbox, account, apply)


def restrict(
    sandbox: Sandbox, account: JsonObject, fields: list[str], *, deadline: int | None = None, payouts_only: bool = False
) -> JsonObject:
    """Stripe wants to know more: by ``deadline``, or, without one, before anything goes on.

    With ``payouts_only`` it is the payouts that stop.
    """

    def apply(changed: JsonObject) -> None:
        late = deadline is None
        changed["requirements"] = build_requirements(
            currently_due=fields,
            past_due=fields if late else [],
            disabled_reason="requirements.past_due" if late else None,
            current_deadline=deadline,
        )
        if late:
            changed["payouts_enabled"] = False
        if late and not payouts_only:
            changed["charges_enabled"] = False
            changed["capabilities"] = dict.fromkeys(changed["capabilities"], "inactive")

    return change_account(sandbox, account, apply)


def deauthorize(sandbox: Sandbox, account: JsonObject) -> JsonObject:
    """The owner disconnects the account from the platform, which cannot reach it any more; the event."""
    sandbox.store.remove("account", account["id"])
    application = {"id": sandbox.application_id, "object": "application", "name": "Sandbox platform"}
    return sandbox.events.emit("account.application.deauthorized", application, account=account["id"])


def change_account(
    sandbox: Sandbox, account: JsonObject, apply: Callable[[JsonObject], None], *, cause: Cause = NO_REQUEST
) -> JsonObject:
    """Let ``apply`` change the account, and tell of what changed."""
    before = snapshot(account)
    apply(account)
    for name, status in account["capabilities"].items():
        if status != before["capabilities"].get(name):
            sandbox.events.emit(
                "capability.updated",
                build_capability(account, name),
                cause=cause,
                previous={"status": before["capabilities"].get(name)},
                account=account["id"],
            )
    if previous := previous_attributes(before, account):
        sandbox.events.emit("account.updated", account, cause=cause, previous=previous, account=account["id"])
    return account


def check_can_receive(sandbox_account: JsonObject, param: str) -> None:
    """Refuse to send money to an account whose capability ``transfers`` is not active."""
    if sandbox_account["capabilities"].get("transfers") != "active":
        raise StripeError(
            "Your destination account needs to have at least one of the following capabilities enabled: transfers, "
            "crypto_transfers, legacy_payments",
            code="insufficient_capabilities_for_transfer",
            param=param,
        )


def _check_modelled(params: JsonObject, modelled: frozenset[str]) -> None:
    for name in params:
        if name not in modelled:
            raise unsupported(name)
