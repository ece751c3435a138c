"""Stripe: the key works, and a webhook endpoint of ours is set up for exactly what paywindow reads."""

import time
from collections.abc import Iterator
from typing import Any

from paywindow.cli.doctor.clocks import compare
from paywindow.cli.doctor.findings import Finding, Part, first_line
from paywindow.settings import STRIPE_API, Settings, secret

_PART = Part("stripe")
_WEBHOOKS = "/payments/webhooks/stripe"
_LONGEST_SECONDS = 5


def check(settings: Settings) -> Iterator[Finding]:
    """Findings about the account behind the key."""
    if settings.stripe_secret_key is None:
        yield _PART.skip("key", "STRIPE_SECRET_KEY cannot be used")
        return
    from paywindow.errors import StripeRefused, StripeUnavailable
    from paywindow.gateway import API_VERSION, Gateway

    base = settings.stripe_api_base
    gateway = Gateway(secret(settings.stripe_secret_key), base, min(settings.stripe_timeout_seconds, _LONGEST_SECONDS))
    before = time.time()
    try:
        endpoints, date = gateway.webhook_endpoints()
    except StripeUnavailable as error:
        yield _PART.fail("key", first_line(error), "check STRIPE_SECRET_KEY, STRIPE_API_BASE and the way to Stripe")
        return
    except StripeRefused as error:
        remedy = "give a restricted key the right to read webhook endpoints, or look in the dashboard"
        yield _PART.warn("webhook endpoint", first_line(error), remedy)
        return
    after = time.time()
    where = "Stripe" if base == STRIPE_API else f"{base}, in Stripe's place"
    yield _PART.ok("key", f"{'live' if settings.live else 'test'} mode, answered by {where}")
    if date is not None:
        # Whole seconds, cut off: on average half a second late.
        yield compare(_PART, "clock", date.timestamp() + 0.5 - (before + after) / 2, 0.5 + (after - before) / 2)
    yield from _endpoint(endpoints, settings, API_VERSION)


def _endpoint(endpoints: list[dict[str, Any]], settings: Settings, version: str) -> Iterator[Finding]:
    if settings.public_url is None:
        yield _PART.skip("webhook endpoint", "PUBLIC_URL cannot be used")
        return
    url = settings.public_url + _WEBHOOKS
    ours = [each for each in endpoints if each["url"].rstrip("/") == url]
    if not ours:
        yield _PART.fail("webhook endpoint", f"none for {url}", "create it: docs/going-live.md says how")
        return
    on = [each for each in ours if each["status"] == "enabled"]
    if not on:
        yield _PART.fail("webhook endpoint", f"{ours[0]['id']} is disabled", "enable it in the dashboard")
        return
    yield _PART.ok("webhook endpoint", ", ".join(each["id"] for each in on))
    if len(on) > 1:
        yield _PART.warn(
            "one endpoint", f"{len(on)} for the same address: each event comes so often", "delete all but one"
        )
    for each in on:
        yield from _details(each, version)


def _details(endpoint: dict[str, Any], version: str) -> Iterator[Finding]:
    rendered = endpoint.get("api_version") or "the account's default"
    yield _PART.judge(
        rendered == version, "API version", f"{endpoint['id']}: {rendered}", f"create the endpoint anew with {version}"
    )
    enabled = set(endpoint["enabled_events"])
    missing = [] if "*" in enabled else sorted(set(needed_events()) - enabled)
    found = f"{endpoint['id']} lacks {', '.join(missing)}" if missing else "all that have an effect"
    yield _PART.judge(not missing, "events", found, "add them to the endpoint's enabled_events")


def needed_events() -> list[str]:
    """The types of events that change something here."""
    from paywindow.actors.handlers import HANDLERS, nothing_to_do

    return [kind for kind, handler in HANDLERS.items() if handler is not nothing_to_do]
