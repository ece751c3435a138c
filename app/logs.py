"""JSON lines on standard error: one object a line, with the ids of what it is about, and nothing in it that must not leave.

The ids join what front ends, workers and the scheduler say. They are bound to the running request or message, not handed
around: the front end binds ``request_id``, the worker's middleware what its message carries
(:mod:`paywindow.message_logs`), and code that learns whose session or attempt it works on calls :func:`bind`. A message
takes the request's id along, so one id leads from the request to everything that it caused.
"""

import json
import logging
import os
import sys
import threading
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

import orjson
from dramatiq import Message, MessageProxy

from paywindow.scrubbing import know, scrub, scrubbed
from paywindow.settings import Settings

#: The ids that lines carry, in the order in which they are written.
IDS = ("request_id", "message_id", "actor", "operation_id", "session_id", "event_id", "attempt_id")

#: Libraries that write whole requests, statements or bodies at DEBUG.
_TALKATIVE = ("stripe", "peewee", "botocore", "boto3", "urllib3", "s3transfer", "asyncio")
#: Secrets that libraries read from the environment by themselves.
_FOREIGN_SECRETS = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "PGPASSWORD")

#: What every record has; anything else came with ``extra``.
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}

_NOTHING: Mapping[str, str] = {}
_ids: ContextVar[Mapping[str, str]] = ContextVar("log_ids", default=_NOTHING)

logger = logging.getLogger(__name__)


def bind(**ids: Any) -> None:
    """Have the lines that follow in this request or message carry these ids, too; ``None`` is left out.

    Raises :class:`KeyError` for a name that is not in :data:`IDS`.
    """
    _ids.set(_with(_ids.get(), ids))


def current() -> Mapping[str, str]:
    """What is bound now."""
    return _ids.get()


def replace(ids: Mapping[str, str]) -> None:
    """Bind exactly these: for threads that take one piece of work after another."""
    _ids.set(_with(_NOTHING, ids))


def _with(before: Mapping[str, str], ids: Mapping[str, Any]) -> Mapping[str, str]:
    both = dict(before)
    for name, value in ids.items():
        if name not in IDS:
            raise KeyError(f"not in {__name__}.IDS: {name}")
        if value is not None:
            # Callers choose request ids, and may choose what must not be logged.
            both[name] = scrub(str(value))
    return both


class Formatter(logging.Formatter):
    """A JSON object of the bound ids, what every line has, and what came with ``extra``; scrubbed."""

    def __init__(self, role: str):
        super().__init__()
        self._role = role

    def format(self, record: logging.LogRecord) -> str:
        """See :meth:`logging.Formatter.format`."""
        line = {
            **_ids.get(),
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname,
            "role": self._role,
            "pid": record.process,
            "logger": record.name,
            "message": scrub(_message(record)),
        }
        if vars(record).keys() - _STANDARD:
            line |= scrubbed({name: value for name, value in vars(record).items() if name not in _STANDARD})
        if record.exc_info:
            line["error"] = scrub(self.formatException(record.exc_info))
        if record.stack_info:
            line["stack"] = scrub(record.stack_info)
        try:
            text = orjson.dumps(line).decode()
        except TypeError:  # half of a surrogate pair, or an integer of more than 64 bits
            text = ""
        # Terminals obey some characters beyond ASCII, and programs that read lines end them there.
        return text if text and text.isascii() else json.dumps(line, default=str)


def _message(record: logging.LogRecord) -> str:
    """The text of a record, with messages of the queue named instead of spelled out."""
    if isinstance(record.args, tuple) and any(isinstance(each, Message | MessageProxy) for each in record.args):
        record.args = tuple(map(_name, record.args))
    return record.getMessage()


def _name(argument: Any) -> Any:
    """A message's actor and id: its arguments may be a whole webhook."""
    if isinstance(argument, Message | MessageProxy):
        return f"{argument.actor_name} {argument.message_id}"
    return argument


def configure(settings: Settings, role: str) -> None:
    """Send all logs of this process to standard error as JSON, uncaught errors too, without the settings' secrets."""
    know([*settings.secrets(), *(os.environ.get(name, "") for name in _FOREIGN_SECRETS)])
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Formatter(role))
    logging.basicConfig(level=settings.log_level, handlers=[handler], force=True)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(max(logging.INFO, logging.getLevelName(settings.log_level)))
    logging.captureWarnings(True)
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    else:
        logger.critical("uncaught", exc_info=(kind, error, trace))


def _uncaught_in_thread(caught: threading.ExceptHookArgs) -> None:
    if caught.exc_value is not None and not isinstance(caught.exc_value, SystemExit):
        _uncaught(caught.exc_type, caught.exc_value, caught.exc_traceback)
