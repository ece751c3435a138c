"""Builds and runs the sandbox's aiohttp application."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from aiohttp import web

from paywindow.sandbox.checkout import expire_due
from paywindow.sandbox.config import SandboxConfig
from paywindow.sandbox.control import ControlApi
from paywindow.sandbox.control_accounts import AccountControl
from paywindow.sandbox.control_disputes import DisputeControl
from paywindow.sandbox.control_methods import MethodControl
from paywindow.sandbox.control_refunds import RefundControl
from paywindow.sandbox.core import Sandbox
from paywindow.sandbox.fees import release_fees
from paywindow.sandbox.hosted import HostedPage
from paywindow.sandbox.onboarding import OnboardingPage
from paywindow.sandbox.pipeline import ApiPipeline
from paywindow.sandbox.refunds import settle_refunds

_LOG = logging.getLogger(__name__)


def build(config: SandboxConfig) -> web.Application:
    """The application: the API under ``/v1/``, hosted pages under ``/c/pay/`` and ``/setup/e/``, control under ``/_sandbox/``."""
    sandbox = Sandbox(config)
    app = web.Application()
    app.cleanup_ctx.append(_lifetime(sandbox))
    ControlApi(sandbox).add_routes(app)
    DisputeControl(sandbox).add_routes(app)
    MethodControl(sandbox).add_routes(app)
    RefundControl(sandbox).add_routes(app)
    AccountControl(sandbox).add_routes(app)
    HostedPage(sandbox).add_routes(app)
    OnboardingPage(sandbox).add_routes(app)
    app.router.add_route("*", "/{path:.*}", ApiPipeline(sandbox).__call__)
    return app


def run(
    config: SandboxConfig,
    host: str = "127.0.0.1",
    port: int = 0,
    on_listening: Callable[[int], None] | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT; ``on_listening`` gets the bound port (0 asks for a free one)."""
    asyncio.run(_serve_until_signalled(config, host, port, on_listening))


@asynccontextmanager
async def listening(config: SandboxConfig, host: str, port: int) -> AsyncIterator[int]:
    """Serve for the length of a context; yields the bound port."""
    # Held replies and slow requests must not keep a stopping sandbox alive.
    runner = web.AppRunner(build(config), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, backlog=1024).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def _serve_until_signalled(
    config: SandboxConfig, host: str, port: int, on_listening: Callable[[int], None] | None
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with listening(config, host, port) as bound:
        if on_listening is not None:
            on_listening(bound)
        await stop.wait()


def _lifetime(sandbox: Sandbox) -> Callable[[web.Application], AsyncIterator[None]]:
    """What runs beside the handlers: webhook delivery and the tick."""

    async def lifetime(app: web.Application) -> AsyncIterator[None]:
        await sandbox.delivery.start()
        ticking = asyncio.create_task(_tick(sandbox))
        yield
        ticking.cancel()
        with suppress(asyncio.CancelledError):
            await ticking
        sandbox.holds.release()
        await sandbox.delivery.stop()

    return lifetime


async def _tick(sandbox: Sandbox) -> None:
    """Let time do its work: expire what is due; release fees and settle refunds if they are given a delay."""
    while True:
        await asyncio.sleep(sandbox.config.tick)
        try:
            expire_due(sandbox)
            if sandbox.config.fee_delay is not None:
                release_fees(sandbox, older_than=sandbox.config.fee_delay)
            if sandbox.config.refund_delay is not None:
                settle_refunds(sandbox, older_than=sandbox.config.refund_delay)
        except ValueError:
            # A clock file with something else in it. The next tick may find it mended.
            _LOG.exception("the clock file cannot be read")
