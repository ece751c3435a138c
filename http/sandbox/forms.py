"""Stripe's form encoding: ``a[b][0][c]=x`` (https://docs.stripe.com/api).

Decoding yields nested dictionaries of strings. Lists stay dictionaries with numeric keys: only the schema of a
parameter says whether ``0`` is an index or a name.
"""

import re
from typing import TypeAlias
from urllib.parse import parse_qsl

FormValue: TypeAlias = "str | dict[str, FormValue]"
Form: TypeAlias = dict[str, FormValue]

_KEY = re.compile(r"^([^\[\]]+)((?:\[[^\[\]]*\])*)$")
_PART = re.compile(r"\[([^\[\]]*)\]")


def decode(text: str) -> Form:
    """Decode a query string or a form body. A repeated scalar keeps its last value, ``a[]`` appends."""
    form: Form = {}
    for key, value in parse_qsl(text, keep_blank_values=True):
        _insert(form, _split(key), value)
    return form


def _split(key: str) -> list[str]:
    """The path that a key names. A malformed key is one odd name, refused later as unknown."""
    match = _KEY.match(key)
    return [match[1], *_PART.findall(match[2])] if match else [key]


def _insert(form: Form, path: list[str], value: str) -> None:
    node = form
    for name in path[:-1]:
        child = node.get(_index(node, name))
        if not isinstance(child, dict):
            child = {}
            node[_index(node, name)] = child
        node = child
    node[_index(node, path[-1])] = value


def _index(node: Form, name: str) -> str:
    return name or str(len(node))
