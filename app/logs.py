"""JSON lines on standard error: one object a line, with the process's role and whatever ids the caller adds."""

import logging
import sys

from pythonjsonlogger.json import JsonFormatter


def configure(level: str, role: str) -> None:
    """Send all logs of this process to standard error as JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        JsonFormatter(
            "%(levelname)s %(name)s %(message)s",
            rename_fields={"levelname": "level", "name": "logger"},
            static_fields={"role": role},
            timestamp="time",
        )
    )
    logging.basicConfig(level=level, handlers=[handler], force=True)
