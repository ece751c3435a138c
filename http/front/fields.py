"""The types of request fields: what a value must look like, and the sentence that says so when it does not."""

import re
import unicodedata
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, StrictStr, ValidationInfo, WithJsonSchema

from paywindow import cursors, locales, money
from paywindow.front.urls import AllowList

MAX_DESCRIPTION = 250
MAX_EMAIL = 254
#: Sessions on one page of a list.
MAX_PAGE = 100

_UUID_PATTERN = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
UUID = re.compile(_UUID_PATTERN)
_EMAIL = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?=[^@]{4,})"
    r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)+"
)
_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})", re.IGNORECASE
)
#: Controls, surrogates, line and paragraph separators; and the marks that reverse the direction of what follows.
_UNPRINTABLE = ("Cc", "Cs", "Zl", "Zp")
_DIRECTION_MARKS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
#: The same two rules, and that something must be there, for readers of the schema.
_NOT_PRINTABLE = r"\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069"
_PRINTABLE_PATTERN = f"^[^{_NOT_PRINTABLE}]*[^\\s{_NOT_PRINTABLE}][^{_NOT_PRINTABLE}]*$"


def _uuid(value: str) -> str:
    if not UUID.fullmatch(value):
        raise ValueError("must be a UUID in canonical form (lower case, 8-4-4-4-12)")
    return value


def _number(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise ValueError("must be a JSON number")  # noqa: TRY004 - pydantic turns ValueError into a broken rule
    return Decimal(value)


def _printable(value: str) -> str:
    if any(unicodedata.category(c) in _UNPRINTABLE or c in _DIRECTION_MARKS for c in value):
        raise ValueError("must not contain control characters")
    return value


def _not_blank(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be blank")
    return value


def _email(value: str) -> str:
    if len(value) > MAX_EMAIL or not _EMAIL.fullmatch(value) or ".." in value:
        raise ValueError("must be an e-mail address")
    return value


def _currency(value: str) -> str:
    return money.currency(value).code


def _country(value: str) -> str:
    if not re.fullmatch("[A-Z]{2}", value):
        raise ValueError("must be an upper-case ISO 3166-1 alpha-2 code such as DE")
    return value


def _moment(text: str) -> str:
    try:
        if _MOMENT.fullmatch(text):
            return datetime.fromisoformat(text.upper()).astimezone(UTC).isoformat()
    except (ValueError, OverflowError):  # the 30th of February; the year 0, or 10000 once it is in UTC
        pass
    raise ValueError("must be a moment with a time zone, such as 2026-01-31T10:30:00Z (RFC 3339)")


def _truth(value: Any) -> bool:
    if value not in ("true", "false"):
        raise ValueError("must be true or false")
    return bool(value == "true")


def _page_size(value: Any) -> int:
    if not isinstance(value, str) or not re.fullmatch(r"[0-9]{1,3}", value) or not 1 <= int(value) <= MAX_PAGE:
        raise ValueError(f"must be an integer from 1 to {MAX_PAGE}")
    return int(value)


def _cursor(value: str) -> str:
    cursors.decode(value)
    return value


def _allowed_url(value: str, info: ValidationInfo[AllowList]) -> str:
    return info.context.check(value)


Uuid = Annotated[
    StrictStr, AfterValidator(_uuid), WithJsonSchema({"type": "string", "format": "uuid", "pattern": _UUID_PATTERN})
]
Amount = Annotated[Decimal, BeforeValidator(_number), WithJsonSchema({"type": "number", "examples": [275.50]})]
Url = Annotated[StrictStr, AfterValidator(_allowed_url), WithJsonSchema({"type": "string", "format": "uri"})]
Description = Annotated[
    StrictStr,
    Field(max_length=MAX_DESCRIPTION, json_schema_extra={"pattern": _PRINTABLE_PATTERN}),
    AfterValidator(_not_blank),
    AfterValidator(_printable),
]
Email = Annotated[StrictStr, AfterValidator(_email), WithJsonSchema({"type": "string", "format": "email"})]
Currency = Annotated[StrictStr, AfterValidator(_currency)]
Country = Annotated[
    StrictStr, AfterValidator(_country), WithJsonSchema({"type": "string", "pattern": "^[A-Z]{2}$", "examples": ["DE"]})
]
Locale = Annotated[StrictStr, AfterValidator(locales.normalised)]
Moment = Annotated[StrictStr, AfterValidator(_moment), WithJsonSchema({"type": "string", "format": "date-time"})]
Truth = Annotated[bool, BeforeValidator(_truth), WithJsonSchema({"type": "boolean"})]
PageSize = Annotated[
    int, BeforeValidator(_page_size), WithJsonSchema({"type": "integer", "minimum": 1, "maximum": MAX_PAGE})
]
PageCursor = Annotated[
    StrictStr,
    AfterValidator(_cursor),
    WithJsonSchema({"type": "string", "pattern": cursors.PATTERN, "examples": ["AAZg7xNyugDL3frMlIVJmb7jKGONN6B4"]}),
]
