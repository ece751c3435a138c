"""What the API answers, as models: the source of the response schemas in the OpenAPI document.

The workers write these documents; the front end passes them on as they are.
"""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel

from paywindow.states import Status

Amount = Annotated[Decimal, WithJsonSchema({"type": "number", "examples": [275.50]})]


class _Response(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)


class Failure(_Response):
    """Why the last try failed."""

    code: str
    message: str


class Hold(_Response):
    """An operator is looking at the session; its timers and its settlement stand still."""

    reason: str
    since: datetime


class PaymentSession(_Response):
    """A payment window for an auction win."""

    id: UUID
    auction_id: UUID
    buyer_id: UUID
    maker_id: UUID | None
    status: Status
    amount: Amount
    currency: str
    description: str | None
    locale: str | None
    created_at: datetime
    expires_at: datetime
    completed_at: datetime | None
    canceled_at: datetime | None
    stripe_payment_intent_id: str | None
    stripe_checkout_url: str | None = Field(description="Stripe's page, while it can be paid.")
    closing: bool = Field(description="The deadline has passed, and Stripe is being asked whether money came in time.")
    failure: Failure | None
    hold: Hold | None
    released: bool = Field(description="The auction is free for another payment session.")
    version: int = Field(description="Grows with every visible change.")


class Fees(_Response):
    """Who has what of the payment: amount = refunded + disputed + platformFee + sellerPayout. For the marketplace only."""

    stripe_fee: Amount | None = Field(
        description="Stripe's own, borne by the platform; known a while after the payment."
    )
    stripe_fee_currency: str | None = Field(description="Where it differs, Stripe converted the payment.")
    exchange_rate: str | None = Field(
        examples=["0.9213"], description="Stripe's, from the payment's currency to the fee's."
    )
    platform_fee: Amount | None = Field(description="What the platform keeps, before Stripe's fee.")
    platform_net: Amount | None = Field(
        examples=[19.26], description="After Stripe's fee, where that is in the payment's currency."
    )
    seller_payout: Amount | None = Field(
        examples=[247.95], description="What the maker is due, or has of a split payment."
    )
    seller_received: Amount | None = Field(
        examples=[247.95], description="What has reached the maker's account, of a split payment."
    )
    payout_refused: str | None = Field(
        default=None,
        examples=[None],
        description="Why the difference between the two is not moved, where Stripe refused to. Operators see it in the backlog.",
    )
    refunded: Amount = Field(examples=[0], description="What went back to the buyer.")
    disputed: Amount = Field(examples=[0], description="What banks took back, and have not returned.")


class Card(_Response):
    """What may be shown of the card."""

    brand: str | None
    last4: str


class Dispute(_Response):
    """What the buyer disputes at the bank. For the marketplace only."""

    id: UUID
    stripe_dispute_id: str
    status: str = Field(description="Stripe's own: `needs_response`, `under_review`, `won`, `lost`, `warning_*`...")
    inquiry: bool = Field(description="The bank only asks: nothing was taken.")
    reason: str
    amount: Amount
    currency: str
    funds_withdrawn: bool
    funds_reinstated: bool
    fee: Amount | None = Field(description="What it cost beside the amount; never returned.")
    fee_currency: str | None
    evidence_due_by: datetime | None
    opened_at: datetime
    closed_at: datetime | None


class Transaction(_Response):
    """The payment that settled the session, or the held one that waits for an operator."""

    id: UUID
    status: str
    amount: Amount
    currency: str
    settled: bool
    card: Card | None
    fees: Fees | None = None
    dispute: Dispute | None = Field(default=None, description="The newest dispute; for service keys alone.")


class Refund(_Response):
    """Money given back."""

    id: UUID
    transaction_id: UUID
    amount: Amount
    currency: str
    status: Literal["pending", "requires_action", "succeeded", "failed", "canceled", "held"] = Field(
        description="`held`: Stripe refuses for now, and an operator decides. A refund that succeeded may fail later."
    )
    reason: str | None = Field(description="Stripe's.")
    failure_reason: str | None
    created_at: datetime


class ReceiptLink(_Response):
    """The session's receipt."""

    id: UUID
    number: str | None
    ready: bool = Field(description="The file is stored.")
    download_url: str | None


class Retry(_Response):
    """What is left after a failed payment."""

    count: int = Field(description="Retries made.")
    left: int
    can_retry: bool
    retry_at: datetime | None = Field(description="When the next retry is made by itself.")


class Decline(_Response):
    """A card that was declined."""

    at: datetime
    code: str | None
    message: str | None


class Attempt(_Response):
    """One Checkout page, and what was tried on it."""

    number: int
    kind: Literal["first", "retry", "roll"]
    status: Literal["claimed", "open", "complete", "closed", "refused"]
    created_at: datetime
    closed_at: datetime | None
    declines: list[Decline]


class WindowState(_Response):
    """How much time is left, by the server's clock."""

    expires_at: datetime
    remaining_ms: int = Field(description="0 when there is nothing to wait for.")
    server_now: datetime
    closing: bool


class SessionStatus(_Response):
    """How a session stands."""

    payment_session: PaymentSession
    retry: Retry
    attempts: list[Attempt]
    transaction: Transaction | None
    refunds: list[Refund] = Field(description="Of all payments of the session, oldest first.")
    receipt: ReceiptLink | None
    credit_notes: list[ReceiptLink] = Field(description="What was given back, oldest first.")
    statement: ReceiptLink | None = Field(default=None, description="The seller's statement; for service keys alone.")


class PaymentWindow(_Response):
    """How long the buyer has."""

    duration: str = Field(examples=["24:00:00"])
    expires_at: datetime


