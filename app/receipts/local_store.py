"""Receipts in a folder: for development and for a single machine, with the promises of the S3 store."""

import glob
import os
import tempfile
from pathlib import Path

from paywindow.receipts.local_url import signed_local_url
from paywindow.receipts.storage import PDF, StorageRefused, StorageUnavailable, StoredObject, checked_key, sha256


class LocalStore:
    """``LocalStore(folder, public_url, secret)``; the folder is made when first written to.

    A file appears under its name complete and on disk, or not at all: it is written and synced as a draft in a folder beside,
    then linked, and a link never replaces. What a killed writer has left of a draft goes when the file is stored after all.
    ``public_url``: where the front end answers, such as ``http://127.0.0.1:8080``.
    ``secret``: signs the links (:mod:`paywindow.receipts.local_url`).
    """

    def __init__(self, folder: Path, public_url: str, secret: str):
        self._folder = folder
        self._drafts = folder / ".drafts"
        self._public_url = public_url
        self._secret = secret

    def put(self, key: str, body: bytes, *, content_type: str = PDF) -> StoredObject:
        """Write once, or adopt; see :class:`paywindow.receipts.storage.ReceiptStore`."""
        target = self._path(key)
        try:
            self._write_once(target, body)
            stored = target.read_bytes()
            self._forget_drafts(target)
        except OSError as error:
            raise StorageUnavailable(f"{key} could not be stored: {error.strerror}") from error
        digest = sha256(stored)
        return StoredObject(key=key, version_id=digest, sha256=digest, size=len(stored))

    def get(self, key: str) -> bytes:
        """The stored bytes. Raises :class:`StorageRefused` when there are none."""
        try:
            return self._path(key).read_bytes()
        except FileNotFoundError as error:
            raise StorageRefused(f"{key} is not stored") from error
        except OSError as error:
            raise StorageUnavailable(f"{key} could not be read: {error.strerror}") from error

    def signed_url(self, key: str, *, filename: str, expires_in: int) -> str:
        """A link that the front end answers with the file. Raises :class:`StorageRefused` without a secret to sign it."""
        if not self._secret:
            raise StorageRefused("links are not signed without RECEIPT_URL_SECRET")
        return signed_local_url(
            self._public_url, self._secret, checked_key(key), filename=filename, expires_in=expires_in
        )

    def _path(self, key: str) -> Path:
        return self._folder / checked_key(key)

    def _write_once(self, target: Path, body: bytes) -> None:
        if target.exists():
            return
        self._make_folder(target.parent)
        self._make_folder(self._drafts)
        handle, draft = tempfile.mkstemp(dir=self._drafts, prefix=f"{target.name}-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(draft, target)
            except (FileExistsError, FileNotFoundError):
                return  # another writer was first, and may have taken our draft for one that was left; theirs is adopted
            _sync_folder(target.parent)
        finally:
            Path(draft).unlink(missing_ok=True)

    def _forget_drafts(self, target: Path) -> None:
        for left in self._drafts.glob(f"{glob.escape(target.name)}-*"):
            left.unlink(missing_ok=True)

    def _make_folder(self, folder: Path) -> None:
        """Make a folder below ours and its parents, each recorded on disk in the one above it."""
        if folder.is_dir():
            return
        self._make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    """A new name survives a power cut only when its folder has been synced, too."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
