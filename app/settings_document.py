"""``docs/configuration.md``, made from the settings: ``python -m paywindow.settings_document`` prints it.

What a setting is for is said here, in one table; its name, type, default and limits are read off :class:`Settings`, so that
they cannot disagree with the code. A setting without a line here is an error.
"""

import types
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Le
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from paywindow.keys import ServiceKey
from paywindow.settings import REQUIRED, ExactUrl, HttpUrl, Role, Settings

#: Heading -> setting -> what it is for, in the order of the document.
MEANING: dict[str, dict[str, str]] = {
    "Postgres and Redis": {
        "database_url": "`postgresql://user:password@host:port/name`.",
        "database_pool_size": "Connections of one worker process. `paywindow worker` sets it to its number of threads "
        "unless it is given.",
        "redis_url": "The broker: `redis://host:port/0`. Needs `maxmemory-policy noeviction` and append-only persistence.",
        "redis_state_url": "Published state (snapshots, outcomes). Default: the logical database after the broker's.",
    },
    "Stripe": {
        "stripe_secret_key": "`sk_test_...` or `sk_live_...`, or a restricted `rk_...` key.",
        "stripe_webhook_secret": "`whsec_...` of the endpoint; two or more while one is being rolled, any of them is accepted.",
        "stripe_api_base": "Another server in Stripe's place, such as the sandbox. Refused with a live key.",
        "stripe_timeout_seconds": "Longest wait for one HTTP request to Stripe.",
        "stripe_rate_limit": "Requests a second that Stripe allows this account, shared by all processes. Default: Stripe's own, "
        "100 for a live key and 25 for a test key.",
    },
    "The payment window": {
        "payment_window_minutes": "How long a buyer has, when the request does not say `windowMinutes`.",
        "payment_late_grace_seconds": "A charge that succeeded at most so long after the deadline still counts as in time.",
        "payment_late_policy": "What happens to money charged after the deadline, when the request does not say `latePolicy`: "
        "it goes back by itself, settles the session if the auction is still free, or is held for an operator.",
        "payment_method_types": "What Checkout offers (`allowed_payment_method_types`). Delayed methods, such as "
        "`us_bank_account`, leave sessions `processing` for days.",
        "payment_save_methods": "Whether Checkout offers to keep the buyer's payment method, and shows what was kept. Each buyer "
        "becomes a Customer at Stripe then.",
    },
    "Sellers": {
        "seller_payouts": "What `makerId` means. `off`: it is recorded, and the marketplace pays its sellers itself. `refuse`: "
        "each payment is split with the maker's account at Stripe; a maker who cannot take charges is a 409. `collect`: the "
        "same, but such a payment is collected by the platform, and the maker's share sent when the account is ready.",
        "seller_on_behalf_of": "Makers, not the platform, are the merchants of split payments (`on_behalf_of`): their country "
        "decides fees and settlement, their name is on the card statement.",
        "seller_return_url": "Where Stripe's onboarding sends a seller afterwards, when the request has no `returnUrl`.",
        "seller_refresh_url": "Where it sends a seller whose link is used up, when the request has no `refreshUrl`: a page that "
        "asks for another link.",
        "platform_fee_percent": "The platform's share of a sale by a maker, such as `12.5`, up to four decimals; rounded half up "
        "to what the currency can be charged in.",
        "platform_fee_fixed": "Added to it, by currency, such as `USD:0.30,JPY:40`. Both together never exceed the amount. "
        "`platformFee` in the request replaces them.",
    },
    "Disputes": {
        "dispute_seller_policy": "Who bears a disputed amount. `reverse`: the seller's part of it is taken back when the bank "
        "takes the money, and sent again if the dispute is won. `platform`: the seller keeps it. Stripe's dispute fee is "
        "the platform's either way.",
    },
    "Retries": {
        "payment_retry_limit": "How many tries a session gets after its first one fails.",
        "payment_retry_backoff_minutes": "How long after a failure the next try comes: first, second, third...; beyond the list, "
        "its last value.",
    },
    "The front end": {
        "public_url": "The front end's address as buyers see it; buyers' pages, receipt links and cookies are made from it.",
        "front_host": "Address to listen on.",
        "front_port": "Port to listen on; 0 takes a free one.",
        "front_wait_seconds": "Longest wait for a command's outcome before the answer is 202; `Prefer: wait=N` can shorten it.",
        "front_drain_seconds": "How long a front end that was told to end still takes connections, `/readyz` saying 503: what "
        "the balancer before it needs to notice. Give the process so much longer to end.",
        "front_max_body_bytes": "Largest body of a request of the API.",
        "front_max_streams": "Event streams that one front process keeps open, each a connection; more are refused with 503, and "
        "pages poll then.",
        "webhook_max_body_bytes": "Largest body of a webhook.",
        "webhook_tolerance_seconds": "How far a webhook's timestamp may be from now, either way.",
        "service_keys": "Entries `name:scope+scope:sha256`, as `paywindow keys create` prints them. Scopes: `checkout`, `read`, "
        "`refund`, `admin`.",
        "buyer_token_secrets": "Sign the links to buyers' pages. The first signs, all are accepted: put a new one in front.",
        "buyer_token_days": "How long after the window's end a buyer's link still opens the page and the receipt.",
        "checkout_return_url": "Where Checkout sends a buyer who paid, when the request has no `returnUrl`. Default: the "
        "buyer's page.",
        "checkout_cancel_url": "Where Checkout sends a buyer who leaves, when the request has no `cancelUrl`. Default: the "
        "buyer's page.",
        "checkout_url_allow_list": "Scheme, host, port and path prefixes that `returnUrl` and `cancelUrl` must lie under. "
        "`PUBLIC_URL` and the two settings above are always allowed.",
    },
    "The buyer's page": {
        "payment_status_poll_seconds": "How often an open page asks whether anything changed while it has no event stream "
        "(every 3 s in its first minute).",
        "payment_timer_skew_threshold_ms": "The countdown is put right when it is off by more than this.",
    },
    "Receipts": {
        "receipt_prefix": "First part of a receipt's number: `R-2026-000001`.",
        "receipt_credit_note_prefix": "First part of a credit note's number.",
        "receipt_statement_prefix": "First part of the number of a seller's statement.",
        "receipt_series": "A name that stands before the year, for marketplaces with several series: `R-SHOP-2026-000001`.",
        "receipt_series_per_maker": "Number the documents of each maker in series of their own: `R-M7-2026-000001`.",
        "receipt_timezone": "The zone whose calendar decides a receipt's year and the dates printed on it.",
        "receipt_template_version": "A folder of `app/receipts/templates/`.",
        "receipt_statement_locale": "Language and territory of sellers' statements.",
        "receipt_documents_per_renderer": "How many documents a wkhtmltopdf process draws, one after the other, before it is "
        "replaced; 1 gives each document a process of its own, for three to four times the CPU.",
        "receipt_issuer_name": "Who issues the receipts. The default is printed as it is: set it.",
        "receipt_issuer_address": "The issuer's address, line by line.",
        "receipt_issuer_tax_id": "The issuer's tax number.",
        "receipt_issuer_email": "Where a buyer can ask about a receipt.",
        "receipt_folder": "Where the PDFs are kept. Front end and receipt workers must see the same folder.",
        "receipt_url_secret": "Signs the links to the files in the folder; the same for front end and workers. A worker does "
        "not start without it.",
        "payment_receipt_bucket": "S3 bucket of the receipts, instead of a folder.",
        "receipt_kms_key_arn": "Encrypt receipts in the bucket with SSE-KMS under this key.",
        "receipt_lock_mode": "Object Lock mode of each receipt, together with `RECEIPT_LOCK_DAYS`; the bucket must have Object "
        "Lock enabled.",
        "receipt_lock_days": "For how many days Object Lock keeps each receipt.",
        "payment_receipt_cloudfront_distribution": "Host name of a CloudFront distribution in front of the bucket, such as "
        "`d1234.cloudfront.net`: downloads lead there. Needs the two settings below.",
        "receipt_cloudfront_key_pair_id": "CloudFront's id of the public key with which it verifies links.",
        "receipt_cloudfront_private_key": "The RSA private key, in PEM, that signs links to CloudFront.",
        "aws_endpoint_url": "Another S3 and SNS than Amazon's.",
        "aws_region": "Region of the bucket; found as boto3 does when not given.",
        "receipt_url_seconds": "How long such a link works.",
    },
    "Notifications and analytics": {
        "notify_urls": "Where [notifications](notifications.md) are sent, each to every URL: `https://`, or `http://` to this "
        "machine for development.",
        "notify_webhook_secrets": "`whsec_...` with which they are signed, as `paywindow keys notify-secret` makes it; two "
        "while one is being replaced.",
        "notify_allowed_networks": "Networks such as `10.1.0.0/16` in which receivers may be although they are not public. "
        "No other inner address is ever called.",
        "notify_sns_topic_arn": "An SNS topic that gets them too; `AWS_ENDPOINT_URL` holds for it.",
        "notify_timeout_seconds": "Longest time for one try, from the connection to the answer.",
        "segment_write_key": "Sends analytics events to Segment. They are in the log either way.",
        "segment_host": "Segment's address: another region's, or a proxy of your own.",
    },
    "Logs and metrics": {
        "log_level": "Lowest level that is written.",
        "metrics_host": "Address on which metrics are served.",
        "metrics_port": "Port on which a process role serves its metrics, one for each role on a machine. Default: not served.",
    },
    "Error reports": {
        "sentry_dsn": "Where errors are reported to: the DSN of a Sentry project. Reports are scrubbed as the logs are. "
        "Default: nowhere.",
        "sentry_environment": "The environment that the reports name.",
        "sentry_release": "The release that the reports name. Default: `paywindow@` and the version.",
    },
    "The synthetic purchase": {
        "synthetic_purchase_seconds": "How often a purchase is made to see that it works: a whole one against the sandbox; at "
        "Stripe, in test mode, a Checkout page that is opened and closed, and a test payment. 0: never. Refused with a live key.",
    },
    "Tests and rehearsals": {
        "paywindow_clock_file": "A file with seconds to add to the clock, read by all processes. Refused with a live key.",
    },
}

