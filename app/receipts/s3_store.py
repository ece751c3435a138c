"""Receipts in an S3 bucket: encrypted, locked against change, written once.

Import this module only where a bucket is configured; boto3 takes a while to load.
"""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import boto3  # type: ignore[import-untyped]
from botocore.config import Config  # type: ignore[import-untyped]
from botocore.exceptions import (  # type: ignore[import-untyped]
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    ParamValidationError,
)

from paywindow.receipts.storage import (
    PDF,
    StorageRefused,
    StorageUnavailable,
    StoredObject,
    checked_key,
    content_disposition,
    sha256,
)

LockMode = Literal["GOVERNANCE", "COMPLIANCE"]

#: Errors of the 4xx family that pass: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
_PASSING = {"ConditionalRequestConflict", "OperationAborted", "RequestTimeout", "RequestTimeTooSkewed", "SlowDown"}
_CONFIG = Config(
    connect_timeout=5,
    read_timeout=20,
    retries={"mode": "standard", "max_attempts": 3},
    # Objects under a KMS key can be presigned with this version alone.
    signature_version="s3v4",
)


class S3Store:
    """``S3Store("receipts-bucket", kms_key_arn=..., lock_mode="COMPLIANCE", retain_days=3650)``.

    Credentials and region are found as boto3 does (environment, profile, instance role). ``kms_key_arn``: encrypt with
    SSE-KMS under this key, else as the bucket says. ``lock_mode`` with ``retain_days``: Object Lock on each object; the
    bucket must have Object Lock enabled. ``endpoint_url``: another S3 than Amazon's.
    """

    def __init__(
        self,
        bucket: str,
        *,
        kms_key_arn: str | None = None,
        lock_mode: LockMode | None = None,
        retain_days: int | None = None,
        endpoint_url: str | None = None,
        region: str | None = None,
    ):
        if (lock_mode is None) != (retain_days is None):
            raise ValueError("Object Lock takes a mode and a number of days")
        self._bucket = bucket
        self._kms_key_arn = kms_key_arn
        self._lock_mode = lock_mode
        self._retain_days = retain_days
        # A session of its own: boto3's shared one is not safe to use from several threads; a client is.
        self.client: Any = boto3.session.Session().client(
            "s3", endpoint_url=endpoint_url, region_name=region, config=_CONFIG
        )

    def put(self, key: str, body: bytes, *, content_type: str = PDF) -> StoredObject:
        """Write once, or adopt; see :class:`paywindow.receipts.storage.ReceiptStore`.

        ``If-None-Match: *`` makes S3 refuse a second object (412); so two writers at once leave one version
        (https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html).
        """
        digest = sha256(body)
        request = {
            "Bucket": self._bucket,
            "Key": checked_key(key),
            "Body": body,
            "ContentType": content_type,
            "IfNoneMatch": "*",
            "ChecksumAlgorithm": "SHA256",
            "ChecksumSHA256": base64.b64encode(bytes.fromhex(digest)).decode(),
            **self._protection(),
        }
        try:
            answer = self.client.put_object(**request)
        except ClientError as error:
            if _status(error) == 412:
                return self._adopt(key)
            raise _translated(error, key) from error
        except BotoCoreError as error:
            raise _translated(error, key) from error
        return StoredObject(key=key, version_id=_version(answer), sha256=digest, size=len(body))

    def get(self, key: str) -> bytes:
        """The stored bytes. Raises :class:`StorageRefused` when there are none."""
        try:
            body: bytes = self.client.get_object(Bucket=self._bucket, Key=checked_key(key))["Body"].read()
        except (ClientError, BotoCoreError) as error:
            raise _translated(error, key) from error
        return body

    def signed_url(self, key: str, *, filename: str, expires_in: int) -> str:
        """A presigned GET; S3 answers it with the headers that make a browser save ``filename``."""
        parameters = {
            "Bucket": self._bucket,
            "Key": checked_key(key),
            "ResponseContentDisposition": content_disposition(filename),
        }
        try:
            url: str = self.client.generate_presigned_url("get_object", Params=parameters, ExpiresIn=expires_in)
        except (ClientError, BotoCoreError) as error:
            raise _translated(error, key) from error
        return url

    def _protection(self) -> dict[str, Any]:
        protection: dict[str, Any] = {}
        if self._kms_key_arn:
            protection |= {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": self._kms_key_arn}
        if self._lock_mode and self._retain_days:
            # Real time, not the business clock: S3 compares it with its own.
            until = datetime.now(UTC) + timedelta(days=self._retain_days)
            protection |= {"ObjectLockMode": self._lock_mode, "ObjectLockRetainUntilDate": until}
        return protection

    def _adopt(self, key: str) -> StoredObject:
        """The facts of the version that is there; hashed from its bytes when it was stored without a checksum."""
        try:
            head = self.client.head_object(Bucket=self._bucket, Key=key, ChecksumMode="ENABLED")
        except (ClientError, BotoCoreError) as error:
            raise _translated(error, key) from error
        checksum = head.get("ChecksumSHA256")
        digest = base64.b64decode(checksum).hex() if checksum else sha256(self.get(key))
        return StoredObject(key=key, version_id=_version(head), sha256=digest, size=head["ContentLength"])


def _version(answer: dict[str, Any]) -> str:
    # "null" is S3's own name for the version of an object in a bucket without versioning.
    return str(answer.get("VersionId", "null"))


def _status(error: ClientError) -> int:
    return int(error.response["ResponseMetadata"]["HTTPStatusCode"])


def _translated(error: Exception, key: str) -> StorageRefused | StorageUnavailable:
    if isinstance(error, ClientError):
        code = str(error.response["Error"].get("Code", ""))
        passing = _status(error) >= 500 or _status(error) == 429 or code in _PASSING or "Throttl" in code
        text = f"S3 answered {_status(error)} {code} for {key}"
        return StorageUnavailable(text) if passing else StorageRefused(text)
    if isinstance(error, NoCredentialsError | ParamValidationError):
        return StorageRefused(f"S3 cannot be asked for {key}: {error}")
    return StorageUnavailable(f"S3 could not be reached for {key}: {error}")
