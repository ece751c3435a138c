"""What a receipt store does, whatever it is made of.

A receipt is written once. A second writer (a retried message, a worker that was thought dead) does not replace the
stored file but *adopts* it: it gets the stored version's facts back, and those go on record.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import quote

from paywindow.errors import Permanent, Transient

PDF = "application/pdf"


class StorageUnavailable(Transient):
    """The store could not be reached, was busy or failed; the same call may work soon."""


class StorageRefused(Permanent):
    """The store said no (rights, a missing bucket or file, a bad key); the same call will be refused again."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """A stored file. ``sha256``: hex digits, of the stored bytes; ``version_id``: the store's own, or the SHA-256."""

    key: str
    version_id: str
    sha256: str
    size: int


class ReceiptStore(Protocol):
    """Write-once storage of receipt files.

    Every method raises :class:`StorageUnavailable` and :class:`StorageRefused`.
    """

    def put(self, key: str, body: bytes, *, content_type: str = PDF) -> StoredObject:
        """Store ``body`` under ``key``, or adopt what is stored there already; its facts tell which bytes count."""

    def get(self, key: str) -> bytes:
        """The stored bytes."""

    def signed_url(self, key: str, *, filename: str, expires_in: int) -> str:
        """A link that anyone may follow for ``expires_in`` seconds, saving the file as ``filename``."""


def sha256(body: bytes) -> str:
    """The hash that goes on record, in hex digits."""
    return hashlib.sha256(body).hexdigest()


def checked_key(key: str) -> str:
    """The key, if it is one: ``receipts/2026/R-2026-000123.pdf``. Raises :class:`StorageRefused`.

    Segments of letters, digits, ``.``, ``_`` and ``-`` that do not start with a dot, at most 512 characters: safe as a
    path of a file system, in a URL and in S3.
    """
    if len(key) > 512 or not re.fullmatch(
        r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*", key, re.ASCII
    ):
        raise StorageRefused(f"{key!r} is not a storage key")
    return key


def storage_key(series: str, number: str) -> str:
    """Where a document's file is kept."""
    return checked_key(f"receipts/{series}/{number}.pdf")


def content_disposition(filename: str) -> str:
    """The header that makes a browser save a download as ``filename`` (RFC 6266, with the ASCII fallback first)."""
    ascii_name = re.sub(r"[^A-Za-z0-9._ -]", "_", filename)
    return f"attachment; filename=\"{ascii_name}\"; filename*=UTF-8''{quote(filename, safe='')}"
