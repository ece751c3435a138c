"""What all commands have in common, and the page about them."""

import io
import json
from pathlib import Path

import pytest
import redis
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text
from typer.testing import CliRunner

from paywindow.cli import app, output, reference
from paywindow.cli.exits import MEANING, Exit
from paywindow.cli.output import Column

ROOT = Path(__file__).parents[2]
COMMANDS = dict(reference.commands())
NAMES = sorted(COMMANDS)


def options(name):
    return {option for parameter in COMMANDS[name].params for option in parameter.opts if option.startswith("-")}


def test_the_page_of_commands_is_what_the_commands_say():
    head, marker, rest = (ROOT / "docs" / "cli.md").read_text().partition(reference.MARKER)

    assert head
    assert marker + rest == reference.as_markdown(), "run: python -m paywindow.cli.reference docs/cli.md"


@pytest.mark.parametrize("name", [name for name in NAMES if name not in reference.WITHOUT_JSON])
def test_every_command_with_a_result_can_print_it_as_json(name):
    assert "--json" in options(name)


@pytest.mark.parametrize("name", NAMES)
def test_every_command_and_everything_that_it_takes_is_described(name):
    assert COMMANDS[name].help
    undescribed = [parameter.name for parameter in COMMANDS[name].params if not parameter.help]
    assert undescribed == []


@pytest.mark.parametrize(
    "name",
    ["sessions expire", "sessions cancel", "sessions refund", "sessions resolve", "dead discard", "events replay"],
)
def test_what_closes_a_window_moves_money_or_forgets_something_asks_first(name):
    assert "--yes" in options(name)


@pytest.mark.parametrize("name", [name for name in NAMES if "--reason" in options(name)])
def test_the_reason_of_a_change_is_required(name):
    [reason] = [parameter for parameter in COMMANDS[name].params if "--reason" in parameter.opts]
    assert reason.required


def test_every_exit_code_is_explained():
    assert list(MEANING) == list(Exit)


def invoke(*arguments, **environment):
    return CliRunner().invoke(app, arguments, env=environment)


def test_settings_that_cannot_be_used_end_with_2_all_by_name_and_without_values():
    told = invoke("backlog", DATABASE_URL="", REDIS_URL="op://vault/redis", FRONT_PORT="secret-word")

    assert (told.exit_code, told.stdout) == (2, "")
    for name in ("DATABASE_URL", "REDIS_URL", "FRONT_PORT"):
        assert name in told.stderr
    assert "secret-word" not in told.stderr
    as_json = invoke("backlog", "--json", DATABASE_URL="", REDIS_URL="op://vault/redis", FRONT_PORT="secret-word")
    assert (as_json.exit_code, as_json.stderr) == (2, "")
    problem = json.loads(as_json.stdout)
    assert (problem["code"], len(problem["problems"])) == ("settings", 3)


def test_a_service_that_cannot_be_reached_ends_with_4_and_one_line(monkeypatch):
    def unreachable(url):
        raise redis.ConnectionError("Connection refused")

    monkeypatch.setattr("paywindow.cli.dead.open_redis", unreachable)

    told = invoke("dead", "list", REDIS_URL="redis://127.0.0.1:1/0")
    as_json = invoke("dead", "list", "--json", REDIS_URL="redis://127.0.0.1:1/0")

    assert (told.exit_code, told.stdout) == (4, "")
    assert told.stderr.strip() == "failed (unavailable): Redis cannot be reached: Connection refused"
    assert (as_json.exit_code, json.loads(as_json.stdout)["code"]) == (4, "unavailable")


def test_an_error_that_nobody_foresaw_is_not_dressed_up(monkeypatch):
    def broken(url):
        raise ZeroDivisionError

    monkeypatch.setattr("paywindow.cli.dead.open_redis", broken)

    assert isinstance(invoke("dead", "list", REDIS_URL="redis://127.0.0.1:1/0").exception, ZeroDivisionError)


COLUMNS = (
    Column("session"),
    Column("amount", right=True),
    Column("error", folds=True),
    Column("auction", optional=True),
    Column("created", optional=True),
)
ROWS = [("a" * 36, "1240.00 USD", "a long story " * 10, "b" * 36, "2026-11-23 09:30"), ("c" * 36, None, "", "", "")]


def drawn(monkeypatch, width, *, terminal=True):
    stream = io.StringIO()
    made = Console(file=stream, width=width, force_terminal=terminal, color_system="standard" if terminal else None)
    monkeypatch.setattr(output, "console", lambda: made)
    output.table(COLUMNS, ROWS, empty="None.")
    return stream.getvalue()


@pytest.mark.parametrize(
    ("width", "shown"),
    [(80, ["SESSION", "AMOUNT", "ERROR"]), (120, ["SESSION", "AMOUNT", "ERROR", "AUCTION"])],
    ids=str,
)
def test_a_table_fits_the_terminal_and_keeps_ids_whole(monkeypatch, width, shown):
    text = drawn(monkeypatch, width)

    header = text.splitlines()[0]
    assert [column.title.upper() for column in COLUMNS if column.title.upper() in header] == shown
    assert "a" * 36 in text
    assert "None" not in text
    assert max(cell_len(line) for line in Text.from_ansi(text).plain.splitlines()) <= width


def test_a_pipe_gets_every_column_a_line_a_row_and_no_colours(monkeypatch):
    text = drawn(monkeypatch, 10_000, terminal=False)

    assert len(text.splitlines()) == 1 + len(ROWS)
    assert text.splitlines()[0].split() == [column.title.upper() for column in COLUMNS]
    assert "\x1b" not in text
    assert [line for line in text.splitlines() if line != line.rstrip()] == []


def test_no_rows_are_a_sentence(monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(output, "console", lambda: Console(file=stream))
    output.table(COLUMNS, [], empty="There are none.")
    assert stream.getvalue().strip() == "There are none."
