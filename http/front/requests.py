"""What the marketplace may send: the request models, and all broken rules of a request at once.

Unknown fields are refused (a misspelt ``latePolicy`` would otherwise be a silent default), nothing is converted, and
money is a JSON number. Fields are validated in the order in which they are declared, so a rule may look at the fields
before it.
"""

import uuid
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeVar

from multidict import MultiMapping
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic.alias_generators import to_camel

from paywindow import money
from paywindow.errors import Problem
from paywindow.front.fields import (
    UUID,
    Amount,
    Country,
    Currency,
    Description,
    Email,
    Locale,
    Moment,
    PageCursor,
    PageSize,
    Truth,
    Url,
    Uuid,
)
from paywindow.front.urls import AllowList
from paywindow.messages import CheckoutRequest
from paywindow.settings import LONGEST_WINDOW_MINUTES, Settings


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, hide_input_in_errors=True)


class CreateCheckout(_Request):
    """Open a payment window for an auction win."""

    auction_id: Uuid = Field(description="The auction that was won; at most one open payment session each.")
    buyer_id: Uuid
    currency: Currency = Field(
        description="Upper-case ISO 4217 code of a currency that Stripe charges.", examples=["USD"]
    )
    amount: Amount = Field(description="What the buyer pays, with at most the currency's decimals.")
    maker_id: Uuid | None = Field(None, description="The seller.")
    platform_fee: Amount | None = Field(
        None, description="The platform's share of the amount; by default what `PLATFORM_FEE_*` make of it."
    )
    description: Description | None = Field(None, description="What was bought, as the buyer sees it.")
    buyer_email: Email | None = Field(None, description="Pre-filled on the Checkout page.")
    locale: Locale | None = Field(None, description="`auto`, or a language tag such as `pt-BR`.")
    return_url: Url | None = Field(None, description="Where the buyer goes after paying; must match the allow-list.")
    cancel_url: Url | None = Field(
        None, description="Where the buyer goes on leaving the page; must match the allow-list."
    )
    late_policy: Literal["refund", "accept", "hold"] | None = Field(
        None, description="What happens to money charged after the deadline; configured default."
    )
    window_minutes: Annotated[StrictInt, Field(ge=1, le=LONGEST_WINDOW_MINUTES)] | None = Field(
        None, description="How long the buyer has; configured default."
    )

    @field_validator("amount")
    @classmethod
    def _chargeable(cls, value: Decimal, info: ValidationInfo) -> Decimal:
        if code := info.data.get("currency"):
            money.chargeable(value, code)
        return value

    @field_validator("platform_fee")
    @classmethod
    def _within_the_amount(cls, value: Decimal | None, info: ValidationInfo) -> Decimal | None:
        code, amount = info.data.get("currency"), info.data.get("amount")
        if value is None or code is None:
            return value
        fee = money.to_minor(value, code)
        if fee < 0:
            raise ValueError("must not be negative")
        if amount is not None and fee > money.to_minor(amount, code):
            raise ValueError("must not exceed the amount")
        return value

    def command(self, settings: Settings) -> CheckoutRequest:
        """The message's form: minor units, and the configured defaults filled in, so that a replay cannot change
        them."""
        return CheckoutRequest(
            auction_id=self.auction_id,
            buyer_id=self.buyer_id,
            amount_minor=money.to_minor(self.amount, self.currency),
            currency=self.currency,
            late_policy=self.late_policy or settings.payment_late_policy,
            window_minutes=self.window_minutes or settings.payment_window_minutes,
            maker_id=self.maker_id,
            platform_fee_minor=None if self.platform_fee is None else money.to_minor(self.platform_fee, self.currency),
            description=self.description,
            buyer_email=self.buyer_email,
            locale=self.locale,
            return_url=self.return_url,
            cancel_url=self.cancel_url,
        )


class CancelCheckout(_Request):
    """Call a sale off."""

    reason: Description | None = Field(None, description="Why, for the record.")


class Override(_Request):
    """Something that an admin does to a session; the reason is kept and announced."""

    reason: Description = Field(description="Why, for the record.")

    def command(self) -> dict[str, Any]:
        """The message's form."""
        return {"reason": self.reason}


class MoveDeadline(Override):
    """Move a deadline: by minutes, or until a moment. Exactly one of the two."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "The buyer's bank was away.", "minutes": 60}]})

    minutes: Annotated[StrictInt, Field(ge=1, le=LONGEST_WINDOW_MINUTES)] | None = Field(
        None, description="Extend: from the present deadline. Reopen: from now."
    )
    until: Moment | None = Field(None, description="RFC 3339, with a time zone.", validate_default=True)

    # A rule of the later field, not of the model: it is reported under a name, and beside all other broken rules.
    @field_validator("until")
    @classmethod
    def _one_of_two(cls, value: str | None, info: ValidationInfo) -> str | None:
        if "minutes" not in info.data:  # given, and refused already
            return value
        if value is None and info.data["minutes"] is None:
            raise ValueError("is required, unless minutes is given")
        if value is not None and info.data["minutes"] is not None:
            raise ValueError("must be left out when minutes is given: only one of the two can be the deadline")
        return value

    def command(self) -> dict[str, Any]:
        """The message's form."""
        return {"reason": self.reason, "minutes": self.minutes, "until": self.until}


