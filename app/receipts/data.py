"""What a receipt says, frozen at the moment its number is given.

The JSON text of :meth:`ReceiptData.to_json` is kept with the receipt, so that rendering again, years later and after
every setting has changed, prints the same words. The buyer's documents know no fee and no payout: those are on the seller's
statement, a document of its own, which in turn does not name the buyer.
"""

import re
from datetime import UTC, datetime
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StrictInt, model_validator

from paywindow import jsons
from paywindow.money import currency

Kind = Literal["receipt", "credit_note", "statement"]


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError(f"{name!r} is not a time zone of the IANA database") from error
    return name


def _known_currency(code: str) -> str:
    return currency(code).code


def _version(name: str) -> str:
    # The name becomes a folder's: nothing but a date may pass.
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", name, re.ASCII):
        raise ValueError(f"{name!r} is not a template version (a date such as 2026-11-01 expected)")
    return name


UtcDatetime = Annotated[AwareDatetime, AfterValidator(_utc)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Issuer(_Frozen):
    """The company that issues the document, from the ``RECEIPT_ISSUER_*`` settings. Empty texts are not printed."""

    name: str = Field(min_length=1)
    address: tuple[str, ...] = ()
    tax_id: str = ""
    email: str = ""
    website: str = ""


class Buyer(_Frozen):
    """Who paid, from Stripe's ``customer_details``. Empty texts are not printed."""

    name: str = ""
    email: str = ""
    address: tuple[str, ...] = ()


class Line(_Frozen):
    """One item. ``unit_amount`` and ``amount`` are minor units of the document's currency."""

    description: str = Field(min_length=1)
    quantity: StrictInt = Field(default=1, gt=0)
    unit_amount: StrictInt
    amount: StrictInt

    @model_validator(mode="after")
    def _amount_is_quantity_times_unit(self) -> Self:
        if self.amount != self.quantity * self.unit_amount:
            raise ValueError(f"amount {self.amount} is not {self.quantity} x {self.unit_amount}")
        return self


class Method(_Frozen):
    """How it was paid: ``Method(brand="visa", last4="4242")``, or a brand alone (``"link"``)."""

    brand: str = ""
    last4: str = ""


class Statement(_Frozen):
    """What the seller (the API's *maker*) gets of a sale. Amounts in minor units of the document's currency.

    ``stripe_fee`` is in ``stripe_fee_currency`` and printed for information, if it was known at issue: Stripe takes it from the
    platform's share, so that the payout is the total less the platform's fee, whenever Stripe's fee becomes known.
    """

    maker_id: str = Field(min_length=1)
    platform_fee: StrictInt = Field(ge=0)
    payout: StrictInt = Field(ge=0)
    stripe_fee: StrictInt | None = Field(default=None, ge=0)
    stripe_fee_currency: Annotated[str, AfterValidator(_known_currency)] | None = None

    @model_validator(mode="after")
    def _a_fee_has_a_currency(self) -> Self:
        if (self.stripe_fee is None) != (self.stripe_fee_currency is None):
            raise ValueError("Stripe's fee and its currency go together")
        return self


class References(_Frozen):
    """The ids by which support finds the payment; printed small."""

    auction_id: str = ""
    payment_session_id: str = ""
    payment_intent_id: str = ""


class ReceiptData(_Frozen):
    """Everything that a receipt, a credit note or a seller's statement prints.

    ``total`` and the lines' amounts are minor units of ``currency`` and must add up. ``paid_at`` is when the money
    moved: towards us on a receipt, back to the buyer on a credit note. Credit notes and statements name their receipt in
    ``refers_to``; a statement has its ``total`` from the buyer and says in ``statement`` what is paid out of it.
    Moments are UTC; ``timezone`` is the zone they are shown in. A ``locale`` without texts is printed in English.

    Raises :class:`pydantic.ValidationError` when a rule is broken.
    """

    kind: Kind = "receipt"
    number: str = Field(min_length=1)
    refers_to: str = ""
    issued_at: UtcDatetime
    paid_at: UtcDatetime
    timezone: Annotated[str, AfterValidator(_known_zone)] = "UTC"
    locale: str = "en"
    template_version: Annotated[str, AfterValidator(_version)] = "2026-11-01"
    issuer: Issuer
    buyer: Buyer = Buyer()
    lines: tuple[Line, ...] = Field(min_length=1)
    total: StrictInt
    currency: Annotated[str, AfterValidator(_known_currency)]
    method: Method = Method()
    references: References = References()
    statement: Statement | None = None

    @model_validator(mode="after")
    def _lines_add_up(self) -> Self:
        added = sum(line.amount for line in self.lines)
        if added != self.total:
            raise ValueError(f"the lines add up to {added}, not to the total of {self.total}")
        if self.kind != "receipt" and not self.refers_to:
            raise ValueError(f"a {self.kind.replace('_', ' ')} names the receipt it refers to")
        return self

    @model_validator(mode="after")
    def _statements_add_up_and_keep_to_themselves(self) -> Self:
        if (self.kind == "statement") != (self.statement is not None):
            raise ValueError("fees and payout are on statements, and on nothing else")
        if self.statement is None:
            return self
        if self.statement.payout != self.total - self.statement.platform_fee:
            raise ValueError("the payout is not the total less the platform's fee")
        if self.buyer != Buyer() or self.method != Method():
            raise ValueError("a statement does not tell the seller who the buyer is")
        return self

    def to_json(self) -> str:
        """The text to keep with the receipt: equal data always give the same characters."""
        return jsons.canonical(self.model_dump(mode="json"))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what :meth:`to_json` wrote. Raises :class:`pydantic.ValidationError`."""
        return cls.model_validate_json(text)
