"""Reads request schemas off the installed SDK's typed parameter definitions (``stripe.params``).

The SDK is generated from Stripe's own API description, so the sandbox refuses exactly what the pinned API version does
not have, and moving the SDK moves the sandbox.
"""

import sys
import types
import typing
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from typing import Any, Literal, Union

import typing_extensions
from stripe import RequestOptions
from stripe._stripe_object import UntypedStripeObject

from paywindow.sandbox.parameters import (
    Boolean,
    Choice,
    Integer,
    ListOf,
    MapOf,
    Number,
    OneOf,
    Schema,
    Struct,
    Text,
)

# Options of the SDK's own call (key, headers...) share the TypedDict with what goes over the wire.
_CALL_OPTIONS = frozenset(RequestOptions.__annotations__)
_SCALARS: dict[Any, Schema] = {str: Text(), int: Integer(), bool: Boolean(), float: Number(), Decimal: Number()}


@cache
def schema_of(params: type) -> Struct:
    """The schema of a parameter TypedDict such as ``stripe.params.checkout.SessionCreateParams``."""
    return _struct(params, {})


def _struct(params: type, seen: dict[type, Struct]) -> Struct:
    if params in seen:
        return seen[params]
    struct = seen[params] = Struct()
    hints = typing_extensions.get_type_hints(
        params,
        globalns=vars(sys.modules[params.__module__]),
        localns={"StripeContext": object, "Mapping": Mapping},
    )
    struct.fields = {name: _schema(hint, seen) for name, hint in hints.items() if name not in _CALL_OPTIONS}
    struct.required = frozenset(typing.cast(Any, params).__required_keys__) - _CALL_OPTIONS
    return struct


def _schema(hint: Any, seen: dict[type, Struct]) -> Schema:
    if hint in _SCALARS:
        return _SCALARS[hint]
    if typing_extensions.is_typeddict(hint):
        return _struct(hint, seen)
    origin = typing.get_origin(hint)
    if origin is Literal:
        return Choice(typing.get_args(hint))
    if origin is list:
        return ListOf(_schema(typing.get_args(hint)[0], seen))
    if origin in (dict, UntypedStripeObject):
        return MapOf()
    if origin in (Union, types.UnionType):
        return _union(typing.get_args(hint), seen)
    raise TypeError(f"the SDK has a parameter type that the sandbox cannot read: {hint!r}")


def _union(hints: tuple[Any, ...], seen: dict[type, Struct]) -> Schema:
    literals = [value for hint in hints if typing.get_origin(hint) is Literal for value in typing.get_args(hint)]
    choices = tuple(value for value in literals if value != "")
    # "Literal[...] | str" is how the SDK stays open to future values; the API of its version is closed.
    others = [hint for hint in hints if typing.get_origin(hint) is not Literal and not (choices and hint is str)]
    options: list[Schema] = [Choice(choices)] if choices else []
    for hint in others:
        option = _schema(hint, seen)
        if option not in options:
            options.append(option)
    unset = "" in literals
    return options[0] if len(options) == 1 and not unset else OneOf(tuple(options), unset)
