"""All settings, typed, in one place, read from the environment.

Any name may be given as ``NAME_FILE`` with the path of a file that holds the value (Docker and Kubernetes secrets).
References to secret managers (``op://``, ``vault://``) are refused rather than used literally. All problems are reported
together, by name, and never with a value.
"""

import os
from collections.abc import Mapping
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit, urlunsplit
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BeforeValidator, Field, PositiveInt, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from paywindow.clock import CLOCK_FILE_VARIABLE
from paywindow.keys import ServiceKey
from paywindow.notify import addresses, signatures
from paywindow.split import FeeRule

STRIPE_API = "https://api.stripe.com"
#: Thirty days: a payment window is not a subscription.
LONGEST_WINDOW_MINUTES = 43_200


class Role(StrEnum):
    """Which process reads the settings: each needs its own part, and only that part is demanded.

    ``operator``: commands that look at Postgres and Redis.
    """

    FRONT = "front"
    WORKER = "worker"
    SCHEDULER = "scheduler"
    MIGRATE = "migrate"
    OPERATOR = "operator"


REQUIRED: dict[Role, tuple[str, ...]] = {
    Role.FRONT: ("redis_url", "stripe_webhook_secret", "service_keys", "buyer_token_secrets", "public_url"),
    Role.WORKER: ("redis_url", "database_url", "stripe_secret_key", "buyer_token_secrets", "public_url"),
    Role.SCHEDULER: ("redis_url",),
    Role.MIGRATE: ("database_url",),
    Role.OPERATOR: ("redis_url", "database_url"),
}


class SettingsError(Exception):
    """The environment is not usable; ``problems`` has one sentence per variable, without values."""

    def __init__(self, problems: list[str]):
        super().__init__("The settings cannot be used:\n" + "\n".join(f"  {problem}" for problem in problems))
        self.problems = problems


def _split(value: Any) -> Any:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _http_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise ValueError("must be an http(s) URL without user, query or fragment")
    return value.rstrip("/")


def _exact_url(value: str) -> str:
    """Like :func:`_http_url`, but the text stays: to a receiver, a slash at the end makes another address."""
    _http_url(value)
    return value


def _timezone(value: str) -> str:
    if value not in available_timezones():
        raise ValueError("must be an IANA time zone such as Europe/Berlin")
    return value


Texts = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
Secrets = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_split)]
Keys = Annotated[
    tuple[ServiceKey, ...],
    NoDecode,
    BeforeValidator(lambda value: tuple(ServiceKey.parse(part) for part in _split(value))),
]
Minutes = Annotated[tuple[PositiveInt, ...], NoDecode, BeforeValidator(_split), Field(min_length=1, max_length=20)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
Urls = Annotated[tuple[HttpUrl, ...], NoDecode, BeforeValidator(_split)]
ExactUrl = Annotated[str, AfterValidator(_exact_url)]
ExactUrls = Annotated[tuple[ExactUrl, ...], NoDecode, BeforeValidator(_split)]
Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode, BeforeValidator(_split)]


