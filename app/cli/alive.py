"""``paywindow alive``: whether the process on this host is at work, for the health checks of containers.

Each kind is asked for what only a working one gives: the front end answers ``/healthz``, a worker and a scheduler give signs
of life (:mod:`paywindow.heartbeats`). Where Redis is away nobody can tell, and the answer is yes: restarting a process brings
no Redis back. Whether a front end can do its work, Redis included, is told by ``/readyz``; what is wrong with an installation,
by ``paywindow doctor``.
"""

import socket
from enum import StrEnum
from typing import Annotated

import typer

from paywindow.cli.exits import Exit
from paywindow.cli.output import AsJson, emit, say
from paywindow.settings import Role, Settings

_HTTP_SECONDS = 5


class Kind(StrEnum):
    """What runs on the host."""

    FRONT = "front"
    WORKER = "worker"
    SCHEDULER = "scheduler"


def alive(
    kind: Annotated[Kind | None, typer.Argument(help="What should run here; left out: anything of paywindow.")] = None,
    role: Annotated[str | None, typer.Option(help="Of a worker: interactive, sweeps or receipts.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say whether a process on this host is at work. Ends with 1 when none is.

    For the health check of a container. A Redis that is away says nothing against the process.
    """
    from paywindow.messages import ROLES

    if role is not None and (role not in ROLES or kind is not Kind.WORKER):
        raise typer.BadParameter(f"is for `alive worker`: one of {', '.join(ROLES)}", param_hint="--role")
    settings = Settings.load(None if kind is Kind.FRONT else Role.SCHEDULER)  # all that it takes is Redis
    found = _front_answers(settings) if kind is Kind.FRONT else _signs(settings, kind, ROLES[role] if role else ())
    what = " ".join(filter(None, (kind, role))) or "any process"
    emit({"alive": found is not False, "known": found is not None}, as_json, lambda: say(_sentence(what, found)))
    if found is False:
        raise typer.Exit(Exit.REFUSED)


def _sentence(what: str, found: bool | None) -> str:
    if found is None:
        return f"{what}: nobody can tell, Redis does not answer"
    return f"{what}: alive" if found else f"{what}: no sign of life on {socket.gethostname()}"


def _front_answers(settings: Settings) -> bool:
    import requests

    # A front end that listens on all addresses listens on this one.
    host = "127.0.0.1" if settings.front_host in ("0.0.0.0", "::") else settings.front_host  # noqa: S104
    try:
        answer = requests.get(f"http://{host}:{settings.front_port}/healthz", timeout=_HTTP_SECONDS)
    except requests.RequestException:
        return False
    return answer.status_code == 200


def _signs(settings: Settings, kind: Kind | None, queues: tuple[str, ...]) -> bool | None:
    import redis

    from paywindow.cli.connections import open_redis
    from paywindow.heartbeats import living

    try:
        signs = living(open_redis(settings.state_url))
    except redis.RedisError:
        return None
    return any(
        sign.name.rpartition(":")[0] == socket.gethostname()
        and kind in (None, sign.kind)
        and set(queues) <= set(sign.queues)
        for sign in signs
    )
