"""``/v1/checkout/sessions`` (https://docs.stripe.com/api/checkout/sessions)."""

from stripe.params.checkout import (
    SessionCreateParams,
    SessionExpireParams,
    SessionListLineItemsParams,
    SessionListParams,
    SessionRetrieveParams,
    SessionUpdateParams,
)

from paywindow.sandbox.checkout import create_session, expire_session
from paywindow.sandbox.core import Sandbox
from paywindow.sandbox.errors import unsupported
from paywindow.sandbox.jsontypes import JsonObject
from paywindow.sandbox.metadata import merged_metadata
from paywindow.sandbox.pagination import created_matches, list_page
from paywindow.sandbox.routing import Call, Route

_PATH = "/v1/checkout/sessions"
_LIST_FILTERS = frozenset(["created", "ending_before", "expand", "limit", "payment_intent", "starting_after", "status"])


def _create(sandbox: Sandbox, call: Call) -> JsonObject:
    base = sandbox.config.public_url or call.base
    return create_session(sandbox, call.params, page_base=base, cause=call.cause)


def _find(sandbox: Sandbox, call: Call) -> JsonObject:
    return sandbox.store.get("checkout.session", call.ids["session"], "session")


def _update(sandbox: Sandbox, call: Call) -> JsonObject:
    session = _find(sandbox, call)
    for name in call.params:
        if name not in ("metadata", "expand"):
            raise unsupported(name)
    if "metadata" in call.params:
        session["metadata"] = merged_metadata(session["metadata"], call.params["metadata"])
    return session


def _expire(sandbox: Sandbox, call: Call) -> JsonObject:
    return expire_session(sandbox, _find(sandbox, call), cause=call.cause)


def _list(sandbox: Sandbox, call: Call) -> JsonObject:
    params = call.params
    for name in params:
        if name not in _LIST_FILTERS:
            raise unsupported(name)

    def matches(session: JsonObject) -> bool:
        return (
            created_matches(session, params.get("created"))
            and params.get("payment_intent") in (None, session["payment_intent"])
            and params.get("status") in (None, session["status"])
        )

    return list_page(sandbox.store.newest_first("checkout.session"), params, _PATH, matches)


def _list_line_items(sandbox: Sandbox, call: Call) -> JsonObject:
    session = _find(sandbox, call)
    items = sandbox.store.checkouts[session["id"]].line_items
    return list_page(items, call.params, f"{_PATH}/{session['id']}/line_items", lambda _: True)


ROUTES = [
    Route("POST", _PATH, _create, SessionCreateParams),
    Route("GET", _PATH, _list, SessionListParams),
    Route("GET", _PATH + "/{session}", _find, SessionRetrieveParams),
    Route("POST", _PATH + "/{session}", _update, SessionUpdateParams),
    Route("POST", _PATH + "/{session}/expire", _expire, SessionExpireParams),
    Route("GET", _PATH + "/{session}/line_items", _list_line_items, SessionListLineItemsParams),
]
