"""Reads the control API's JSON bodies into dataclasses, with refusals that name the field."""

import dataclasses
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from paywindow.sandbox.errors import invalid, unknown_parameters

T = TypeVar("T")


def read_dataclass(cls: type[T], body: Mapping[str, Any]) -> T:
    """An instance of the dataclass ``cls`` from JSON values; raises StripeError for unknown or ill-typed fields.

    Knows the field types that JSON has, lists of strings, and string enumerations.
    """
    hints = typing.get_type_hints(cls)
    names = [field.name for field in dataclasses.fields(typing.cast(Any, cls))]
    if unknown := [name for name in body if name not in names]:
        raise unknown_parameters(unknown)
    try:
        return cls(**{name: _read(hints[name], value) for name, value in body.items()})
    except (TypeError, ValueError) as error:
        raise invalid(f"Invalid body: {error}") from error


def _read(hint: Any, value: Any) -> Any:
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if typing.get_origin(hint) is list:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise TypeError(f"{value!r} is not a list of strings")
        return value
    if hint in (bool, int, float, str):
        if type(value) is not hint:
            raise TypeError(f"{value!r} is not of type {hint.__name__}")
        return value
    return hint(value)
