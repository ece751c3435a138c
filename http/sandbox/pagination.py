"""Lists with cursors (https://docs.stripe.com/api/pagination): newest first, ``limit`` 1 to 100, ``has_more``."""

from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

from paywindow.sandbox.errors import invalid, no_such
from paywindow.sandbox.jsontypes import JsonObject

_DEFAULT_LIMIT = 10
_MAXIMUM_LIMIT = 100

_COMPARISONS: dict[str, Callable[[int, int], bool]] = {
    "gt": lambda value, bound: value > bound,
    "gte": lambda value, bound: value >= bound,
    "lt": lambda value, bound: value < bound,
    "lte": lambda value, bound: value <= bound,
}


def list_page(
    objects: Iterable[JsonObject], params: JsonObject, url: str, matches: Callable[[JsonObject], bool]
) -> JsonObject:
    """One page of the matching ``objects`` (all of them, newest first) as Stripe's list object.

    A cursor is a place among all objects: one that no longer matches the filter still works.
    """
    limit = _limit(params)
    after, before = params.get("starting_after"), params.get("ending_before")
    if after and before:
        raise invalid("Received both starting_after and ending_before parameters. Please pass in only one.")
    items = list(objects)
    if before:
        newer = [item for item in items[: _position(items, before, "ending_before")] if matches(item)]
        data, more = newer[-limit:], len(newer) > limit
    else:
        start = _position(items, after, "starting_after") + 1 if after else 0
        older = list(islice(filter(matches, islice(items, start, None)), limit + 1))
        data, more = older[:limit], len(older) > limit
    return {"object": "list", "data": data, "has_more": more, "url": url}


def _limit(params: JsonObject) -> int:
    limit: int = params.get("limit", _DEFAULT_LIMIT)
    if limit < 1:
        raise invalid("This value must be greater than or equal to 1.", "limit")
    if limit > _MAXIMUM_LIMIT:
        raise invalid("This value must be less than or equal to 100.", "limit")
    return limit


def _position(items: list[JsonObject], object_id: str, param: str) -> int:
    for index, item in enumerate(items):
        if item["id"] == object_id:
            return index
    raise no_such("object", object_id, param, status=400)


def created_matches(obj: JsonObject, created: Any) -> bool:
    """The ``created`` filter: an exact second, or a hash of ``gt``, ``gte``, ``lt``, ``lte``."""
    if created is None:
        return True
    if isinstance(created, int):
        return bool(obj["created"] == created)
    return all(_COMPARISONS[name](obj["created"], bound) for name, bound in created.items())
