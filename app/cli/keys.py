"""``paywindow keys``: making service keys."""

import json
from typing import Annotated

import typer

from paywindow.keys import Scope, ServiceKey, hash_service_key, new_service_key

app = typer.Typer(help="Service keys of the marketplace.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keep ``create`` a sub-command although it is the only one."""


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Whose key it is; operations are recorded under this name.")],
    scopes: Annotated[str, typer.Option(help="What it may do, joined by +.")] = "checkout+read",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Make a service key and print it, once, with its entry for SERVICE_KEYS."""
    key = new_service_key()
    entry = f"{name}:{scopes}:{hash_service_key(key)}"
    try:
        ServiceKey.parse(entry)
    except ValueError as error:
        raise typer.BadParameter(f"{error} (scopes: {', '.join(Scope)})") from None
    if as_json:
        typer.echo(json.dumps({"key": key, "entry": entry}))
        return
    typer.echo(f"Give this to the marketplace; it is not kept anywhere:\n  {key}\nAdd this to SERVICE_KEYS:\n  {entry}")
