"""``paywindow keys``: making service keys, and replacing them without a moment in which none works."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from paywindow.cli.output import AsJson, emit
from paywindow.keys import Scope, ServiceKey, hash_service_key, new_buyer_secret, new_service_key
from paywindow.notify import signatures

app = typer.Typer(
    help="Service keys of the marketplace, and the secrets of buyers' links and of notifications.", no_args_is_help=True
)

Name = Annotated[str, typer.Argument(help="Whose key it is; operations are recorded under this name.")]
Configured = Annotated[
    str, typer.Option("--keys", envvar="SERVICE_KEYS", help="The keys that are configured now.", show_envvar=True)
]
ConfiguredFile = Annotated[
    Path | None,
    typer.Option("--keys-file", envvar="SERVICE_KEYS_FILE", help="A file that holds them.", show_envvar=True),
]


@app.command()
def create(
    name: Name,
    scopes: Annotated[str, typer.Option(help="What it may do, joined by +.")] = "checkout+read",
    as_json: AsJson = False,
) -> None:
    """Make a service key and print it, once, with its entry for SERVICE_KEYS."""
    key, entry = _made(name, scopes)
    _print({"key": key, "entry": entry}, _CREATED, as_json)


@app.command("hash")
def hash_(
    name: Annotated[str | None, typer.Argument(help="Print a whole entry for SERVICE_KEYS under this name.")] = None,
    scopes: Annotated[str, typer.Option(help="What the entry's key may do, joined by +.")] = "checkout+read",
    as_json: AsJson = False,
) -> None:
    """Read a key from standard input and print its SHA-256, as SERVICE_KEYS holds it: for a key made elsewhere."""
    key = sys.stdin.readline().strip() if not sys.stdin.isatty() else typer.prompt("Key", hide_input=True)
    if not key.startswith("pwk_") or len(key) < _SHORTEST_KEY or not key.isascii():
        raise typer.BadParameter(f"a service key begins with pwk_ and has at least {_SHORTEST_KEY} ASCII characters")
    if name is None:
        _print({"hash": hash_service_key(key)}, "{hash}", as_json)
    else:
        _print({"entry": _entry(name, scopes, key)}, "{entry}", as_json)


@app.command()
def rotate(
    name: Name,
    configured: Configured = "",
    configured_file: ConfiguredFile = None,
    finish: Annotated[bool, typer.Option("--finish", help="Drop all keys of that name but the newest.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make a new key under a name that has one, and print SERVICE_KEYS with both; with --finish, without the older ones.

    Both keys work, and are the same client, until the older one is dropped.
    """
    entries = _entries(configured_file.read_text() if configured_file else configured)
    own = [entry for entry in entries if ServiceKey.parse(entry).name == name]
    if not own:
        raise typer.BadParameter(f"SERVICE_KEYS has no key named {name}; make one with: paywindow keys create {name}")
    if finish:
        kept = [entry for entry in entries if entry not in own[1:]]
        return _print({"serviceKeys": ",".join(kept), "dropped": len(own) - 1}, _FINISHED, as_json)
    key, entry = _made(name, own[0].split(":")[1])
    # The new one stands before the older ones of its name: that is how --finish knows it.
    place = entries.index(own[0])
    both = ",".join([*entries[:place], entry, *entries[place:]])
    return _print({"key": key, "serviceKeys": both, "name": name}, _ROTATED, as_json)


@app.command("buyer-secret")
def buyer_secret(as_json: AsJson = False) -> None:
    """Make a secret that signs buyers' links, and say how to change to it."""
    _print({"secret": new_buyer_secret()}, _SIGNING_STEPS, as_json)


@app.command("notify-secret")
def notify_secret(as_json: AsJson = False) -> None:
    """Make a secret that signs notifications, and say how to change to it."""
    _print({"secret": signatures.new_secret()}, _NOTIFY_STEPS, as_json)


_SHORTEST_KEY = 24
_CREATED = """\
Give this to the marketplace; it is not kept anywhere:
  {key}
Add this to SERVICE_KEYS:
  {entry}"""
_ROTATED = """\
1. Set this for the front ends, and start them anew. Both keys work:
  SERVICE_KEYS={serviceKeys}
2. Give this to the marketplace; it is not kept anywhere:
  {key}
3. When it is in use: paywindow keys rotate {name} --finish"""
_FINISHED = """\
Set this for the front ends, and start them anew ({dropped} dropped):
  SERVICE_KEYS={serviceKeys}"""
_SIGNING_STEPS = """\
The new secret:
  {secret}
1. Put it at the end of BUYER_TOKEN_SECRETS of all front ends and workers, and start them anew. The first still signs.
2. Move it to the front, and start them anew. New links are signed with it; the links that buyers have still work.
3. Drop the old one when the last link signed with it is over: the longest window plus BUYER_TOKEN_DAYS. To end all old links
   at once, drop it now; POST /payments/checkout/{{id}}/buyer-token makes new ones."""

_NOTIFY_STEPS = """\
The new secret:
  {secret}
1. Add it to NOTIFY_WEBHOOK_SECRETS of all workers, and start them anew. Every secret there signs.
2. Give it to the marketplace, which verifies with it from then on instead of the old one.
3. Drop the old one."""


def _made(name: str, scopes: str) -> tuple[str, str]:
    key = new_service_key()
    return key, _entry(name, scopes, key)


def _entry(name: str, scopes: str, key: str) -> str:
    entry = f"{name}:{scopes}:{hash_service_key(key)}"
    try:
        ServiceKey.parse(entry)
    except ValueError as error:
        raise typer.BadParameter(f"{error} (scopes: {', '.join(Scope)})") from None
    return entry


def _entries(text: str) -> list[str]:
    entries = [part.strip() for part in text.split(",") if part.strip()]
    try:
        for entry in entries:
            ServiceKey.parse(entry)
    except ValueError as error:
        raise typer.BadParameter(f"SERVICE_KEYS: {error}") from None
    return entries


def _print(result: dict[str, Any], text: str, as_json: bool) -> None:
    emit(result, as_json, lambda: typer.echo(text.format(**result)))
