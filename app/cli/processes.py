"""The processes of an installation: front, worker, scheduler, sandbox; and the migration that comes before them."""

import os
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from paywindow.cli.output import AsJson, emit, say
from paywindow.settings import Role, Settings, secret

_RESTART_DELAY_MS = "500"
_SHUTDOWN_MS = 25_000
#: How long Dramatiq's master waits for its workers to have started. Until then it does not notice that one has died, for half a
#: minute if left alone; a start that takes longer than this has no metrics.
_BOOT_MS = 10_000
#: How far each role stands back (nice(2)) where the processor is scarce: nobody waits for a PDF as somebody waits for a checkout.
_NICE = {"interactive": 0, "sweeps": 5, "receipts": 15}


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(front)
    app.command()(worker)
    app.command()(scheduler)
    app.command()(sandbox)
    app.command()(migrate)
    app.command()(openapi)


def front() -> None:
    """Take requests and webhooks, and enqueue them."""
    from paywindow import error_reports, logs, metrics_server
    from paywindow.cli.connections import open_redis
    from paywindow.front.server import serve
    from paywindow.heartbeats import beating

    settings = Settings.load(Role.FRONT)
    logs.configure(settings, "front")
    error_reports.start(settings, "front")
    metrics_server.serve(settings)
    with beating(open_redis(settings.state_url), "front"):
        serve(settings)


def worker(
    role: Annotated[str, typer.Option(help="Which class of work: interactive, sweeps or receipts.")] = "interactive",
    processes: Annotated[int, typer.Option(min=1, help="Processes of this role.")] = 1,
    threads: Annotated[int, typer.Option(min=1, help="Threads a process.")] = 8,
) -> None:
    """Run actors: one dramatiq master for one class of work."""
    from dramatiq import cli as dramatiq

    from paywindow import logs, metrics_server
    from paywindow.messages import ROLES

    if role not in ROLES:
        raise typer.BadParameter(f"{role!r} is not one of {', '.join(ROLES)}", param_hint="--role")
    logs.configure(Settings.load(Role.WORKER), "worker")  # a mistake is told once and clearly, not by every process
    os.nice(max(0, _NICE[role] - os.getpriority(os.PRIO_PROCESS, 0)))  # once, also where SIGHUP has it begin anew
    os.environ.setdefault("dramatiq_restart_delay", _RESTART_DELAY_MS)
    os.environ.setdefault("DATABASE_POOL_SIZE", str(threads))
    metrics_server.prepare_folder(os.environ)
    arguments = [
        "paywindow.actors.worker:broker",
        *("--processes", str(processes)),
        *("--threads", str(threads)),
        *("--worker-fork-timeout", str(_BOOT_MS)),
        *("--worker-shutdown-timeout", str(_SHUTDOWN_MS)),
        "--skip-logging",
        *("--queues", *ROLES[role]),
    ]
    sys.argv[:1] = [sys.executable, "-m", "paywindow.cli"]  # what Dramatiq's master runs on SIGHUP
    sys.exit(dramatiq.main(dramatiq.make_argument_parser().parse_args(arguments)))


def scheduler() -> None:
    """Enqueue the periodic work. Several may run; each tick happens once."""
    import redis
    from prometheus_client import REGISTRY

    from paywindow import error_reports, logs, metrics_server
    from paywindow.cli.connections import open_redis
    from paywindow.heartbeats import beating
    from paywindow.measurements import MeasurementCollector
    from paywindow.queue_gauges import QueueCollector, impatient
    from paywindow.schedules.runner import Scheduler
    from paywindow.schedules.table import table

    settings = Settings.load(Role.SCHEDULER)
    logs.configure(settings, "scheduler")
    error_reports.start(settings, "scheduler")
    client = redis.Redis.from_url(secret(settings.redis_url), socket_timeout=5, socket_connect_timeout=5)
    REGISTRY.register(QueueCollector(impatient(secret(settings.redis_url))))
    REGISTRY.register(MeasurementCollector(impatient(settings.state_url)))
    metrics_server.serve(settings)
    runner = Scheduler(client, table(settings))
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: runner.stop())
    with beating(open_redis(settings.state_url), "scheduler"):
        runner.run()


def sandbox(
    port: Annotated[int, typer.Option(help="Port on the loopback address; 0 takes a free one.")] = 0,
    webhook_url: Annotated[str | None, typer.Option(help="Where to send events.")] = None,
    webhook_secret: Annotated[str | None, typer.Option(help="What to sign them with.")] = None,
    port_file: Annotated[Path | None, typer.Option(help="Write the port here once it listens.")] = None,
    fee_delay: Annotated[float, typer.Option(help="Seconds after a charge until its fee is known.")] = 2.0,
) -> None:
    """Run the Stripe look-alike for development and tests."""
    from paywindow.sandbox.app import run
    from paywindow.sandbox.config import SandboxConfig

    def listening(bound: int) -> None:
        typer.echo(f"Stripe sandbox on http://127.0.0.1:{bound}")
        if port_file is not None:
            unfinished = port_file.with_suffix(".new")
            unfinished.write_text(str(bound))
            unfinished.replace(port_file)

    secrets = (webhook_secret,) if webhook_secret else ()
    config = SandboxConfig(webhook_url=webhook_url, webhook_secrets=secrets, fee_delay=fee_delay)
    run(config, port=port, on_listening=listening)


def migrate(as_json: AsJson = False) -> None:
    """Bring the database's tables up to date; safe to run twice and by several at once."""
    from paywindow.models.migrate import migrate as run

    applied = run(secret(Settings.load(Role.MIGRATE).database_url))
    emit(
        {"applied": applied}, as_json, lambda: say("\n".join(f"applied {name}" for name in applied) or "nothing to do")
    )


def openapi() -> None:
    """Print the OpenAPI document of the HTTP interface."""
    import json

    from paywindow.front.openapi import document

    typer.echo(json.dumps(document(), indent=2))
