"""Events as Stripe sends them, for benchmarks that make their own webhooks."""

import json
import re
from typing import Any

import requests
from benchmarks.installation import Installation

from paywindow.cli.demo import Marketplace

_TIMEOUT_SECONDS = 30


def a_payment(installation: Installation) -> str:
    """``checkout.session.completed`` in Stripe's own words, with ``EVENT_ID`` for its id, indented as Stripe indents them."""
    created = Marketplace(installation.stack).create("Walnut side table", "275.50")
    event = pay(installation, created)
    installation.wait_until_idle()
    return json.dumps(event | {"id": "EVENT_ID"}, indent=2)


def pay(installation: Installation, created: dict[str, Any]) -> dict[str, Any]:
    """Pay a session on its page; the event that Stripe makes of it."""
    checkout_id = re.findall(r"cs_test_\w+", created["paymentSession"]["stripeCheckoutUrl"])[0]
    installation.sandbox.pay(checkout_id)
    answer = requests.get(
        f"{installation.stack.sandbox_url}/v1/events",
        params={"type": "checkout.session.completed"},
        headers={"Authorization": f"Bearer {installation.stack.environment['STRIPE_SECRET_KEY']}"},
        timeout=_TIMEOUT_SECONDS,
    )
    answer.raise_for_status()
    found: list[dict[str, Any]] = answer.json()["data"]
    (event,) = [each for each in found if each["data"]["object"]["id"] == checkout_id]
    return event
