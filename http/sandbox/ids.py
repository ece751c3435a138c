"""Identifiers that look like Stripe's: a prefix that tells the kind, then random letters and digits."""

import secrets
import string

_ALPHABET = string.ascii_letters + string.digits

# Characters after the prefix. Stripe promises nothing but "up to 255"; these are the lengths in use today.
_LENGTHS = {
    "cs_test_a1": 58,
    "whsec": 32,
    "req": 14,
    "prod": 14,
    "pi_3": 23,
    "ch_3": 23,
    "py_3": 23,
    "re_3": 23,
    "txn_3": 23,
    "tr_3": 23,
    "acct_1": 15,
    "ca": 32,
}


def random_text(length: int) -> str:
    """``length`` random characters of the base-62 alphabet."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def new_id(prefix: str) -> str:
    """A fresh id. A prefix that ends in a generation digit (``pi_3``) is glued, any other gets an underscore."""
    glue = "" if "_" in prefix else "_"
    return prefix + glue + random_text(_LENGTHS.get(prefix, 24))