class Settings(BaseSettings):
    """Everything that can be configured. Field names in upper case are the environment's names."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True, env_ignore_empty=True)

    # Postgres and Redis
    database_url: SecretStr | None = None
    database_pool_size: int = Field(default=10, ge=1, le=200)
    redis_url: SecretStr | None = None
    redis_state_url: SecretStr | None = None

    # Stripe
    stripe_secret_key: SecretStr | None = None
    stripe_webhook_secret: Secrets = ()
    stripe_api_base: HttpUrl = STRIPE_API
    stripe_timeout_seconds: int = Field(default=10, ge=1, le=60)
    stripe_rate_limit: int | None = Field(default=None, ge=1, le=10_000)

    # The payment window
    payment_window_minutes: int = Field(default=1440, ge=1, le=LONGEST_WINDOW_MINUTES)
    payment_late_grace_seconds: int = Field(default=0, ge=0, le=3600)
    payment_late_policy: Literal["refund", "accept", "hold"] = "refund"
    payment_method_types: Texts = ("card",)
    payment_save_methods: bool = False

    # Sellers
    seller_payouts: Literal["off", "refuse", "collect"] = "off"
    seller_on_behalf_of: bool = False
    seller_return_url: HttpUrl | None = None
    seller_refresh_url: HttpUrl | None = None
    platform_fee_percent: str | None = None
    platform_fee_fixed: Texts = ()

    # Disputes
    dispute_seller_policy: Literal["reverse", "platform"] = "reverse"

    # Retries
    payment_retry_limit: int = Field(default=3, ge=0, le=20)
    payment_retry_backoff_minutes: Minutes = (1, 5, 15)

    # The front end
    public_url: HttpUrl | None = None
    front_host: str = "127.0.0.1"
    front_port: int = Field(default=8080, ge=0, le=65535)
    front_wait_seconds: int = Field(default=10, ge=0, le=60)
    front_drain_seconds: int = Field(default=0, ge=0, le=300)
    front_max_body_bytes: int = Field(default=65_536, ge=1024)
    front_max_streams: int = Field(default=5_000, ge=0, le=100_000)
    webhook_max_body_bytes: int = Field(default=1_048_576, ge=65_536)
    webhook_tolerance_seconds: int = Field(default=300, ge=1, le=3600)
    service_keys: Keys = ()
    buyer_token_secrets: Secrets = ()
    buyer_token_days: int = Field(default=14, ge=0, le=365)
    checkout_return_url: HttpUrl | None = None
    checkout_cancel_url: HttpUrl | None = None
    checkout_url_allow_list: Urls = ()

    # The buyer's page
    payment_status_poll_seconds: int = Field(default=20, ge=1, le=300)
    payment_timer_skew_threshold_ms: int = Field(default=400, ge=50, le=10_000)

    # Receipts
    receipt_prefix: str = Field(default="R", pattern=r"^[A-Z0-9]{1,8}$")
    receipt_credit_note_prefix: str = Field(default="C", pattern=r"^[A-Z0-9]{1,8}$")
    receipt_statement_prefix: str = Field(default="S", pattern=r"^[A-Z0-9]{1,8}$")
    receipt_series: str | None = Field(default=None, pattern=r"^[A-Z0-9]{1,12}$")
    receipt_series_per_maker: bool = False
    receipt_timezone: Annotated[str, AfterValidator(_timezone)] = "UTC"
    receipt_template_version: str = Field(default="2026-11-01", pattern=r"^\d{4}-\d{2}-\d{2}$")
    receipt_statement_locale: str = "en"
    receipt_documents_per_renderer: int = Field(default=200, ge=1, le=10_000)
    receipt_issuer_name: str = "Unnamed marketplace"
    receipt_issuer_address: Texts = ()
    receipt_issuer_tax_id: str | None = None
    receipt_issuer_email: str | None = None
    receipt_folder: Path = Path("receipts")
    receipt_url_secret: SecretStr | None = None
    payment_receipt_bucket: str | None = None
    receipt_kms_key_arn: str | None = None
    receipt_lock_mode: Literal["GOVERNANCE", "COMPLIANCE"] | None = None
    receipt_lock_days: int | None = Field(default=None, ge=1, le=36_500)
    payment_receipt_cloudfront_distribution: str | None = Field(default=None, pattern=r"^[A-Za-z0-9.-]+$")
    receipt_cloudfront_key_pair_id: str | None = Field(default=None, pattern=r"^[A-Za-z0-9]+$")
    receipt_cloudfront_private_key: SecretStr | None = None
    aws_endpoint_url: HttpUrl | None = None
    aws_region: str | None = None
    receipt_url_seconds: int = Field(default=300, ge=10, le=86_400)

    # Notifications and analytics
    notify_urls: ExactUrls = ()
    notify_webhook_secrets: Secrets = ()
    notify_allowed_networks: Networks = ()
    notify_sns_topic_arn: str | None = Field(
        default=None, pattern=r"^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}(\.fifo)?$"
    )
    notify_timeout_seconds: int = Field(default=10, ge=1, le=30)
    segment_write_key: SecretStr | None = None
    segment_host: HttpUrl = "https://api.segment.io"

    # Metrics: a loopback port of their own for each process role
    metrics_host: str = "127.0.0.1"
    metrics_port: int | None = Field(default=None, ge=1, le=65535)

    # Logs
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    # Error reports
    sentry_dsn: SecretStr | None = None
    sentry_environment: str = Field(default="production", pattern=r"^[A-Za-z0-9_.-]{1,64}$")
    sentry_release: str | None = Field(default=None, pattern=r"^[^\s/]{1,200}$")

    # The purchase that watches
    synthetic_purchase_seconds: int = Field(default=0, ge=0, le=86_400)

    # Tests and rehearsals only
    paywindow_clock_file: Path | None = None

    @classmethod
    def load(cls, role: Role | None, environment: Mapping[str, str] | None = None) -> Self:
        """Read and check the settings that a role needs; without a role, those that are given, whatever is missing.

        Raises :class:`SettingsError` with every problem at once.
        """
        values, problems = _read(cls, os.environ if environment is None else environment)
        refused = {problem.split(":")[0] for problem in problems}
        problems += [
            f"{name.upper()}: is required by the {role}"
            for name in (REQUIRED[role] if role else ())
            if name not in values and name.upper() not in refused
        ]
        if role is Role.WORKER and not {"payment_receipt_bucket", "receipt_url_secret"} & values.keys():
            problems.append("RECEIPT_URL_SECRET: is required by the worker unless PAYMENT_RECEIPT_BUCKET is set")
        try:
            settings = cls(**values)  # type: ignore[arg-type] # texts; pydantic turns them into the fields' types
        except ValidationError as error:
            problems += map(_sentence, error.errors())
        if problems:
            raise SettingsError(sorted(problems))
        return settings

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what :meth:`load` read: the environment is looked at in one place."""
        return (init_settings,)

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Self:
        problems = []
        if self.live and self.stripe_api_base != STRIPE_API:
            problems.append("STRIPE_API_BASE: a live key may only be used with Stripe itself")
        if self.live and self.paywindow_clock_file:
            problems.append(f"{CLOCK_FILE_VARIABLE}: refused with a live key")
        if self.live and self.synthetic_purchase_seconds:
            problems.append("SYNTHETIC_PURCHASE_SECONDS: refused with a live key, which would take real money")
        if (self.receipt_lock_mode is None) != (self.receipt_lock_days is None):
            problems.append("RECEIPT_LOCK_MODE: goes together with RECEIPT_LOCK_DAYS")
        problems += self._receipt_problems() + self._seller_problems() + self._notify_problems()
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _seller_problems(self) -> list[str]:
        problems = []
        for name, percent, fixed in (
            ("PLATFORM_FEE_PERCENT", self.platform_fee_percent, ()),
            ("PLATFORM_FEE_FIXED", None, self.platform_fee_fixed),
        ):
            try:
                FeeRule.of(percent, fixed)
            except ValueError as error:
                problems.append(f"{name}: {error}")
        codes = [entry.partition(":")[0] for entry in self.platform_fee_fixed]
        if len(codes) != len(set(codes)):
            problems.append("PLATFORM_FEE_FIXED: names a currency twice")
        return problems

    def _notify_problems(self) -> list[str]:
        problems = [
            f"NOTIFY_URLS: {problem}" for problem in addresses.problems(self.notify_urls, development=not self.live)
        ]
        if self.notify_urls and not self.notify_webhook_secrets:
            problems.append("NOTIFY_WEBHOOK_SECRETS: is required by NOTIFY_URLS")
        for entry in self.notify_webhook_secrets:
            try:
                signatures.secret_bytes(entry.get_secret_value())
            except ValueError as error:
                problems.append(f"NOTIFY_WEBHOOK_SECRETS: each {error}")
        return problems

    def _receipt_problems(self) -> list[str]:
        problems = []
        prefixes = {self.receipt_prefix, self.receipt_credit_note_prefix, self.receipt_statement_prefix}
        if len(prefixes) < 3:
            problems.append("RECEIPT_PREFIX: receipts, credit notes and statements need prefixes of their own")
        signing = (self.receipt_cloudfront_key_pair_id, self.receipt_cloudfront_private_key)
        if self.payment_receipt_cloudfront_distribution is None:
            return problems + ["RECEIPT_CLOUDFRONT_KEY_PAIR_ID: needs a distribution"] * any(signing)
        if not all(signing):
            problems.append(
                "PAYMENT_RECEIPT_CLOUDFRONT_DISTRIBUTION: goes together with RECEIPT_CLOUDFRONT_KEY_PAIR_ID and "
                "RECEIPT_CLOUDFRONT_PRIVATE_KEY"
            )
        if self.payment_receipt_bucket is None:
            problems.append("PAYMENT_RECEIPT_CLOUDFRONT_DISTRIBUTION: needs PAYMENT_RECEIPT_BUCKET")
        return problems

    @property
    def fee_rule(self) -> FeeRule | None:
        """What the platform asks of a sale whose request does not say ``platformFee``; ``None`` if nothing is set."""
        if self.platform_fee_percent is None and not self.platform_fee_fixed:
            return None
        return FeeRule.of(self.platform_fee_percent, self.platform_fee_fixed)

    @property
    def live(self) -> bool:
        """Whether the key moves real money (``sk_live_`` or ``rk_live_``)."""
        key = self.stripe_secret_key
        return key is not None and key.get_secret_value().startswith(("sk_live_", "rk_live_"))

    @property
    def stripe_calls_per_second(self) -> int:
        """``STRIPE_RATE_LIMIT``, else what Stripe allows a live or a test key (https://docs.stripe.com/rate-limits)."""
        return self.stripe_rate_limit or (100 if self.live else 25)

    def secrets(self) -> list[str]:
        """The texts that no log may show: all secret settings, and the passwords in those that are URLs."""
        given = [getattr(self, name) for name in type(self).model_fields]
        texts = [
            each.get_secret_value()
            for value in given
            for each in (value if isinstance(value, tuple) else (value,))
            if isinstance(each, SecretStr)
        ]
        return texts + [password for text in texts if (password := _password(text))]

    @property
    def state_url(self) -> str:
        """The Redis database of published state: ``REDIS_STATE_URL``, else the one after the broker's."""
        if self.redis_state_url is not None:
            return self.redis_state_url.get_secret_value()
        parts = urlsplit(secret(self.redis_url))
        number = int(parts.path.strip("/") or 0)
        return urlunsplit(parts._replace(path=f"/{number + 1}"))

    @property
    def timezone(self) -> ZoneInfo:
        """The zone whose calendar numbers the receipts."""
        return ZoneInfo(self.receipt_timezone)

    @property
    def public(self) -> str:
        """The front end's address as buyers see it, without a trailing slash."""
        if self.public_url is None:
            raise SettingsError(["PUBLIC_URL: is required"])
        return self.public_url


