"""Schemas of request parameters, and the check that turns a decoded form into typed values.

The schemas come from the SDK (see :mod:`paywindow.sandbox.sdk_types`); the refusals carry Stripe's messages, codes and
parameter paths (https://docs.stripe.com/error-codes).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from paywindow.sandbox.errors import StripeError, invalid, missing_parameter, unknown_parameters
from paywindow.sandbox.forms import FormValue

_INTEGER = re.compile(r"^-?\d{1,18}$")
_NUMBER = re.compile(r"^-?\d+(\.\d+)?$")


class Schema(Protocol):
    """What a parameter may hold."""

    def check(self, value: FormValue, path: str) -> Any:
        """The typed value; raises StripeError when it does not fit."""


def _text(value: FormValue, path: str) -> str:
    if isinstance(value, dict):
        raise invalid("Invalid string: expected a scalar value", path)
    if value == "":
        raise invalid(
            f"You passed an empty string for '{path}'. We assume empty values are an attempt to unset a parameter; "
            f"however '{path}' cannot be unset. You should remove '{path}' from your request or supply a non-empty "
            "value.",
            path,
            "parameter_invalid_empty",
        )
    return value


@dataclass(frozen=True, slots=True)
class Text:
    """Any string that is not empty."""

    def check(self, value: FormValue, path: str) -> str:
        return _text(value, path)


@dataclass(frozen=True, slots=True)
class Integer:
    """A whole number."""

    def check(self, value: FormValue, path: str) -> int:
        text = _text(value, path)
        if not _INTEGER.match(text):
            raise invalid(f"Invalid integer: {text}", path, "parameter_invalid_integer")
        return int(text)


@dataclass(frozen=True, slots=True)
class Number:
    """A decimal number, kept as the text that was sent: nothing here computes with it."""

    def check(self, value: FormValue, path: str) -> str:
        text = _text(value, path)
        if not _NUMBER.match(text):
            raise invalid(f"Invalid decimal: {text}", path, "parameter_invalid_decimal")
        return text


@dataclass(frozen=True, slots=True)
class Boolean:
    """``true`` or ``false``."""

    def check(self, value: FormValue, path: str) -> bool:
        text = _text(value, path)
        if text not in ("true", "false"):
            raise invalid(f"Invalid boolean: {text}", path)
        return text == "true"


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the values that Stripe lists."""

    values: tuple[str, ...]

    def check(self, value: FormValue, path: str) -> str:
        text = _text(value, path)
        if text not in self.values:
            raise invalid(f"Invalid {path}: must be one of {_listed(self.values)}", path)
        return text


def _listed(values: tuple[str, ...]) -> str:
    return values[0] if len(values) == 1 else f"{', '.join(values[:-1])}, or {values[-1]}"


@dataclass(frozen=True, slots=True)
class ListOf:
    """An array, sent as ``name[0]``, ``name[1]``... or ``name[]``."""

    item: Schema

    def check(self, value: FormValue, path: str) -> list[Any]:
        if not isinstance(value, dict) or not all(key.isdecimal() for key in value):
            raise invalid("Invalid array", path)
        keys = sorted(value, key=int)
        return [self.item.check(value[key], f"{path}[{key}]") for key in keys]


@dataclass(frozen=True, slots=True)
class MapOf:
    """Free keys, as in ``metadata``. An empty value asks to unset its key, so it is let through."""

    def check(self, value: FormValue, path: str) -> dict[str, str]:
        if not isinstance(value, dict):
            raise invalid("Invalid hash", path)
        checked: dict[str, str] = {}
        for key, item in value.items():
            if isinstance(item, dict):
                raise invalid("Invalid string: expected a scalar value", f"{path}[{key}]")
            checked[key] = item
        return checked


class Struct:
    """Named parameters, some of them required.

    Fields arrive after construction, because parameter types may refer to one another.
    """

    def __init__(self) -> None:
        self.fields: dict[str, Schema] = {}
        self.required: frozenset[str] = frozenset()

    def check(self, value: FormValue, path: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise invalid("Invalid object", path)
        return self._check_fields(value, path)

    def check_all(self, form: Mapping[str, FormValue]) -> dict[str, Any]:
        """Check the parameters of a whole request."""
        return self._check_fields(form, "")

    def _check_fields(self, value: Mapping[str, FormValue], path: str) -> dict[str, Any]:
        unknown = [_join(path, name) for name in value if name not in self.fields]
        if unknown:
            raise unknown_parameters(unknown)
        for name in sorted(self.required):
            if name not in value:
                raise missing_parameter(_join(path, name))
        return {name: self.fields[name].check(item, _join(path, name)) for name, item in value.items()}


def _join(path: str, name: str) -> str:
    return f"{path}[{name}]" if path else name


@dataclass(frozen=True, slots=True)
class OneOf:
    """Alternatives, told apart by their shape: a hash, an array or a scalar. ``unset`` allows the empty string."""

    options: tuple[Schema, ...]
    unset: bool

    def check(self, value: FormValue, path: str) -> Any:
        if value == "" and self.unset:
            return ""
        refusal: StripeError | None = None
        for option in self.options:
            try:
                return option.check(value, path)
            except StripeError as error:
                # The refusal of the alternative that has the value's shape tells the caller most.
                if refusal is None or isinstance(option, Struct | ListOf | MapOf) == isinstance(value, dict):
                    refusal = error
        raise refusal or invalid("Invalid value", path)
