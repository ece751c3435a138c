"""The control API, ``/_sandbox/...``: JSON in, JSON out; errors have Stripe's shape. For tests and demos only.

It acts as buyers, banks and time would, breaks things on demand, and tells what happened. No key is asked for: the
sandbox listens on loopback and holds nothing real. Refunds have their operations in :mod:`.control_refunds`, accounts
in :mod:`.control_accounts`.
"""

from dataclasses import asdict
from decimal import Decimal, InvalidOperation

from aiohttp import web

from paywindow.sandbox.cards import find_card
from paywindow.sandbox.checkout import expire_due
from paywindow.sandbox.control_http import Operation, add_operations
from paywindow.sandbox.core import Sandbox
from paywindow.sandbox.endpoints import roll_secret
from paywindow.sandbox.errors import invalid
from paywindow.sandbox.faults import Fault
from paywindow.sandbox.fees import Settlement, release_fee, release_fees
from paywindow.sandbox.hosted import success_url
from paywindow.sandbox.jsontypes import JsonObject
from paywindow.sandbox.ledger import ledger
from paywindow.sandbox.methods import Buyer, CardMethod, DelayedMethod, SavedCard
from paywindow.sandbox.modes import DeliveryMode
from paywindow.sandbox.money import check_currency
from paywindow.sandbox.payments import Result, authenticate, pay, settle_delayed
from paywindow.sandbox.saved_methods import saved_card


