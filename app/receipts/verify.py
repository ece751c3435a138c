"""Whether a stored file is still the one on record."""

from paywindow.receipts.storage import ReceiptStore, StorageRefused, sha256


def problem_with(store: ReceiptStore, key: str, recorded_sha256: str) -> str | None:
    """What is wrong with a stored file; ``None`` when its hash is the one on record.

    Raises :class:`paywindow.receipts.storage.StorageUnavailable`: nothing is known then.
    """
    try:
        found = sha256(store.get(key))
    except StorageRefused as error:
        return str(error)
    return None if found == recorded_sha256 else f"the file has SHA-256 {found}, on record is {recorded_sha256}"
