"""The way of an API request, in the order in which Stripe takes it.

Faults, key, rate limit, route, idempotency key, parameters (refusals up to here are not kept under the key); then the
handler, from where on the answer is kept, errors included; then the faults that spoil the reply.
"""

import json
import logging
from dataclasses import replace

from aiohttp import web

from paywindow.sandbox import (
    resource_account,
    resource_accounts,
    resource_checkout,
    resource_customers,
    resource_disputes,
    resource_events,
    resource_methods,
    resource_payments,
    resource_refunds,
    resource_transfers,
    resource_webhooks,
)
from paywindow.sandbox.authentication import api_key
from paywindow.sandbox.checkout import expire_due
from paywindow.sandbox.core import Sandbox
from paywindow.sandbox.errors import StripeError, internal_error, invalid, unsupported
from paywindow.sandbox.events import API_VERSION, Cause
from paywindow.sandbox.expand import expand
from paywindow.sandbox.faults import Disconnect, Fault, HeldCall, Kind, delay_work, refuse_early, spoil_reply
from paywindow.sandbox.forms import Form, decode
from paywindow.sandbox.idempotency import Answer, Fingerprint
from paywindow.sandbox.ids import new_id
from paywindow.sandbox.routing import Call, Route, Router
from paywindow.sandbox.sdk_types import schema_of

_LOG = logging.getLogger(__name__)

ROUTER = Router(
    [
        *resource_account.ROUTES,
        *resource_accounts.ROUTES,
        *resource_checkout.ROUTES,
        *resource_customers.ROUTES,
        *resource_disputes.ROUTES,
        *resource_events.ROUTES,
        *resource_methods.ROUTES,
        *resource_payments.ROUTES,
        *resource_refunds.ROUTES,
        *resource_transfers.ROUTES,
        *resource_webhooks.ROUTES,
    ]
)


class ApiPipeline:
    """Answers ``/v1/...`` for one sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def __call__(self, request: web.Request) -> web.Response:
        """The aiohttp handler."""
        call = HeldCall(request.method, request.path, new_id("req"))
        fault = self._sandbox.faults.take(call.method, call.path)
        try:
            answer = await self._answer(request, call, fault)
            await spoil_reply(fault, self._sandbox.holds, call)
        except StripeError as error:
            answer = _refusal(error, call.request_id)
        except Disconnect:
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        headers = {"Request-Id": call.request_id, "Stripe-Version": API_VERSION, **answer.headers}
        if key := _idempotency_key(request):
            headers["Idempotency-Key"] = key
        return web.Response(body=answer.body, status=answer.status, headers=headers, content_type="application/json")

    async def _answer(self, request: web.Request, call: HeldCall, fault: Fault | None) -> Answer:
        """The answer, replayed or new. What is raised instead has not been executed."""
        sandbox = self._sandbox
        form = await _read_form(request)
        refuse_early(fault)
        sandbox.limiter.take(api_key(request.headers.get("Authorization")))
        _check_headers(request)
        route, ids = ROUTER.find(call.method, call.path)
        sandbox.calls[route.name] += 1
        key = _idempotency_key(request)
        if key and (kept := sandbox.idempotency.begin(key, _fingerprint(call, form), sandbox.clock.now())):
            sandbox.replays[route.name] += 1
            return _replayed(kept)
        answer: Answer | None = None
        try:
            await delay_work(fault, sandbox.holds, call)
            params = schema_of(route.params).check_all(form)
            base = f"{request.scheme}://{request.host}"
            answer = self._execute(route, Call(ids, params, Cause(call.request_id, key), base), call.request_id)
            if fault and fault.kind is Kind.ERROR_AFTER_WORK:
                answer = _refusal(internal_error(stored=True), call.request_id)
            return answer
        finally:
            if key and answer:
                sandbox.idempotency.finish(key, answer)
            elif key:
                sandbox.idempotency.abandon(key)

    def _execute(self, route: Route, call: Call, request_id: str) -> Answer:
        """Run the handler. A bug in it is a 500, as it would be at Stripe."""
        sandbox = self._sandbox
        try:
            expire_due(sandbox)
            body = expand(sandbox.store, route.handler(sandbox, call), call.params.get("expand", []))
            return Answer(200, json.dumps(body).encode(), request_id)
        except StripeError as error:
            return _refusal(error, request_id)
        except Exception:
            _LOG.exception("%s broke", route.name)
            return _refusal(internal_error(stored=True), request_id)


async def _read_form(request: web.Request) -> Form:
    if request.method != "POST":
        return decode(request.query_string)
    return decode((await request.read()).decode(errors="replace"))


def _check_headers(request: web.Request) -> None:
    version = request.headers.get("Stripe-Version", API_VERSION)
    if version != API_VERSION:
        raise invalid(f"Invalid Stripe API version: {version}. The sandbox speaks {API_VERSION} only.")
    if "Stripe-Account" in request.headers:
        raise unsupported("Stripe-Account", "header")


def _idempotency_key(request: web.Request) -> str | None:
    """Only POST takes a key; elsewhere it means nothing."""
    return request.headers.get("Idempotency-Key") if request.method == "POST" else None


def _fingerprint(call: HeldCall, form: Form) -> Fingerprint:
    return call.path, json.dumps(form, sort_keys=True)


def _replayed(answer: Answer) -> Answer:
    replay = {"Idempotent-Replayed": "true", "Original-Request": answer.request_id}
    return replace(answer, headers={**answer.headers, **replay})


def _refusal(error: StripeError, request_id: str) -> Answer:
    return Answer(error.status, json.dumps(error.body()).encode(), request_id, error.headers)