_NAMES = {str: "text", int: "integer", bool: "yes or no", SecretStr: "secret", ServiceKey: "entry"}
_HEAD = """\
# Configuration

Generated by `python -m paywindow.settings_document`; a test compares it with the code.

Everything is read from the environment. For any `NAME`, `NAME_FILE` may give the path of a file that holds the value.
Lists are comma-separated. `op://` and `vault://` references are refused, never used literally. An empty value counts as not
given. A process that finds problems names all of them, without values, and ends with code 2.

The last column says which processes do not start without the setting: front, worker, scheduler, migrate, and the operator's
commands that look at Postgres and Redis.
"""


def as_markdown() -> str:
    """The document. Raises :class:`KeyError` when a setting is not in :data:`MEANING`."""
    missing = set(Settings.model_fields) - {name for part in MEANING.values() for name in part}
    if missing:
        raise KeyError(f"say in {__name__}.MEANING what these are for: {', '.join(sorted(missing))}")
    return "\n".join([_HEAD, *_sections()])


def _sections() -> Iterator[str]:
    for heading, settings in MEANING.items():
        yield f"## {heading}\n\n| setting | value | default | for | needed by |\n| --- | --- | --- | --- | --- |"
        for name, meaning in settings.items():
            field = Settings.model_fields[name]
            needed = ", ".join(role for role in Role if name in REQUIRED[role])
            yield f"| `{name.upper()}` | {_value(field)} | {_default(field)} | {meaning} | {needed} |"
        yield ""


