"""Connected accounts and their onboarding links.

https://docs.stripe.com/api/accounts, https://docs.stripe.com/api/account_links
"""

from stripe.params import (
    AccountCreateParams,
    AccountLinkCreateParams,
    AccountListParams,
    AccountRetrieveParams,
    AccountUpdateParams,
)

from paywindow.sandbox.accounts import create_account, create_link, update_account
from paywindow.sandbox.core import Sandbox
from paywindow.sandbox.errors import StripeError
from paywindow.sandbox.jsontypes import JsonObject
from paywindow.sandbox.pagination import created_matches, list_page
from paywindow.sandbox.routing import Call, Route

_PATH = "/v1/accounts"


def _create(sandbox: Sandbox, call: Call) -> JsonObject:
    return create_account(sandbox, call.params, call.cause)


def _find(sandbox: Sandbox, call: Call) -> JsonObject:
    account = sandbox.store.find("account", call.ids["account"])
    if account is None:
        # What Stripe says of accounts that never existed and of those that were disconnected alike.
        raise StripeError(
            f"The provided key does not have access to account '{call.ids['account']}' (or that account does not "
            "exist). Application access may have been revoked.",
            status=403,
            code="account_invalid",
        )
    return account


def _update(sandbox: Sandbox, call: Call) -> JsonObject:
    return update_account(sandbox, _find(sandbox, call), call.params, call.cause)


def _list(sandbox: Sandbox, call: Call) -> JsonObject:
    return list_page(
        sandbox.store.newest_first("account"),
        call.params,
        _PATH,
        lambda account: created_matches(account, call.params.get("created")),
    )


def _link(sandbox: Sandbox, call: Call) -> JsonObject:
    return create_link(sandbox, call.params, page_base=sandbox.config.public_url or call.base)


ROUTES = [
    Route("POST", _PATH, _create, AccountCreateParams),
    Route("GET", _PATH, _list, AccountListParams),
    Route("GET", _PATH + "/{account}", _find, AccountRetrieveParams),
    Route("POST", _PATH + "/{account}", _update, AccountUpdateParams),
    Route("POST", "/v1/account_links", _link, AccountLinkCreateParams),
]