def secret(value: SecretStr | None) -> str:
    """The text of a secret that :meth:`Settings.load` demanded for this role."""
    if value is None:
        raise SettingsError(["a setting that this process needs is missing"])
    return value.get_secret_value()


def _password(text: str) -> str | None:
    """The password in a URL, as it is written and nothing if there is none."""
    _, _, rest = text.partition("://")
    user, at, _ = rest.partition("@")
    return user.partition(":")[2] if at else None


def _read(cls: type[Settings], environment: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    values: dict[str, str] = {}
    problems: list[str] = []
    for field in cls.model_fields:
        name = field.upper()
        value, path = environment.get(name), environment.get(f"{name}_FILE")
        if value and path:
            problems.append(f"{name}: given twice, as {name} and as {name}_FILE")
        elif path:
            try:
                value = Path(path).read_text().strip()
            except (OSError, UnicodeDecodeError) as error:
                problems.append(f"{name}: {name}_FILE cannot be read ({type(error).__name__})")
        if value and value.startswith(("op://", "vault://")):
            problems.append(f"{name}: references to secret managers are not resolved here; use {name}_FILE")
        elif value:
            values[field] = value
    return values, problems


def _sentence(error: Any) -> str:
    place = ".".join(str(part) for part in error["loc"][:1]).upper()
    message = str(error["msg"]).removeprefix("Value error, ")
    return f"{place}: {message}" if place else message
