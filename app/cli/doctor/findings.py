"""What a check found, and how bad that is."""

from dataclasses import asdict, dataclass
from enum import StrEnum


class Level(StrEnum):
    """``fail``: it will not work, or money or receipts are at risk. ``warn``: it works, and should be looked at.

    ``skip``: not looked at, because something else is missing.
    """

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Finding:
    """``remedy``: what to do about it, for warnings and failures."""

    part: str
    check: str
    level: Level
    found: str
    remedy: str | None = None

    def public(self) -> dict[str, str | None]:
        """As JSON shows it."""
        return {name: None if value is None else str(value) for name, value in asdict(self).items()}


class Part:
    """Makes the findings of one part."""

    def __init__(self, name: str):
        self.name = name

    def ok(self, check: str, found: str) -> Finding:
        """As it should be."""
        return Finding(self.name, check, Level.OK, found)

    def warn(self, check: str, found: str, remedy: str) -> Finding:
        """It works, and should be looked at."""
        return Finding(self.name, check, Level.WARN, found, remedy)

    def fail(self, check: str, found: str, remedy: str) -> Finding:
        """It does not work, or not safely."""
        return Finding(self.name, check, Level.FAIL, found, remedy)

    def skip(self, check: str, why: str) -> Finding:
        """Not looked at."""
        return Finding(self.name, check, Level.SKIP, why)

    def judge(self, good: bool, check: str, found: str, remedy: str) -> Finding:
        """Ok or fail."""
        return self.ok(check, found) if good else self.fail(check, found, remedy)


def first_line(error: BaseException) -> str:
    """An error in one line."""
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