class CheckoutCreated(_Response):
    """The session, and the links for the buyer. ``payUrl`` stays valid while Checkout pages come and go."""

    payment_session: PaymentSession
    payment_window: PaymentWindow
    pay_url: str


class CheckoutCanceled(_Response):
    """The session after it was called off."""

    payment_session: PaymentSession


class RefundMade(_Response):
    """The refund as Stripe took it, and its session."""

    refund: Refund
    payment_session: PaymentSession


class BuyerToken(_Response):
    """What opens the session for its buyer."""

    token: str
    pay_url: str
    expires_at: datetime = Field(description="When the token is over, as the window now stands.")


class SessionPage(_Response):
    """Sessions, newest first."""

    payment_sessions: list[PaymentSession]
    next_cursor: str | None = Field(description="Passed back as `cursor`: the next page. Null on the last one.")


class Health(_Response):
    """The process is up."""

    status: Literal["ok"]


class ReadinessChecks(_Response):
    """What the process needs, and whether it is there."""

    broker: bool = Field(description="The queue's Redis answers, and takes what is written.")
    state: bool = Field(description="The Redis of published state answers.")
    feed: bool = Field(description="What workers publish is heard.")
    enqueue: bool = Field(description="Messages are taken.")
    staying: bool = Field(description="The process was not told to end.")


class Readiness(_Response):
    """Whether the process can work."""

    status: Literal["ready", "unavailable"]
    checks: ReadinessChecks


class OperationState(_Response):
    """A command that is on its way."""

    id: UUID
    status: Literal["pending"]
    code: Literal["stripe_unavailable"] | None = Field(
        None,
        description="Only there when it will take long, and says why. Nothing is lost, and nothing to be repeated.",
    )
    detail: str | None = Field(None, description="The same for people.", examples=["Stripe does not answer right now."])


class OperationPending(_Response):
    """The command was accepted; its outcome will be at ``Location``."""

    operation: OperationState


class Receipt(_Response):
    """What a receipt says about itself."""

    id: UUID
    kind: Literal["receipt", "credit_note", "statement"]
    payment_session_id: UUID
    number: str | None
    issued_at: datetime
    total: Amount
    currency: str
    ready: bool
    sha256: str | None
    size: int | None = Field(description="Bytes.")
    download_url: str | None


class ReceiptFound(_Response):
    """A receipt."""

    receipt: Receipt


class PaymentMethodDetails(_Response):
    """What may be shown of a payment method: never a number."""

    brand: str | None = Field(description="A card's scheme, or a bank's name.")
    last4: str | None
    exp_month: int | None
    exp_year: int | None
    stripe_type: str = Field(description="Stripe's own name of the type.")


class PaymentMethod(_Response):
    """A payment method that a buyer keeps at Stripe."""

    id: UUID
    buyer_id: UUID
    type: Literal["card", "applePay", "googlePay", "bankTransfer", "other"]
    stripe_payment_method_id: str
    is_default: bool = Field(description="What Checkout fills in.")
    metadata: PaymentMethodDetails
    created_at: datetime


class PaymentMethodList(_Response):
    """A buyer's payment methods."""

    payment_methods: list[PaymentMethod]


class PaymentMethodDetached(_Response):
    """The payment method that its buyer no longer has."""

    payment_method: PaymentMethod


class SellerCapabilities(_Response):
    """What Stripe lets the account do: `active`, `inactive` or `pending`."""

    transfers: str | None = Field(examples=["active"])
    card_payments: str | None = Field(examples=["active"])


class SellerRequirements(_Response):
    """What Stripe wants to know, in its own names."""

    currently_due: list[str] = Field(examples=[["individual.verification.document"]])
    past_due: list[str] = Field(examples=[[]])
    disabled_reason: str | None = Field(examples=["requirements.past_due"])
    current_deadline: datetime | None


class SellerAccount(_Response):
    """A maker's account at Stripe, as it was last read from there."""

    maker_id: UUID
    stripe_account_id: str | None = Field(examples=["acct_1QkTest"])
    connected: bool
    ready: bool = Field(description="Payments can be split with it.")
    missing: list[str] = Field(examples=[[]], description="What keeps it from being ready.")
    charges_enabled: bool
    payouts_enabled: bool
    details_submitted: bool
    capabilities: SellerCapabilities
    requirements: SellerRequirements
    default_currency: str | None = Field(examples=["USD"])
    country: str | None = Field(examples=["US"])
    read_at: datetime | None


class SellerFound(_Response):
    """A maker's account."""

    account: SellerAccount


class OnboardingLink(_Response):
    """Good once, for a few minutes."""

    url: str = Field(examples=["https://connect.stripe.com/setup/e/acct_1QkTest/abc"])
    expires_at: datetime


class SellerLinked(_Response):
    """The account, and a link to Stripe's onboarding."""

    account: SellerAccount
    onboarding: OnboardingLink


class WebhookReceived(_Response):
    """The event is queued."""

    received: Literal[True]


class BrokenRule(_Response):
    """One field of the request, and the rule that it breaks."""

    field: str
    rule: str


class ProblemDetails(_Response):
    """RFC 9457 problem details. ``code`` is stable; everything else may be reworded."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    errors: list[BrokenRule] | None = None
    session_id: UUID | None = None
    maker_id: UUID | None = None
    missing: list[str] | None = None
    request_id: str | None = None


MODELS: tuple[type[BaseModel], ...] = (
    CheckoutCreated,
    CheckoutCanceled,
    RefundMade,
    SessionStatus,
    WindowState,
    OperationPending,
    ReceiptFound,
    PaymentMethodList,
    PaymentMethodDetached,
    SellerFound,
    SellerLinked,
    BuyerToken,
    SessionPage,
    Health,
    Readiness,
    WebhookReceived,
    ProblemDetails,
)
