"""The exit codes of every command; docs/cli.md prints this table."""

from enum import IntEnum


class Exit(IntEnum):
    """How a command ended, for scripts."""

    OK = 0
    REFUSED = 1
    USAGE = 2
    UNKNOWN = 3
    UNAVAILABLE = 4


#: What each code means, as the documentation says it.
MEANING: dict[Exit, str] = {
    Exit.OK: "done, or nothing found to complain about",
    Exit.REFUSED: "refused, not found, or a finding: a check failed, an audit found something, a question was answered with no",
    Exit.USAGE: "the command line or the settings cannot be used; nothing was tried",
    Exit.UNKNOWN: "no worker answered in time: the command may still happen; the message says how to ask again safely",
    Exit.UNAVAILABLE: "Postgres, Redis or Stripe could not be reached",
}

#: Exit codes of problems, by their ``code``; every other problem is a refusal.
OF_PROBLEM = {"invalid_request": Exit.USAGE, "timed_out": Exit.UNKNOWN, "unavailable": Exit.UNAVAILABLE}
