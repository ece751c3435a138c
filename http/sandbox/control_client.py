"""A blocking client of the control API, for tests and demos.

Say ``control.pay(session_id)`` where a test needs a buyer, not a browser.
"""

import json
import urllib.request
from typing import Any, cast

from paywindow.sandbox.jsontypes import JsonObject

_TIMEOUT = 60.0


class ControlClient:
    """Calls ``/_sandbox/...`` of the sandbox at ``url``. Refusals raise ``urllib.error.HTTPError``."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/") + "/_sandbox"

    def call(self, verb: str, path: str, **body: Any) -> JsonObject:
        """Any operation; see :mod:`paywindow.sandbox.control` for the paths and their fields."""
        data = json.dumps(body).encode() if verb != "GET" else None
        request = urllib.request.Request(self._url + path, data=data, method=verb)  # noqa: S310 - our own address
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as response:  # noqa: S310
            return cast(JsonObject, json.load(response))

    def pay(self, session_id: str, card: str = "4242424242424242", **options: Any) -> JsonObject:
        """Pay a session by card; ``method="us_bank_account"`` and the like take a delayed method instead."""
        return self.call("POST", f"/checkout/{session_id}/pay", card=card, **options)

    def authenticate(self, session_id: str, *, passed: bool = True) -> JsonObject:
        """End the open 3-D Secure step."""
        return self.call("POST", f"/checkout/{session_id}/authenticate", passed=passed)

    def settle(self, session_id: str, *, paid: bool = True) -> JsonObject:
        """Let the bank answer a delayed payment."""
        return self.call("POST", f"/checkout/{session_id}/settle", paid=paid)

    def expire_due(self) -> list[str]:
        """Expire what is due by business time; the ids."""
        return cast(list[str], self.call("POST", "/expire-due")["expired"])

    def release_fees(self) -> list[str]:
        """Make all outstanding fees known; the charges' ids."""
        return cast(list[str], self.call("POST", "/fees/release")["charges"])

    def refund(self, **params: Any) -> JsonObject:
        """Refund in the dashboard: ``payment_intent`` or ``charge``, ``amount`` (the rest if absent); the refund."""
        return self.call("POST", "/refunds", **params)

    def settle_refunds(self) -> list[str]:
        """Let time do its work on all refunds: pending ones succeed, late refusals fail; the ids that changed."""
        return cast(list[str], self.call("POST", "/refunds/settle")["refunds"])

    def succeed_refund(self, refund_id: str) -> JsonObject:
        """Let a pending refund reach the buyer; the refund."""
        return self.call("POST", f"/refunds/{refund_id}/succeed")

    def fail_refund(self, refund_id: str, reason: str = "expired_or_canceled_card") -> JsonObject:
        """Let the bank send a refund back, pending or succeeded; the refund."""
        return self.call("POST", f"/refunds/{refund_id}/fail", reason=reason)

    def cancel_refund(self, refund_id: str) -> JsonObject:
        """Cancel a pending refund in the dashboard; the refund."""
        return self.call("POST", f"/refunds/{refund_id}/cancel")

    def require_refund_action(self, refund_id: str) -> JsonObject:
        """Have a pending refund wait for the buyer; the refund."""
        return self.call("POST", f"/refunds/{refund_id}/require-action")

    def onboard(self, account_id: str) -> JsonObject:
        """A seller tells Stripe everything; the account, able to take charges."""
        return self.call("POST", f"/accounts/{account_id}/onboard")

    def restrict(self, account_id: str, **options: Any) -> JsonObject:
        """Stripe wants to know more: ``fields``, ``deadline`` (at once without one), ``payouts_only``; the account."""
        return self.call("POST", f"/accounts/{account_id}/restrict", **options)

    def deauthorize(self, account_id: str) -> JsonObject:
        """A seller disconnects the account; the event."""
        return self.call("POST", f"/accounts/{account_id}/deauthorize")

    def pay_out(self, account_id: str, currency: str = "usd", *, fails: bool = False) -> JsonObject:
        """Send an account's balance to its bank; the payout."""
        return self.call("POST", f"/accounts/{account_id}/payout", currency=currency, fails=fails)

    def dispute(self, charge: str, **options: Any) -> JsonObject:
        """Have the buyer dispute a charge: ``amount``, ``reason``, ``inquiry``, ``withdraw``; the dispute."""
        return self.call("POST", "/disputes", charge=charge, **options)

    def move_dispute(self, dispute_id: str, step: str) -> JsonObject:
        """A step of a dispute: withdraw, review, escalate, win, lose or close (an inquiry); the dispute."""
        return self.call("POST", f"/disputes/{dispute_id}/{step}")

    def fault(self, kind: str, **options: Any) -> JsonObject:
        """Queue a fault; options as in :class:`paywindow.sandbox.faults.Fault`."""
        return self.call("POST", "/faults", kind=kind, **options)

    def holds(self) -> list[JsonObject]:
        """What is held at the moment."""
        return cast(list[JsonObject], self.call("GET", "/holds")["holds"])

    def release_holds(self) -> list[str]:
        """Let everything held go; the ids."""
        return cast(list[str], self.call("POST", "/holds/release")["released"])

    def webhook_mode(self, mode: str, **options: Any) -> JsonObject:
        """Change how webhooks are sent; options as in :class:`paywindow.sandbox.modes.DeliveryMode`."""
        return self.call("POST", "/webhooks/mode", mode=mode, **options)

    def webhooks(self) -> JsonObject:
        """Endpoints, mode, held events and attempts."""
        return self.call("GET", "/webhooks")

    def deliver(self, event_id: str, times: int = 1) -> list[int | None]:
        """Send an event (again) now; the answers' statuses."""
        return cast("list[int | None]", self.call("POST", f"/events/{event_id}/deliver", times=times)["statuses"])

    def emit(self, event_type: str, obj: JsonObject, account: str | None = None) -> JsonObject:
        """Make up a signed event, though nothing happened: unknown types, foreign objects, wrong amounts."""
        return self.call("POST", "/events", type=event_type, object=obj, account=account)

    def ledger(self) -> JsonObject:
        """What really happened."""
        return self.call("GET", "/ledger")

    def reset(self) -> None:
        """Start afresh."""
        self.call("POST", "/reset")
