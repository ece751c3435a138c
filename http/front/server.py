"""Running the front end as a process: listen, say where, stop gracefully on SIGTERM or SIGINT."""

import asyncio
import logging
import signal
from collections.abc import Callable
from pathlib import Path

from aiohttp import web

from paywindow.front.app import build
from paywindow.front.middleware import AccessLogger, access_log
from paywindow.settings import Settings

log = logging.getLogger(__name__)

#: Seconds that running requests get to finish after the signal; those that wait for workers are answered at once.
_SHUTDOWN_SECONDS = 10


def serve(settings: Settings, *, port_file: Path | None = None) -> None:
    """Serve until SIGTERM or SIGINT. With ``FRONT_PORT=0`` the system chooses the port.

    ``port_file``: written, in one step, with the port's number once connections are accepted.
    Raises :class:`OSError` when the address is taken.
    """
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(settings, port_file))


async def _serve(settings: Settings, port_file: Path | None) -> None:
    stop = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    runner = web.AppRunner(
        build(settings), access_log_class=AccessLogger, access_log=access_log, shutdown_timeout=_SHUTDOWN_SECONDS
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.front_host, settings.front_port).start()
        port = runner.addresses[0][1]
        log.info("listening on %s port %d", settings.front_host, port)
        if port_file is not None:
            _write_port(port_file, port)
        await stop.wait()
        log.info("stopping")
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