class ResolveHold(Override):
    """End a hold: keep the money, or give it back."""

    decision: Literal["accept", "refund"] = Field(
        description="`accept` settles the held payment, if the auction is not taken; `refund` gives back what is held."
    )

    def command(self) -> dict[str, Any]:
        """The message's form."""
        return {"reason": self.reason, "decision": self.decision}


class RefundPayment(_Request):
    """Give a payment back, wholly or in part. It is named by its session or by its own id: exactly one of the two."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"sessionId": "cbddfacc-9485-4999-bee3-28638d37a078", "amount": 20.50, "reason": "A scratch."}]
        }
    )

    session_id: Uuid | None = Field(None, description="Refund the payment that settled this session.")
    transaction_id: Uuid | None = Field(None, description="Refund this payment.", validate_default=True)
    amount: Amount | None = Field(
        None, description="In the payment's currency, with at most its decimals; left out: all that is left."
    )
    reason: Description = Field(description="Why, for the record.")
    release_auction: StrictBool = Field(
        False, description="Set the auction free once all has gone back; only with a refund of all that is left."
    )

    @field_validator("transaction_id")
    @classmethod
    def _one_of_two(cls, value: str | None, info: ValidationInfo) -> str | None:
        if "session_id" not in info.data:  # given, and refused already
            return value
        if value is None and info.data["session_id"] is None:
            raise ValueError("is required, unless sessionId is given")
        if value is not None and info.data["session_id"] is not None:
            raise ValueError("must be left out when sessionId is given: only one payment is refunded")
        return value

    @field_validator("amount")
    @classmethod
    def _positive(cls, value: Decimal | None) -> Decimal | None:
        if value is not None and value <= 0:
            raise ValueError("must be greater than zero")
        if value is not None:
            money.plain(value)
        return value

    def command(self) -> dict[str, Any]:
        """The message's form. Only the workers know the currency: the amount stays a decimal, in its shortest form."""
        return {
            "session_id": self.session_id,
            "transaction_id": self.transaction_id,
            "amount": None if self.amount is None else money.plain(self.amount),
            "reason": self.reason,
            "release_auction": self.release_auction,
        }


class RetryPayment(_Request):
    """Try a failed payment again on a new page."""

    reason: Description | None = Field(None, description="Why, for the record.")


class LinkSeller(_Request):
    """Open a maker's account at Stripe, if there is none, and mint a link to Stripe's onboarding."""

    country: Country | None = Field(None, description="ISO 3166-1 alpha-2; Stripe's default is the platform's country.")
    email: Email | None = Field(None, description="Pre-filled in the onboarding.")
    return_url: Url | None = Field(
        None, description="Where the maker comes back to, done or not; configured default. Must match the allow-list."
    )
    refresh_url: Url | None = Field(
        None,
        description="Where the maker goes when the link is used up: a page that asks for another. Configured default.",
    )

    def command(self, settings: Settings) -> dict[str, Any]:
        """The message's form, with the configured defaults filled in.

        Raises :class:`~paywindow.errors.Problem` when there is no address to send the maker to.
        """
        urls = {
            "return_url": self.return_url or settings.seller_return_url,
            "refresh_url": self.refresh_url or settings.seller_refresh_url,
        }
        if missing := [name for name, url in urls.items() if url is None]:
            rules = [
                {"field": to_camel(name), "rule": f"is required, unless SELLER_{name.upper()} is set"}
                for name in missing
            ]
            fields = ", ".join(rule["field"] for rule in rules)
            raise Problem("invalid_request", f"These fields break a rule: {fields}.", errors=rules)
        return {"country": self.country, "email": self.email, **urls}


def link_seller(document: Any, allowed: AllowList) -> LinkSeller:
    """Validate a request for an onboarding link. Raises :class:`~paywindow.errors.Problem` with every broken rule."""
    return _validated(LinkSeller, document, allowed)


class StripeEventData(BaseModel):
    """What an event is about."""

    object: dict[str, Any] = Field(examples=[{"id": "cs_test_a1JCt6Xp", "object": "checkout.session"}])


class StripeEvent(BaseModel):
    """The outline of an event that Stripe sends (https://docs.stripe.com/api/events/object); for the document alone, since the
    signature is checked before anything is read."""

    id: str = Field(pattern="^evt_[A-Za-z0-9_]{1,251}$", examples=["evt_1QkTest"])
    object: Literal["event"]
    type: str = Field(min_length=1, max_length=255, examples=["checkout.session.completed"])
    livemode: bool = Field(examples=[False])
    data: StripeEventData


