"""The reference part of ``docs/cli.md``, read off the commands: ``python -m paywindow.cli.reference docs/cli.md`` renews it.

What stands above the marker is written by hand and stays. A test compares the page with the commands.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.main import get_command

from paywindow.cli import app
from paywindow.cli.exits import MEANING

MARKER = "<!-- What follows is generated: python -m paywindow.cli.reference docs/cli.md -->"
#: Commands that run processes or print a document: they have no result to print as JSON.
WITHOUT_JSON = frozenset({"front", "worker", "scheduler", "sandbox", "dev", "demo", "openapi"})


def commands() -> Iterator[tuple[str, Any]]:
    """Every command by its full name, such as ``sessions show``, in the order of ``--help``."""
    yield from _below((), get_command(app))


def _below(path: tuple[str, ...], command: Any) -> Iterator[tuple[str, Any]]:
    children = getattr(command, "commands", None)
    if children is None:
        yield " ".join(path), command
        return
    for name, child in children.items():
        yield from _below((*path, name), child)


def as_markdown() -> str:
    """The reference: exit codes, then each command with its arguments and options."""
    return "\n".join(
        [MARKER, "", *_exits(), *(line for name, command in commands() for line in _command(name, command))]
    )


def _exits() -> Iterator[str]:
    yield "## Exit codes\n\n| code | meaning |\n| --- | --- |"
    for code, meaning in MEANING.items():
        yield f"| {code.value} | {meaning} |"
    yield "\n## Commands\n"


def _command(name: str, command: Any) -> Iterator[str]:
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    options = [each for each in command.params if each.param_type_name == "option" and each.name != "help"]
    words = [f"paywindow {name}", *(_argument(each) for each in arguments), "[OPTIONS]" if options else ""]
    yield f"### paywindow {name}\n\n    {' '.join(word for word in words if word)}\n\n{_prose(command.help)}\n"
    if arguments or options:
        yield "| | |\n| --- | --- |"
        for each in (*arguments, *options):
            yield f"| {_names(each)} | {_meaning(each)} |"
        yield ""


def _argument(parameter: Any) -> str:
    return parameter.name.upper() if parameter.required else f"[{parameter.name.upper()}]"


def _names(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{parameter.name.upper()}`"
    return ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))


def _meaning(parameter: Any) -> str:
    text = (parameter.help or "").strip()
    if choices := _choices(parameter):
        text += " One of " + ", ".join(f"`{choice}`" for choice in choices) + "."
    if parameter.required and parameter.param_type_name == "option":
        return f"{text} Required."
    default = parameter.default
    if default is None or isinstance(default, bool) or callable(default) or parameter.multiple:
        return text
    return f"{text} Default: `{_plain(default)}`."


def _choices(parameter: Any) -> list[str]:
    return list(getattr(parameter.type, "choices", ()))


def _plain(value: Any) -> str:
    return str(getattr(value, "value", value))


def _prose(text: str | None) -> str:
    return " ".join((text or "").replace("\n\n", "\0").split()).replace("\0", "\n\n")


def renew(path: Path) -> None:
    """Write the reference into the page, below what is written by hand."""
    head, _, _ = path.read_text().partition(MARKER)
    path.write_text(head + as_markdown())


if __name__ == "__main__":
    renew(Path(sys.argv[1]))
