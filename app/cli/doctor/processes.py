"""The processes: one of each kind alive, of one version, with one time, and ticking."""

import time
from collections.abc import Iterator
from typing import Any

from paywindow.cli.connections import open_redis
from paywindow.cli.doctor.clocks import WARN_SECONDS, compare
from paywindow.cli.doctor.findings import Finding, Part, first_line
from paywindow.heartbeats import Sign, living
from paywindow.messages import ROLES
from paywindow.settings import Settings, secret

_PART = Part("processes")
_HTTP_SECONDS = 3
#: A tick is missed when so many periods, and at least this many seconds, have passed without one.
_MISSED_PERIODS = 3
_MISSED_SECONDS = 10


def check(settings: Settings) -> Iterator[Finding]:
    """Findings about the processes of the installation."""
    import redis

    if settings.redis_url is None:
        yield _PART.skip("alive", "REDIS_URL cannot be used")
        return
    try:
        signs = living(open_redis(settings.state_url))
        yield from _alive(signs)
        yield from _alike(signs)
        yield _ticks(open_redis(secret(settings.redis_url)))
    except redis.RedisError as error:
        yield _PART.skip("alive", f"Redis cannot be asked: {first_line(error)}")
    yield _front(settings)


def _alive(signs: list[Sign]) -> Iterator[Finding]:
    for kind in ("front", "scheduler"):
        yield _counted(kind, sum(sign.kind == kind for sign in signs), f"paywindow {kind}")
    for role, queues in ROLES.items():
        serving = sum(sign.kind == "worker" and set(queues) <= set(sign.queues) for sign in signs)
        yield _counted(f"worker {role}", serving, f"paywindow worker --role {role}")


def _counted(what: str, count: int, command: str) -> Finding:
    found = f"{count} alive" if count else "none alive"
    return _PART.judge(count > 0, what, found, f"start `{command}`")


def _alike(signs: list[Sign]) -> Iterator[Finding]:
    versions = sorted({sign.version for sign in signs})
    if len(versions) > 1:
        yield _PART.warn("versions", ", ".join(versions), "finish the roll-out")
    for sign in signs:
        if abs(sign.ahead) > WARN_SECONDS:
            # Measured against Redis' clock; whether that one is right is told among Redis' findings.
            yield compare(_PART, f"clock of {sign.name}", sign.ahead)


def _ticks(client: Any) -> Finding:
    from paywindow.schedules.table import TABLE

    seconds, _ = client.time()
    late = []
    for periodic in TABLE:
        last = client.get(f"pw:tick:{periodic.actor}")
        ago = None if last is None else seconds - (int(last) + 1) * periodic.seconds
        if ago is None or ago > max(_MISSED_SECONDS, _MISSED_PERIODS * periodic.seconds):
            late.append(periodic.actor if ago is None else f"{periodic.actor} ({ago:.0f} s ago)")
    found = f"no tick of {', '.join(late)}" if late else f"{len(TABLE)} sweeps are due in time"
    return _PART.judge(not late, "ticks", found, "start `paywindow scheduler`, or look at its log")


def _front(settings: Settings) -> Finding:
    import requests

    if settings.public_url is None:
        return _PART.skip("front answers", "PUBLIC_URL cannot be used")
    url = f"{settings.public_url}/readyz"
    started = time.monotonic()
    try:
        answer = requests.get(url, timeout=_HTTP_SECONDS)
    except requests.RequestException as error:
        return _PART.warn(
            "front answers", f"{url}: {type(error).__name__}", "check the proxy, unless this host may not"
        )
    took = f"{(time.monotonic() - started) * 1000:.0f} ms"
    remedy = "see what the answer names"
    return _PART.judge(answer.status_code == 200, "front answers", f"{url}: {answer.status_code} in {took}", remedy)
