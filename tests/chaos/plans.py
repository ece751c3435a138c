"""What a seed stands for: the purchases of a run, and the blows that fall meanwhile. The same seed draws the same."""

import random
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from chaos.faults.registry import Fault, faults

#: Currency and amount in minor units: something to round in every kind of currency.
PRICES = (("USD", 27550), ("EUR", 9999), ("GBP", 120_000), ("JPY", 5001), ("KWD", 12_340), ("USD", 1_000_003))
EXPONENTS = {"JPY": 0, "KWD": 3}
#: How often each course of a purchase is drawn; the names are those of the functions in ``stories``.
COURSES = {
    "paid": 34,
    "declined_then_paid": 9,
    "retried": 8,
    "abandoned": 9,
    "canceled": 5,
    "canceled_while_paying": 4,
    "refunded": 9,
    "disputed": 5,
    "paid_late": 4,
    "asked_twice": 6,
    "asked_under_two_keys": 4,
    "next_bidder": 4,
    "by_bank": 3,
    "reopened": 2,
}
#: Every so many seeds one keeps its receipts in S3.
S3_EVERY = 4
#: Blows in a run of this many purchases; a smaller run has fewer, but never less than the smallest number.
PURCHASES_A_BLOW, FEWEST_BLOWS = 15, 12


@dataclass(frozen=True, slots=True)
class Plan:
    """One purchase: who wants what, and how it will go."""

    number: int
    course: str
    auction_id: str
    buyer_id: str
    currency: str
    amount_minor: int
    window_minutes: int
    late_policy: str
    seller: int | None
    turns: tuple[float, ...]
    """Numbers in [0, 1) for whatever the course has to decide."""

    @property
    def name(self) -> str:
        """How reports call it."""
        return f"purchase {self.number} ({self.course})"


@dataclass(frozen=True, slots=True)
class Blow:
    """A fault that is to strike once ``after`` purchases have begun, and to be lifted ``seconds`` later."""

    fault: str
    after: int
    seconds: float
    details: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        details = "".join(f" {name}={value}" for name, value in self.details.items())
        return f"{self.fault}{details} for {self.seconds} s"


@dataclass(frozen=True, slots=True)
class Run:
    """All that a seed says."""

    seed: int
    storage: str
    sellers: tuple[str, ...]
    plans: tuple[Plan, ...]
    blows: tuple[Blow, ...]


def draw(seed: int, purchases: int) -> Run:
    """The run of a seed. It depends on the number of purchases, too."""
    chance = random.Random(f"{seed}/{purchases}")
    storage = storage_of(seed)
    sellers = tuple(_uuid(chance) for _ in range(3))
    plans = tuple(_plan(chance, number) for number in range(purchases))
    return Run(seed, storage, sellers, plans, tuple(_blows(chance, seed, purchases, storage)))


def storage_of(seed: int) -> str:
    """Where the run keeps its receipts."""
    return "s3" if seed % S3_EVERY == 0 else "folder"


def _plan(chance: random.Random, number: int) -> Plan:
    course = chance.choices(list(COURSES), list(COURSES.values()))[0]
    currency, amount = PRICES[0] if course == "by_bank" else chance.choice(PRICES)
    short = course in ("paid_late", "next_bidder", "reopened") or (course == "abandoned" and chance.random() < 0.5)
    return Plan(
        number=number,
        course=course,
        auction_id=_uuid(chance),
        buyer_id=_uuid(chance),
        currency=currency,
        amount_minor=amount,
        window_minutes=chance.choice((5, 20)) if short else chance.choice((1440, 1440, 2880)),
        late_policy=chance.choice(("refund", "refund", "accept", "hold")),
        seller=chance.randrange(3) if chance.random() < 0.25 else None,
        turns=tuple(round(chance.random(), 6) for _ in range(6)),
    )


def _blows(chance: random.Random, seed: int, purchases: int, storage: str) -> Sequence[Blow]:
    """As many as the run's size asks for; seeds that follow one another go through all kinds in turn.

    What can happen to the receipts of this run happens in each.
    """
    deck = [fault for fault in faults().values() if fault.storage is None]
    count = max(purchases // PURCHASES_A_BLOW, FEWEST_BLOWS)
    kinds = [deck[(seed * count + place) % len(deck)] for place in range(count)]
    kinds += [fault for fault in faults().values() if fault.storage == storage]
    chance.shuffle(kinds)
    # None before there is anything to strike, none so late that nothing is left to go wrong.
    moments = sorted(chance.randint(2, max(3, purchases - 3)) for _ in kinds)
    return [_blow(chance, kind, after) for kind, after in zip(kinds, moments, strict=True)]


def _blow(chance: random.Random, kind: Fault, after: int) -> Blow:
    shortest, longest = kind.seconds
    return Blow(kind.name, after, round(chance.uniform(shortest, longest), 2), kind.draw(chance))


def _uuid(chance: random.Random) -> str:
    return str(uuid.UUID(int=chance.getrandbits(128), version=4))