class ControlApi:
    """The control API of one sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def add_routes(self, app: web.Application) -> None:
        """Hang the operations into the application."""
        table: list[tuple[str, str, Operation]] = [
            ("GET", "/health", self.health),
            ("GET", "/ledger", self.ledger),
            ("POST", "/reset", self.reset),
            ("POST", "/checkout/{session}/pay", self.pay),
            ("POST", "/checkout/{session}/authenticate", self.authenticate),
            ("POST", "/checkout/{session}/settle", self.settle),
            ("POST", "/expire-due", self.expire_due),
            ("POST", "/fees/release", self.release_fees),
            ("GET", "/faults", self.list_faults),
            ("POST", "/faults", self.add_fault),
            ("DELETE", "/faults", self.clear_faults),
            ("GET", "/holds", self.list_holds),
            ("POST", "/holds/release", self.release_holds),
            ("POST", "/rate-limit", self.set_rate_limit),
            ("GET", "/webhooks", self.webhooks),
            ("POST", "/webhooks/mode", self.set_webhook_mode),
            ("POST", "/webhooks/flush", self.flush_webhooks),
            ("POST", "/webhooks/{endpoint}/roll", self.roll_secret),
            ("POST", "/events", self.emit_event),
            ("POST", "/events/{event}/deliver", self.deliver_event),
        ]
        add_operations(app, table)

    async def health(self, request: web.Request, body: JsonObject) -> JsonObject:
        """Whether the sandbox is up, and its business time."""
        return {"status": "ok", "now": self._sandbox.clock.now(), "offset": self._sandbox.clock.offset()}

    async def ledger(self, request: web.Request, body: JsonObject) -> JsonObject:
        """Everything that happened."""
        return ledger(self._sandbox)

    async def reset(self, request: web.Request, body: JsonObject) -> JsonObject:
        """Start afresh; the configured webhook endpoint comes back."""
        await self._sandbox.reset()
        return {"reset": True}

    async def pay(self, request: web.Request, body: JsonObject) -> JsonObject:
        """Pay without the page.

        ``card`` (default 4242..., ``wallet`` apple_pay or google_pay), ``saved`` (the id of a saved card) or ``method`` of a
        delayed type; ``save`` ticks the box; ``email``, ``name``; ``authenticate`` true or false ends a 3-D Secure step at
        once; ``wait`` waits for the acknowledgement of the completed event as the page does.
        """
        session = self._session(request)
        buyer = Buyer(str(body.get("email") or "buyer@example.com"), str(body.get("name") or "Test Buyer"))
        method = self._method(session, body)
        result = pay(self._sandbox, session, method, buyer, save=bool(body.get("save")))
        if result.outcome == "requires_action" and body.get("authenticate") is not None:
            result = authenticate(self._sandbox, session, passed=bool(body["authenticate"]))
        return await self._told(result, body)

    async def authenticate(self, request: web.Request, body: JsonObject) -> JsonObject:
        """End the open 3-D Secure step: ``passed`` (default true)."""
        result = authenticate(self._sandbox, self._session(request), passed=bool(body.get("passed", True)))
        return await self._told(result, body)

    async def settle(self, request: web.Request, body: JsonObject) -> JsonObject:
        """Answer a delayed payment: ``paid`` (default true)."""
        return await self._told(
            settle_delayed(self._sandbox, self._session(request), paid=bool(body.get("paid", True))), body
        )

    async def expire_due(self, request: web.Request, body: JsonObject) -> JsonObject:
        """Expire what is due by business time, without waiting for the tick."""
        return {"expired": expire_due(self._sandbox)}

    async def release_fees(self, request: web.Request, body: JsonObject) -> JsonObject:
        """Make fees known: of one ``charge``, or of all paid charges.

        One charge may settle in another ``currency``, at ``rate`` (a decimal text).
        """
        if "charge" not in body:
            return {"charges": release_fees(self._sandbox)}
        charge = self._sandbox.store.get("charge", str(body["charge"]), "charge")
        entry = release_fee(self._sandbox, charge, _settlement(body))
        return {"charges": [charge["id"]], "balance_transaction": entry}

    async def list_faults(self, request: web.Request, body: JsonObject) -> JsonObject:
        """Faults that still wait for a request."""
        return {"faults": [fault.to_json() for fault in self._sandbox.faults.waiting]}

    async def add_fault(self, request: web.Request, body: JsonObject) -> JsonObject:
        """Queue a fault; fields as in :class:`paywindow.sandbox.faults.Fault`."""
        fault = Fault.from_json(body)
        self._sandbox.faults.waiting.append(fault)
        return fault.to_json()

    async def clear_faults(self, request: web.Request, body: JsonObject) -> JsonObject:
        """Forget the faults that wait."""
        self._sandbox.faults.waiting.clear()
        return {"faults": []}

    async def list_holds(self, request: web.Request, body: JsonObject) -> JsonObject:
        """Requests and replies that are held."""
        return {"holds": [hold.to_json() for hold in self._sandbox.holds.waiting.values()]}

    async def release_holds(self, request: web.Request, body: JsonObject) -> JsonObject:
        """Let the hold ``id`` go, or all."""
        return {"released": self._sandbox.holds.release(body.get("id"))}

    async def set_rate_limit(self, request: web.Request, body: JsonObject) -> JsonObject:
        """Requests per second and key in ``rate``; null lifts the limit."""
        rate = body.get("rate")
        if rate is not None and (not isinstance(rate, int | float) or rate <= 0):
            raise invalid("rate must be a positive number or null", "rate")
        self._sandbox.limiter.set_rate(rate)
        return {"rate": rate}

    async def webhooks(self, request: web.Request, body: JsonObject) -> JsonObject:
        """Endpoints with their secrets, the mode, what is kept back, and every attempt so far."""
        store, delivery = self._sandbox.store, self._sandbox.delivery
        endpoints = [
            {"id": endpoint["id"], "url": endpoint["url"], "secrets": store.endpoints[endpoint["id"]].secrets}
            for endpoint in store.oldest_first("webhook_endpoint")
        ]
        return {
            "endpoints": endpoints,
            "mode": asdict(delivery.mode),
            "held": delivery.held(),
            "attempts": list(delivery.attempts),
        }

    async def set_webhook_mode(self, request: web.Request, body: JsonObject) -> JsonObject:
        """Change how events are sent; fields as in :class:`paywindow.sandbox.modes.DeliveryMode`."""
        sent = self._sandbox.delivery.set_mode(DeliveryMode.from_json(body))
        return {"mode": asdict(self._sandbox.delivery.mode), "sent": sent}

    async def flush_webhooks(self, request: web.Request, body: JsonObject) -> JsonObject:
        """Send what the paused mode keeps, ``reverse`` for backwards; the mode stays."""
        return {"sent": self._sandbox.delivery.flush(reverse=bool(body.get("reverse")))}

    async def roll_secret(self, request: web.Request, body: JsonObject) -> JsonObject:
        """Give an endpoint the new ``secret`` (made up if absent); ``keep_old`` (default true) signs with both."""
        keep_old = bool(body.get("keep_old", True))
        secrets = roll_secret(
            self._sandbox.store, request.match_info["endpoint"], body.get("secret"), keep_old=keep_old
        )
        return {"secrets": secrets}

    async def emit_event(self, request: web.Request, body: JsonObject) -> JsonObject:
        """Make up an event: ``type``, ``object`` and perhaps ``account``. Signed and sent, though nothing happened."""
        if not isinstance(body.get("type"), str) or not isinstance(body.get("object"), dict):
            raise invalid("type must be a string and object a JSON object", "type")
        return self._sandbox.events.emit(body["type"], body["object"], account=body.get("account"))

    async def deliver_event(self, request: web.Request, body: JsonObject) -> JsonObject:
        """Send an event (again) now, whatever the mode: ``times`` copies at once; answers the statuses."""
        event = self._sandbox.store.get("event", request.match_info["event"])
        times = body.get("times", 1)
        if not isinstance(times, int) or times < 1:
            raise invalid("times must be a positive integer", "times")
        return {"statuses": await self._sandbox.delivery.deliver_now(event, times)}

    def _method(self, session: JsonObject, body: JsonObject) -> CardMethod | DelayedMethod | SavedCard:
        if "saved" in body:
            return saved_card(self._sandbox.store, session, str(body["saved"]))
        if "method" in body:
            return DelayedMethod(str(body["method"]))
        card = find_card(str(body.get("card", "4242424242424242")))
        if card is None:
            raise invalid(f"{body['card']} is not one of the test cards.", "card")
        return CardMethod(card, wallet=body.get("wallet"))

    def _session(self, request: web.Request) -> JsonObject:
        expire_due(self._sandbox)
        return self._sandbox.store.get("checkout.session", request.match_info["session"], "session")

    async def _told(self, result: Result, body: JsonObject) -> JsonObject:
        if body.get("wait") and result.completed is not None:
            await self._sandbox.delivery.acknowledged(result.completed, self._sandbox.config.success_wait)
        error = result.intent["last_payment_error"]
        return {
            "result": result.outcome,
            "session": result.session["id"],
            "status": result.session["status"],
            "payment_status": result.session["payment_status"],
            "payment_intent": result.intent["id"],
            "charge": result.intent["latest_charge"],
            "error": {key: error.get(key) for key in ("code", "decline_code", "message")} if error else None,
            "redirect": success_url(result.session) if result.completed is not None else None,
        }


def _settlement(body: JsonObject) -> Settlement | None:
    if "currency" not in body:
        return None
    try:
        rate = Decimal(str(body.get("rate")))
    except InvalidOperation as error:
        raise invalid("rate must be a decimal text", "rate") from error
    return Settlement(check_currency(str(body["currency"]), "currency"), rate)
