"""Every command that the documentation tells people to type is one: programs, options, arguments, targets, routes."""

import re
import uuid
from pathlib import Path
from typing import Any

import pytest
from support.documented_commands import PAGES, ROOT, Command, commands, inline
from typer.main import get_command

from paywindow.cli import app
from paywindow.front.openapi import document

SAMPLES = {
    "SESSION_ID": str(uuid.uuid4()),
    "$SESSION": str(uuid.uuid4()),
    "NOTIFICATION_ID": str(uuid.uuid4()),
    "MESSAGE_ID": str(uuid.uuid4()),
    "MAKER": str(uuid.uuid4()),
}
#: Options of the program itself, which act at once.
_OF_THE_PROGRAM = {"--install-completion", "--show-completion", "--help"}


def _find(words: tuple[str, ...]) -> tuple[Any, list[str]]:
    """The command that words lead to, and what is left of them."""
    found: Any = get_command(app)
    rest = list(words)
    while rest and isinstance(getattr(found, "commands", None), dict) and not rest[0].startswith("-"):
        assert rest[0] in found.commands, f"paywindow {' '.join(words)}"
        found = found.commands[rest.pop(0)]
    return found, rest


def _name(command: Command) -> str:
    return f"{command.page}: {' '.join(command.words)}"


@pytest.mark.parametrize("command", commands("paywindow"), ids=_name)
def test_a_command_in_a_block_can_be_typed_as_it_stands(command: Command) -> None:
    words = command.words[1:]
    if _OF_THE_PROGRAM & set(words):
        assert set(words) <= {option for parameter in get_command(app).params for option in parameter.opts}
        return
    found, rest = _find(words)

    # Parses, converts and demands everything; what the command does is not called.
    found.make_context("paywindow", [SAMPLES.get(word, word) for word in rest])


@pytest.mark.parametrize("page", [page for page in PAGES if inline(page)], ids=lambda page: str(page.name))
def test_a_command_in_the_prose_exists_with_its_options(page: Path) -> None:
    for text in inline(page):
        words = tuple(re.sub(r"[,.;…]+$", "", text).split()[1:])
        found, rest = _find(words)
        known = {option for parameter in found.params for option in (*parameter.opts, *parameter.secondary_opts)}
        options = {word.partition("=")[0] for word in rest if word.startswith("--")}
        assert options <= known | _OF_THE_PROGRAM, f"{page.name}: {text}"


def test_every_target_of_make_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    in_prose = {word for page in PAGES for word in re.findall(r"`make ([a-z]+)", page.read_text())}
    in_blocks = {command.words[1] for command in commands("make")}

    assert {"demo", "run", "test"} <= in_blocks
    assert in_prose | in_blocks <= targets


@pytest.mark.parametrize("command", commands("curl"), ids=_name)
def test_every_request_is_to_a_route_of_ours_or_to_stripe(command: Command) -> None:
    (url,) = [word for word in command.words if re.match(r"(\$URL|https?:)/", word)] or [""]
    if not url:  # the address comes from an answer
        assert "$(jq" in " ".join(command.words)
        return
    if url.startswith("https://api.stripe.com/"):
        return
    path = re.sub(r"\$\w+", "x", url.removeprefix("$URL").partition("?")[0])
    method = command.words[command.words.index("-X") + 1] if "-X" in command.words else "GET"
    method = "POST" if "-d" in command.words else method

    served = {
        (verb.upper(), re.sub(r"\{\w+\}", "[^/]+", route))
        for route, verbs in document()["paths"].items()
        for verb in verbs
    }
    assert any(verb == method and re.fullmatch(route, path) for verb, route in served), f"{method} {path}"


def test_the_files_of_the_compose_commands_exist() -> None:
    named = [word for command in commands("docker") for word in command.words if word.endswith(".yml")]

    assert named
    assert all((ROOT / word).exists() for word in named)
