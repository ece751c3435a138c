"""Whether a bucket keeps receipts as the settings promise: reachable, versioned, locked, under the named key.

For ``paywindow doctor``. Import this module only where a bucket is configured; boto3 takes a while to load.
"""

from collections.abc import Iterator
from typing import Any

import boto3  # type: ignore[import-untyped]
from botocore.config import Config  # type: ignore[import-untyped]
from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]

from paywindow.settings import Settings

_CONFIG = Config(connect_timeout=3, read_timeout=5, retries={"mode": "standard", "max_attempts": 1})

#: Name of the check, what is wrong (or ``None``), what was found, what to do.
Result = tuple[str, str | None, str, str]


def inspect(settings: Settings) -> Iterator[Result]:
    """Look at the bucket and at the key; each problem is told, none raised."""
    name = settings.payment_receipt_bucket
    try:
        bucket = _client("s3", settings)
        bucket.head_bucket(Bucket=name)
    except (ClientError, BotoCoreError) as error:
        yield "bucket", _said(error), "", "check the name, the region, the credentials and s3:ListBucket"
        return
    yield "bucket", None, f"{name} is reachable", ""
    yield _object_lock(bucket, settings)
    if settings.receipt_kms_key_arn is not None:
        yield _key(settings)


def _object_lock(bucket: Any, settings: Settings) -> Result:
    try:
        answer = bucket.get_object_lock_configuration(Bucket=settings.payment_receipt_bucket)
        enabled = answer["ObjectLockConfiguration"].get("ObjectLockEnabled") == "Enabled"
    except ClientError as error:
        if error.response["Error"]["Code"] != "ObjectLockConfigurationNotFoundError":
            return "Object Lock", _said(error), "", "allow s3:GetBucketObjectLockConfiguration"
        enabled = False
    except BotoCoreError as error:
        return "Object Lock", _said(error), "", "check the way to S3"
    if settings.receipt_lock_mode is None:
        return "Object Lock", None, f"{'on' if enabled else 'off'}, and not asked for", ""
    asked = f"{settings.receipt_lock_mode}, {settings.receipt_lock_days} days"
    problem = None if enabled else f"off in the bucket, yet asked for ({asked})"
    return "Object Lock", problem, asked, "receipts cannot be stored: enable Object Lock on the bucket"


def _key(settings: Settings) -> Result:
    arn = settings.receipt_kms_key_arn
    try:
        key = _client("kms", settings).describe_key(KeyId=arn)["KeyMetadata"]
    except (ClientError, BotoCoreError) as error:
        return "KMS key", _said(error), "", "check RECEIPT_KMS_KEY_ARN and kms:DescribeKey"
    problem = None if key["KeyState"] == "Enabled" else f"the key is {key['KeyState']}"
    return "KMS key", problem, "enabled", "enable the key, or name another one"


def _client(service: str, settings: Settings) -> Any:
    return boto3.session.Session().client(
        service, endpoint_url=settings.aws_endpoint_url, region_name=settings.aws_region, config=_CONFIG
    )


def _said(error: Exception) -> str:
    if isinstance(error, ClientError):
        return f"{error.response['Error'].get('Code')}: {error.response['Error'].get('Message') or 'refused'}"
    return str(error)