class ListSessions(_Request):
    """Which sessions are wanted, from a query: all values are texts."""

    status: (
        Annotated[
            list[Literal["pending", "processing", "failed", "completed", "expired", "canceled"]], Field(max_length=6)
        ]
        | None
    ) = Field(None, description="In any of these statuses; may be given several times.")
    auction_id: Uuid | None = Field(None, description="Of this auction.")
    buyer_id: Uuid | None = Field(None, description="Of this buyer.")
    maker_id: Uuid | None = Field(None, description="Of this seller.")
    held: Truth | None = Field(None, description="`true`: held for an operator; `false`: not held.")
    created_from: Moment | None = Field(None, description="Created at this moment or later.")
    created_before: Moment | None = Field(None, description="Created before this moment.")
    limit: PageSize = Field(20, description="How many at most.")
    cursor: PageCursor | None = Field(None, description="`nextCursor` of the page before.")

    @field_validator("*", mode="before")
    @classmethod
    def _given_once(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, list) and info.field_name != "status":
            raise ValueError("must be given once")
        return value

    def query(self) -> dict[str, Any]:
        """The message's form."""
        return self.model_dump(mode="json")


def list_sessions(query: MultiMapping[str]) -> ListSessions:
    """Validate the query of a list. Raises :class:`~paywindow.errors.Problem` with every broken rule."""
    document: dict[str, Any] = {name: values[0] if len(values := query.getall(name)) == 1 else values for name in query}
    if "status" in query:
        document["status"] = query.getall("status")
    return _validated(ListSessions, document, None)


def override(document: Any) -> Override:
    """Validate an admin's request. Raises :class:`~paywindow.errors.Problem` with every broken rule."""
    return _validated(Override, document, None)


def move_deadline(document: Any) -> MoveDeadline:
    """Validate an extension or a reopening. Raises :class:`~paywindow.errors.Problem` with every broken rule."""
    return _validated(MoveDeadline, document, None)


def resolve_hold(document: Any) -> ResolveHold:
    """Validate a resolution. Raises :class:`~paywindow.errors.Problem` with every broken rule."""
    return _validated(ResolveHold, document, None)


def refund_payment(document: Any) -> RefundPayment:
    """Validate a refund. Raises :class:`~paywindow.errors.Problem` with every broken rule."""
    return _validated(RefundPayment, document, None)


def retry_payment(document: Any) -> RetryPayment:
    """Validate a retry. Raises :class:`~paywindow.errors.Problem` with every broken rule."""
    return _validated(RetryPayment, document, None)


def create_checkout(document: Any, allowed: AllowList) -> CreateCheckout:
    """Validate a create request. Raises :class:`~paywindow.errors.Problem` with every broken rule."""
    return _validated(CreateCheckout, document, allowed)


def cancel_checkout(document: Any) -> CancelCheckout:
    """Validate a cancel request. Raises :class:`~paywindow.errors.Problem` with every broken rule."""
    return _validated(CancelCheckout, document, None)


def path_id(text: str) -> uuid.UUID:
    """The id in a path. Raises ``not_found``: nothing can have an id that is not a canonical UUID."""
    if not UUID.fullmatch(text):
        raise Problem("not_found", "Ids are UUIDs in canonical form (lower case, 8-4-4-4-12).")
    return uuid.UUID(text)


_Model = TypeVar("_Model", bound=BaseModel)


def _validated(model: type[_Model], document: Any, allowed: AllowList | None) -> _Model:
    try:
        return model.model_validate(document, context=allowed)
    except ValidationError as error:
        rules = [
            {"field": ".".join(_sent_as(model, part, each["type"]) for part in each["loc"]), "rule": _rule(each)}
            for each in error.errors(include_url=False, include_input=False)
        ]
    names = ", ".join(rule["field"] for rule in rules if rule["field"])
    detail = f"These fields break a rule: {names}." if names else "The body must be a JSON object."
    raise Problem("invalid_request", detail, errors=rules)


def _sent_as(model: type[BaseModel], part: int | str, broken: str) -> str:
    """A field's name in the body: where a default broke the rule, pydantic gives the attribute's. Unknown ones stay as sent."""
    renamed = isinstance(part, str) and part in model.model_fields and broken != "extra_forbidden"
    return to_camel(str(part)) if renamed else str(part)


def _rule(error: Any) -> str:
    """The rule in one sentence, never with the value that broke it."""
    context = error.get("ctx", {})
    sentences = {
        "missing": "is required",
        "extra_forbidden": "is not a known field",
        "string_type": "must be a string",
        "int_type": "must be an integer",
        "bool_type": "must be true or false",
        "literal_error": f"must be one of {context.get('expected')}",
        "greater_than_equal": f"must be at least {context.get('ge')}",
        "less_than_equal": f"must be at most {context.get('le')}",
        "string_too_long": f"must not exceed {context.get('max_length')} characters",
        "model_type": "must be a JSON object",
        "value_error": str(context.get("error")),
    }
    return sentences.get(error["type"]) or str(error["msg"])
