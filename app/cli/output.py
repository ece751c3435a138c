"""How commands print: results on stdout, everything else (progress, questions, refusals) on stderr.

With ``--json`` stdout gets exactly one JSON object and nothing else; docs/cli.md says which. Without it, people read: a table
fits the terminal by leaving out its optional columns, and a pipe gets every column, one line a row, without colours.
"""

import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from paywindow import jsons
from paywindow.clock import isoformat

_JSON = "paywindow.json"
_GAP = 2
#: Wide enough that nothing is folded or cut: what is piped is read by programs.
_PIPE_WIDTH = 10_000
#: Styles of words that say how something stands, wherever they appear as a whole cell.
_STYLES = {
    "ok": "green",
    "completed": "green",
    "warn": "yellow",
    "held": "yellow",
    "failed": "red",
    "fail": "red",
    "parked": "red",
    "overdue": "red",
    "expired": "dim",
    "canceled": "dim",
    "skip": "dim",
}


def _remember(ctx: typer.Context, value: bool) -> bool:
    ctx.meta[_JSON] = value
    return value


#: The option that every command of an operator has.
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.", callback=_remember, is_eager=True)]


def wants_json(ctx: Any) -> bool:
    """Whether the running command was given ``--json``; for what prints outside of the command itself."""
    return bool(ctx.meta.get(_JSON))


def emit(body: Mapping[str, Any], as_json: bool, human: Callable[[], None]) -> None:
    """Print a result: ``body`` as JSON, or what ``human`` prints."""
    if as_json:
        print_json(body)
    else:
        human()


def print_json(body: Mapping[str, Any]) -> None:
    """One JSON object: a line for a program, indented for a person. Money keeps its decimals."""
    if sys.stdout.isatty():
        typer.echo(jsons.indented(body))
    else:
        typer.echo(jsons.dumps(body))


def console(*, stderr: bool = False) -> Console:
    """A console of the terminal's width, or endlessly wide for a pipe; it never reads markup into data."""
    stream = sys.stderr if stderr else sys.stdout
    width = shutil.get_terminal_size().columns if stream.isatty() else _PIPE_WIDTH
    return Console(stderr=stderr, width=width, highlight=False, markup=False, emoji=False)


def say(text: str, style: str | None = None) -> None:
    """Print a line of text to stdout, folded between words."""
    console().print(Text(text, style or ""))


def note(text: str) -> None:
    """Tell a person something that is not the result."""
    console(stderr=True).print(Text(text))


def when(moment: datetime | str | None) -> str:
    """A moment for people: UTC to the second, or nothing."""
    if moment is None:
        return ""
    text = moment if isinstance(moment, str) else isoformat(moment)
    return text.replace("T", " ").removesuffix("Z")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table. ``optional``: left out where the terminal is too narrow, the last such column first.

    ``folds``: may take several lines, and gets what room the others leave.
    """

    title: str
    optional: bool = False
    folds: bool = False
    right: bool = False


def table(columns: Sequence[Column], rows: Sequence[Sequence[Any]], *, empty: str, header: bool = True) -> None:
    """Print rows, or the sentence ``empty`` when there are none."""
    if not rows:
        say(empty)
        return
    out = console()
    break_ = "\n" if out.is_terminal else " "
    texts = [["" if value is None else break_.join(str(value).splitlines()) for value in row] for row in rows]
    shown = _fitting(columns, texts, out.width) if out.is_terminal else list(range(len(columns)))
    drawn = Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, show_header=header, header_style="bold")
    for index in shown:
        column = columns[index]
        drawn.add_column(
            column.title.upper(),
            justify="right" if column.right else "left",
            no_wrap=not column.folds,
            overflow="fold",
        )
    for row in texts:
        drawn.add_row(*(Text(row[index], _STYLES.get(row[index], "")) for index in shown))
    _print(out, drawn)


def _print(out: Console, drawn: Table) -> None:
    if out.is_terminal:
        out.print(drawn)
        return
    with out.capture() as captured:
        out.print(drawn)
    # Cells are padded to their column's width; at the end of a line that is of no use to a program.
    out.file.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))


#: A folding column is readable from this width on.
_FOLDED = 24


def _fitting(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> list[int]:
    """The indexes of the columns that are shown within ``width``."""
    shown = list(range(len(columns)))
    needs = [
        min(_FOLDED, longest) if column.folds else longest
        for index, column in enumerate(columns)
        for longest in [max(cell_len(column.title), *(cell_len(row[index]) for row in rows))]
    ]
    for index in reversed(range(len(columns))):
        if sum(needs[each] + _GAP for each in shown) <= width + _GAP:
            break
        if columns[index].optional:
            shown.remove(index)
    return shown


def facts(pairs: Mapping[str, Any]) -> None:
    """Print names and values, a line each; what has no value is left out."""
    rows = [(name, value) for name, value in pairs.items() if value not in (None, "")]
    out = console()
    drawn = Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, show_header=False)
    drawn.add_column(style="dim", no_wrap=True)
    drawn.add_column(overflow="fold")
    for name, value in rows:
        drawn.add_row(Text(name), Text(str(value), _STYLES.get(str(value), "")))
    _print(out, drawn)


def heading(text: str) -> None:
    """Print the title of a part."""
    console().print(Text(f"\n{text}", "bold"))
