"""Where a page of a list ends: opaque to callers, and exact, so that no page repeats or leaves out a row.

A list is ordered by creation, then id; a cursor is both of the last row shown: microseconds since 1970 in 8 bytes, of which the
first is 0 until the year 4253, and the id, as 32 characters that are safe in a URL.
"""

import base64
import re
import struct
import uuid
from datetime import UTC, datetime, timedelta

PATTERN = r"^A[A-P][A-Za-z0-9_-]{30}$"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def encode(created_at: datetime, identifier: uuid.UUID) -> str:
    """The cursor after a row."""
    return base64.urlsafe_b64encode(
        struct.pack(">q", (created_at - _EPOCH) // _MICROSECOND) + identifier.bytes
    ).decode()


def decode(cursor: str) -> tuple[datetime, uuid.UUID]:
    """Creation and id of the last row shown. Raises :class:`ValueError` with the rule that is broken."""
    if not re.fullmatch(PATTERN, cursor):
        raise ValueError("must be the nextCursor of an earlier page")
    packed = base64.urlsafe_b64decode(cursor)
    return _EPOCH + struct.unpack(">q", packed[:8])[0] * _MICROSECOND, uuid.UUID(bytes=packed[8:])
