"""Links to locally stored receipts, signed like an S3 presigned URL: nothing to look up, good for a short time.

Needs neither the store nor its folder; the front end verifies a link with the shared secret alone.
"""

import hashlib
import hmac
import time
from collections.abc import Mapping
from urllib.parse import quote, urlencode

FILES_PATH = "/payments/receipts/files/"


class InvalidLink(Exception):
    """The link was altered, is incomplete, or its time is over; the message says which."""


def signed_local_url(public_url: str, secret: str, key: str, *, filename: str, expires_in: int) -> str:
    """``{public_url}/payments/receipts/files/{key}?expires=...&filename=...&signature=...``

    Good for ``expires_in`` seconds.
    """
    expires = str(int(time.time()) + expires_in)
    query = urlencode(
        {"expires": expires, "filename": filename, "signature": _signature(secret, key, expires, filename)}
    )
    return f"{public_url.rstrip('/')}{FILES_PATH}{quote(key)}?{query}"


def verify_local_url(secret: str, key: str, query: Mapping[str, str], *, now: float | None = None) -> str:
    """Check a followed link (``key``: the decoded path after :data:`FILES_PATH`) and give the file name to save it as.

    Raises :class:`InvalidLink`. ``now``: Unix time, the real one when not given (links do not follow the business
    clock).
    """
    try:
        expires, filename, signature = query["expires"], query["filename"], query["signature"]
    except KeyError as error:
        raise InvalidLink(f"the link has no {error.args[0]}") from error
    # The signature first: what an unsigned link claims is not worth an answer.
    if not hmac.compare_digest(signature.encode(), _signature(secret, key, expires, filename).encode()):
        raise InvalidLink("the link's signature does not verify")
    if int(expires) <= (time.time() if now is None else now):
        raise InvalidLink("the link has expired")
    return filename


def _signature(secret: str, key: str, expires: str, filename: str) -> str:
    # Lines, with the field of free text last: no two different links have the same text.
    text = f"paywindow-receipt-link-v1\n{key}\n{expires}\n{filename}"
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
