"""The commands that the documentation tells people to type, as they stand there."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: All pages but the history, whose commands are those of their time.
PAGES = sorted({*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")} - {ROOT / "CHANGELOG.md"})

_FENCED = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"^(?:(?: {4}|\t).*\n)+", re.MULTILINE)
_INLINE = re.compile(r"`(paywindow [^`]+)`")
_ASSIGNMENT = re.compile(r"[A-Z][A-Z0-9_]*=.*", re.DOTALL)
_PROGRAMS = ("paywindow", "make", "curl", "docker", "redis-cli", "pg_basebackup", "stripe")


@dataclass(frozen=True)
class Command:
    """One simple command: ``words`` as a shell would see them, without assignments before it and the pipe behind it.

    ``text`` is the line as it stands, without what is there to be read: prompt and comment.
    """

    page: str
    text: str
    words: tuple[str, ...]


def blocks(page: Path, *languages: str) -> list[str]:
    """The fenced blocks of some languages."""
    return [text for language, text in _FENCED.findall(page.read_text()) if language in languages]


def commands(program: str) -> list[Command]:
    """All commands in blocks that begin with a program of :data:`_PROGRAMS`, page by page."""
    assert program in _PROGRAMS
    found = [command for page in PAGES for command in _of_page(page)]
    return [command for command in found if command.words[0] == program]


def inline(page: Path) -> list[str]:
    """What stands in the prose of a page as a ``paywindow`` command."""
    return _INLINE.findall(re.sub(r"\s*\n\s*", " ", _FENCED.sub("", page.read_text())))


def _of_page(page: Path) -> Iterator[Command]:
    text = page.read_text()
    indented = _INDENTED.findall(_FENCED.sub("\n", text))
    for block in [*blocks(page, "sh", "console"), *indented]:
        for line in re.sub(r"\\\n\s*", " ", block).splitlines():
            line = line.strip().removeprefix("$ ")
            # What is generated from the commands themselves shows their form, not a use.
            if line and "[OPTIONS]" not in line and any(program in line for program in _PROGRAMS):
                yield from _simple(page, line)


def _simple(page: Path, line: str) -> Iterator[Command]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|")
    lexer.whitespace_split = True
    lexer.commenters = "#"
    try:
        words = list(lexer)
    except ValueError:  # a quotation that goes on in the next line
        words = line.split()
    if "|" in words:
        words = words[: words.index("|")]
    while words and _ASSIGNMENT.fullmatch(words[0]):
        words.pop(0)
    if words and words[0] in _PROGRAMS:
        yield Command(page.name, re.sub(r"\s+#.*$", "", line), tuple(words))
