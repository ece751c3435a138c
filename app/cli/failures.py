"""Errors of commands, in one place: what is printed where, and which exit code follows.

A command raises :class:`~paywindow.errors.Problem` (or :class:`Refused` for a problem that came from a worker); the root
group prints it to stderr as one line, or with ``--json`` to stdout as the problem+json object of the API, and ends with the
code of :mod:`paywindow.cli.exits`. Services that cannot be reached become problems here, so that no operator reads a traceback
because a network is down.
"""

from typing import Any

import typer
from typer.core import TyperGroup

from paywindow.cli.exits import OF_PROBLEM, Exit
from paywindow.cli.output import print_json, wants_json
from paywindow.errors import PaywindowError, Problem
from paywindow.settings import SettingsError


class Refused(PaywindowError):
    """A worker's answer is no; ``body`` is its problem+json."""

    def __init__(self, body: dict[str, Any]):
        super().__init__(body["detail"])
        self.body = body


class Group(TyperGroup):
    """The root of all commands: turns errors that are meant for people into messages and exit codes."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command. Raises :class:`typer.Exit` for every error that is a message; others are programming errors."""
        try:
            return super().invoke(ctx)
        except SettingsError as error:
            raise _ended(ctx, _settings_problem(error), str(error), Exit.USAGE) from None
        except (Problem, Refused) as error:
            raise _refused(ctx, error.body() if isinstance(error, Problem) else error.body) from None
        except Exception as error:
            problem = _outage(error)
            if problem is None:
                raise
            raise _refused(ctx, problem.body()) from error


def _refused(ctx: Any, body: dict[str, Any]) -> typer.Exit:
    code = OF_PROBLEM.get(body["code"], Exit.REFUSED)
    verb = "refused" if code is Exit.REFUSED else "failed"
    lines = [f"{verb} ({body['code']}): {body['detail']}"]
    lines += [f"  {each['field']}: {each['rule']}" for each in body.get("errors", [])]
    return _ended(ctx, body, "\n".join(lines), code)


def _ended(ctx: Any, body: dict[str, Any], text: str, code: Exit) -> typer.Exit:
    if wants_json(ctx):
        print_json(body)
    else:
        typer.echo(text, err=True)
    return typer.Exit(code)


def _settings_problem(error: SettingsError) -> dict[str, Any]:
    return {
        "type": "urn:paywindow:problem:settings",
        "title": "The settings cannot be used",
        "code": "settings",
        "detail": f"{len(error.problems)} problems",
        "problems": error.problems,
    }


def _outage(error: Exception) -> Problem | None:
    """The problem that an error of Postgres' or Redis' driver means, if it means one."""
    # Loaded only when something went wrong: the front end's command must not load Postgres' driver.
    import peewee
    import redis

    from paywindow.broker import is_outage

    if isinstance(error, redis.ConnectionError | redis.TimeoutError):
        return Problem("unavailable", f"Redis cannot be reached: {error}")
    if is_outage(error):
        return Problem("unavailable", f"Postgres cannot be reached: {str(error).strip().splitlines()[0]}")
    # https://www.postgresql.org/docs/current/errcodes-appendix.html: undefined_table, undefined_column.
    if isinstance(error, peewee.ProgrammingError) and getattr(error.__cause__, "pgcode", None) in ("42P01", "42703"):
        return Problem("unavailable", "The database lacks tables or columns of this version: run `paywindow migrate`.")
    return None
