"""Running the front end as a process: listen, say where, stop gracefully on SIGTERM or SIGINT.

Leaving takes three steps, so that a deployment fails no request: ``/readyz`` says 503 and every answer asks its client to
connect elsewhere, while connections are still taken (``FRONT_DRAIN_SECONDS``: what a balancer needs to notice); then none are
taken, and those that were just made have a moment to send their request; then what runs is finished.
"""

import asyncio
import logging
import os
import signal
from collections.abc import Callable
from pathlib import Path

from aiohttp import web

from paywindow.front import sockets
from paywindow.front.app import build
from paywindow.front.context import FRONT
from paywindow.front.middleware import AccessLogger, access_log
from paywindow.settings import Settings

log = logging.getLogger(__name__)

#: Seconds that running requests get to finish after the signal; those that wait for workers are answered at once.
_SHUTDOWN_SECONDS = 10
#: A connection that was just taken has this long to bring its request.
_LINGER_SECONDS = 1.0


def serve(settings: Settings, *, port_file: Path | None = None) -> None:
    """Serve until SIGTERM or SIGINT. With ``FRONT_PORT=0`` the system chooses the port; an inherited socket goes before both.

    ``port_file``: written, in one step, with the port's number once connections are accepted.
    Raises :class:`OSError` when the address is taken.
    """
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(settings, port_file))


async def _serve(settings: Settings, port_file: Path | None) -> None:
    stop = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    app, shared = build(settings), sockets.inherited(os.environ)
    runner = web.AppRunner(
        app, access_log_class=AccessLogger, access_log=access_log, shutdown_timeout=_SHUTDOWN_SECONDS
    )
    await runner.setup()
    try:
        site = sockets.site(runner, settings, shared)
        await site.start()
        host, port = runner.addresses[0][:2]
        log.info("listening on %s port %d", host, port)
        if port_file is not None:
            _write_port(port_file, port)
        await stop.wait()
        log.info("stopping")
        app[FRONT].leaving = True
        # Whoever shares the socket takes what still comes.
        await asyncio.sleep(0 if shared else settings.front_drain_seconds)
        await site.stop()
        if runner.server is not None and runner.server.connections:
            await asyncio.sleep(_LINGER_SECONDS)
    finally:
        await runner.cleanup()


def _write_port(path: Path, port: int) -> None:
    temporary = path.with_suffix(".new")
    temporary.write_text(str(port))
    temporary.replace(path)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # not made for every platform
        return None
    return uvloop.new_event_loop
