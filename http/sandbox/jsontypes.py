"""The one loose type of the sandbox: Stripe's JSON."""

import json
from typing import Any, TypeAlias, cast

JsonObject: TypeAlias = dict[str, Any]


def snapshot(value: JsonObject) -> JsonObject:
    """A deep copy. A JSON round trip is several times faster than ``copy.deepcopy`` on Stripe-sized objects."""
    return cast(JsonObject, json.loads(json.dumps(value)))
