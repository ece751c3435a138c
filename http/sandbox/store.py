"""All objects of one sandbox, by kind and id, in the order of their creation.

Objects are kept as Stripe renders them unexpanded: references are ids. What Stripe knows but does not show (line items,
the buyer's card) is kept beside them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from paywindow.sandbox.cards import RefundCourse, TestCard
from paywindow.sandbox.errors import no_such
from paywindow.sandbox.jsontypes import JsonObject


@dataclass(slots=True)
class CheckoutPrivate:
    """What a Checkout Session carries out of sight."""

    line_items: list[JsonObject]
    payment_intent_data: JsonObject
    authenticating: TestCard | None = None
    """The card whose 3-D Secure step is open."""
    save: bool = False
    """Whether the buyer ticked the box: the payment method is kept for next time."""
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class RefundPrivate:
    """What a refund carries out of sight."""

    idempotency_key: str | None
    course: RefundCourse
    """What time will do to it."""


@dataclass(slots=True)
class EndpointPrivate:
    """A webhook endpoint's signing secrets, newest first; two while one is being rolled."""

    secrets: list[str]


@dataclass(frozen=True, slots=True)
class Posting:
    """Money that came to (or, if negative, left) a connected account; ``source``: the object that says why."""

    account: str
    currency: str
    amount: int
    kind: str
    source: str


@dataclass(slots=True)
class Store:
    """Objects by ``object`` and id. Not locked: the sandbox changes state without awaiting."""

    _objects: dict[str, dict[str, JsonObject]] = field(default_factory=dict)
    checkouts: dict[str, CheckoutPrivate] = field(default_factory=dict)
    cards: dict[str, TestCard] = field(default_factory=dict)
    """The test card behind each card charge."""
    method_cards: dict[str, TestCard] = field(default_factory=dict)
    """The test card behind each payment method that is a card."""
    detached: set[str] = field(default_factory=set)
    """Payment methods that were taken from their customer: they cannot be attached again."""
    refunds: dict[str, RefundPrivate] = field(default_factory=dict)
    endpoints: dict[str, EndpointPrivate] = field(default_factory=dict)
    postings: list[Posting] = field(default_factory=list)
    """What happened to the balances of connected accounts, oldest first."""

    def add(self, obj: JsonObject) -> JsonObject:
        """Keep a new object."""
        self._objects.setdefault(obj["object"], {})[obj["id"]] = obj
        return obj

    def remove(self, kind: str, object_id: str) -> None:
        """Forget an object; it must be there."""
        del self._objects[kind][object_id]

    def find(self, kind: str, object_id: str) -> JsonObject | None:
        """The object, or None."""
        return self._objects.get(kind, {}).get(object_id)

    def get(self, kind: str, object_id: str, param: str = "id", status: int = 404) -> JsonObject:
        """The object; raises Stripe's ``resource_missing``."""
        obj = self.find(kind, object_id)
        if obj is None:
            raise no_such(kind, object_id, param, status)
        return obj

    def clear(self) -> None:
        """Forget everything."""
        self._objects.clear()
        self.checkouts.clear()
        self.cards.clear()
        self.method_cards.clear()
        self.detached.clear()
        self.refunds.clear()
        self.endpoints.clear()
        self.postings.clear()

    def newest_first(self, kind: str) -> Iterator[JsonObject]:
        """All objects of a kind, in the order in which Stripe lists them."""
        return reversed(self._objects.get(kind, {}).values())

    def oldest_first(self, kind: str) -> Iterator[JsonObject]:
        """All objects of a kind in the order of their creation."""
        return iter(self._objects.get(kind, {}).values())
