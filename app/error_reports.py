"""Errors to Sentry, if ``SENTRY_DSN`` is set; without it the SDK is not even imported.

What is logged as an error is reported, scrubbed as the log lines are, with the bound ids as tags: a search for a session's
id finds its errors. No local variables, requests, users or traces are sent (https://docs.sentry.io/platforms/python/).
"""

from functools import partial
from typing import Any

from paywindow import __version__, logs
from paywindow.scrubbing import scrubbed
from paywindow.settings import Settings

_SHUTDOWN_SECONDS = 2


def start(settings: Settings, role: str) -> None:
    """Report this process's errors. Call it in the process itself, after its logs are configured and after it was forked."""
    if settings.sentry_dsn is None:
        return
    import sentry_sdk
    from sentry_sdk.integrations.atexit import AtexitIntegration
    from sentry_sdk.integrations.logging import LoggingIntegration

    sentry_sdk.init(
        dsn=settings.sentry_dsn.get_secret_value(),
        environment=settings.sentry_environment,
        release=settings.sentry_release or f"paywindow@{__version__}",
        send_default_pii=False,
        include_local_variables=False,
        max_request_body_size="never",
        traces_sample_rate=None,
        auto_session_tracking=False,
        shutdown_timeout=_SHUTDOWN_SECONDS,
        # Only what is logged: integrations of web frameworks and queues would add requests and messages.
        default_integrations=False,
        integrations=[LoggingIntegration(), AtexitIntegration(callback=lambda pending, timeout: None)],
        before_send=partial(_prepared, role),
    )


def _prepared(role: str, event: Any, hint: dict[str, Any]) -> Any:
    """Tag with role and ids, then scrub: whatever is in the event passes here, last of all. Runs in the thread of the error."""
    del hint
    tags = event.get("tags") or {}
    return scrubbed({**event, "tags": {**tags, "role": role, **logs.current()}})