def _value(field: FieldInfo) -> str:
    low = next((each.ge for each in field.metadata if isinstance(each, Ge)), None)
    high = next((each.le for each in field.metadata if isinstance(each, Le)), None)
    kind = _kind(field.annotation, field.metadata)
    if low is None:
        return kind
    return f"{kind}, {low} to {high}" if high is not None else f"{kind}, at least {low}"


def _kind(annotation: Any, metadata: Iterable[Any] = ()) -> str:
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _kind(parts[0], parts[1:])
    if any(each in (*get_args(HttpUrl)[1:], *get_args(ExactUrl)[1:]) for each in metadata):
        return "URL"
    if origin is Literal:
        return " or ".join(f"`{choice}`" for choice in parts)
    if {IPv4Network, IPv6Network} <= set(parts):
        return "network"
    if origin in (Union, types.UnionType):
        return _kind(next(part for part in parts if part is not type(None)))
    if origin is tuple:
        return f"list ({_kind(parts[0])})"
    return str(_NAMES.get(annotation, annotation.__name__.lower()))


def _default(field: FieldInfo) -> str:
    if field.default in (None, ()):
        return ""
    values = field.default if isinstance(field.default, tuple) else (field.default,)
    return f"`{','.join(map(str, values))}`"


if __name__ == "__main__":
    print(as_markdown(), end="")  # noqa: T201 - printing is what this command is for
