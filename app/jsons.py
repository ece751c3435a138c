"""JSON with exact money: numbers with decimals are read as :class:`~decimal.Decimal` and written with their scale."""

import json
from decimal import Decimal, InvalidOperation
from typing import Any

import simplejson


def dumps(value: Any) -> str:
    """Compact JSON; a ``Decimal('275.50')`` is written ``275.50``."""
    return simplejson.dumps(value, use_decimal=True, separators=(",", ":"), ensure_ascii=False)


def indented(value: Any) -> str:
    """The same for a person's eyes, over several lines."""
    return simplejson.dumps(value, use_decimal=True, indent=2, ensure_ascii=False)


def canonical(value: Any) -> str:
    """The same document always gives the same text: sorted keys, for fingerprints."""
    return simplejson.dumps(value, use_decimal=True, separators=(",", ":"), ensure_ascii=False, sort_keys=True)


def loads(text: str | bytes) -> Any:
    """Parse JSON in UTF-8; numbers with a fraction or an exponent are exact Decimals. Raises :class:`ValueError`."""
    try:
        return _DECODER.decode(text if isinstance(text, str) else text.decode())
    except InvalidOperation as error:
        raise ValueError("a number has an exponent that is out of range") from error


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON (RFC 8259)")


_DECODER = json.JSONDecoder(parse_float=Decimal, parse_constant=_refuse_constant)
