"""``paywindow dev`` and ``paywindow demo``: the whole thing on this machine."""

import shlex
import signal
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from paywindow.embedded.stack import Stack


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(dev)
    app.command()(demo)


def dev(
    folder: Annotated[Path, typer.Option(help="Where the data live; kept between runs if Stripe is real.")] = Path(
        ".paywindow"
    ),
) -> None:
    """Run everything on this machine until Ctrl-C, and print the links."""
    from paywindow.cli.demo import first_session, print_links
    from paywindow.embedded.stack import running_stack

    console = Console()
    stopped = threading.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: stopped.set())
    with running_stack(folder, say=lambda step: console.print(f"[dim]{step}[/dim]")) as stack:
        settings = _write_settings(stack)
        typer.echo(f"\nOperate it from another shell: . {settings}; paywindow doctor")
        print_links(console, stack, first_session(stack))
        while not stopped.wait(1):
            stack.check()
        console.print("[dim]stopping[/dim]")


def demo(
    output: Annotated[Path, typer.Option(help="Where the receipts are put.")] = Path("build/demo"),
    browser: Annotated[
        bool, typer.Option("--browser", help="Buy once, with a real browser; leave pictures too.")
    ] = False,
) -> None:
    """Make whole purchases on embedded services, show their course, and leave the receipts."""
    from paywindow.cli.browser_demo import run_browser_demo
    from paywindow.cli.demo import run_demo
    from paywindow.embedded.stack import running_stack

    console = Console()
    with (
        tempfile.TemporaryDirectory(prefix="paywindow-demo-") as folder,
        running_stack(Path(folder), say=lambda step: console.print(f"[dim]{step}[/dim]")) as stack,
    ):
        run = run_browser_demo if browser else run_demo
        run(console, stack, output)


def _write_settings(stack: "Stack") -> Path:
    """The stack's settings as a file for a shell, so that the commands of an operator find the same services."""
    from paywindow.settings import Settings

    names = {field.upper() for field in Settings.model_fields}
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in stack.environment.items() if name in names]
    path = stack.folder / "env"
    path.touch(mode=0o600)
    path.write_text("".join(sorted(lines)))
    return path
