"""Faults on demand: each waits in a queue for the next requests that match it."""

import asyncio
from dataclasses import asdict, dataclass, field
from enum import StrEnum

from paywindow.sandbox.control_values import read_dataclass
from paywindow.sandbox.errors import internal_error, no_such, rate_limited
from paywindow.sandbox.ids import new_id
from paywindow.sandbox.jsontypes import JsonObject


class Kind(StrEnum):
    """What goes wrong."""

    ERROR = "500"
    """A 500 before any work; the idempotency key stays free."""
    ERROR_AFTER_WORK = "500_after_work"
    """The work is done, the answer is a 500, and that is what the key replays."""
    TIMEOUT_AFTER_WORK = "timeout_after_work"
    """The work is done, then the connection breaks after ``seconds``. The key replays the real answer."""
    HOLD_REPLY = "hold_reply"
    """The work is done, the reply waits until released."""
    HOLD_REQUEST = "hold_request"
    """The request waits until released, its key in flight; then the work is done."""
    RATE_LIMIT = "429"
    """``code`` may be ``lock_timeout``."""
    SLOW = "slow"
    """The request waits ``seconds``, its key in flight; then the work is done."""
    REFUSE_CONNECTION = "refuse_connection"
    """The connection breaks before any work."""


@dataclass(slots=True)
class Fault:
    """A fault for the next ``times`` requests whose method and path match, after letting ``skip`` of them pass."""

    kind: Kind
    method: str = "*"
    path_prefix: str = "/v1/"
    path_suffix: str = ""
    times: int = 1
    skip: int = 0
    seconds: float = 0.0
    code: str = "rate_limit"
    reason: str = "global-rate"
    id: str = field(default_factory=lambda: new_id("fault"))

    def matches(self, method: str, path: str) -> bool:
        """Whether a request is one that this fault waits for."""
        return self.method in ("*", method) and path.startswith(self.path_prefix) and path.endswith(self.path_suffix)

    def to_json(self) -> JsonObject:
        """The control API's view."""
        return asdict(self)

    @classmethod
    def from_json(cls, body: JsonObject) -> "Fault":
        """Read the control API's body; raises StripeError when it makes no sense."""
        return read_dataclass(cls, body)


class Disconnect(Exception):
    """Break the connection instead of answering."""


@dataclass(slots=True)
class FaultQueue:
    """Faults in the order in which they were asked for."""

    waiting: list[Fault] = field(default_factory=list)

    def take(self, method: str, path: str) -> Fault | None:
        """The fault for this request, used up by one."""
        for fault in self.waiting:
            if not fault.matches(method, path):
                continue
            if fault.skip:
                fault.skip -= 1
                return None
            fault.times -= 1
            if fault.times <= 0:
                self.waiting.remove(fault)
            return fault
        return None


@dataclass(frozen=True, slots=True)
class HeldCall:
    """The request that a hold is about."""

    method: str
    path: str
    request_id: str


@dataclass(slots=True)
class Hold:
    """A request or reply that waits."""

    id: str
    kind: Kind
    call: HeldCall
    released: asyncio.Event = field(default_factory=asyncio.Event)

    def to_json(self) -> JsonObject:
        """The control API's view."""
        return {"id": self.id, "kind": self.kind, **asdict(self.call)}


@dataclass(slots=True)
class Holds:
    """Everything held at the moment."""

    waiting: dict[str, Hold] = field(default_factory=dict)

    async def wait(self, kind: Kind, call: HeldCall) -> None:
        """Hold the caller until it is released."""
        hold = Hold(new_id("hold"), kind, call)
        self.waiting[hold.id] = hold
        try:
            await hold.released.wait()
        finally:
            self.waiting.pop(hold.id, None)

    def release(self, hold_id: str | None = None) -> list[str]:
        """Release one, or all; the ids that were released. Raises StripeError for an unknown id."""
        if hold_id is not None and hold_id not in self.waiting:
            raise no_such("hold", hold_id)
        released = [hold_id] if hold_id is not None else list(self.waiting)
        for name in released:
            self.waiting.pop(name).released.set()
        return released


def refuse_early(fault: Fault | None) -> None:
    """The faults that keep a request from being worked on."""
    match fault.kind if fault else None:
        case Kind.REFUSE_CONNECTION:
            raise Disconnect
        case Kind.ERROR:
            raise internal_error(stored=False)
        case Kind.RATE_LIMIT if fault:
            raise rate_limited(fault.reason, fault.code)


async def delay_work(fault: Fault | None, holds: Holds, call: HeldCall) -> None:
    """The faults that keep a request waiting, its idempotency key in flight."""
    if fault and fault.kind is Kind.SLOW:
        await asyncio.sleep(fault.seconds)
    elif fault and fault.kind is Kind.HOLD_REQUEST:
        await holds.wait(fault.kind, call)


async def spoil_reply(fault: Fault | None, holds: Holds, call: HeldCall) -> None:
    """The faults that keep the reply of finished work from its caller."""
    if fault and fault.kind is Kind.HOLD_REPLY:
        await holds.wait(fault.kind, call)
    elif fault and fault.kind is Kind.TIMEOUT_AFTER_WORK:
        await asyncio.sleep(fault.seconds)
        raise Disconnect
