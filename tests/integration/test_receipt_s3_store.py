"""The S3 store against moto over HTTP: protected, written once, and clear about what went wrong."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.request import urlopen

import pytest
from botocore.awsrequest import AWSResponse  # type: ignore[import-untyped]

from paywindow.receipts.s3_store import S3Store
from paywindow.receipts.storage import StorageRefused, StorageUnavailable, sha256

BUCKET = "receipts-of-the-tests"
KEY = "receipts/2026/R-2026-000123.pdf"
KMS_KEY = "arn:aws:kms:eu-west-1:123456789012:key/0b0f3a0e-6a3a-4a6e-9a51-6f4c2f6f2b11"


@pytest.fixture
def s3(aws: Callable[[str], Any]) -> Any:
    """A plain client, for looking at what the store did; the bucket is new, versioned and has Object Lock."""
    client = aws("s3")
    client.create_bucket(
        Bucket=BUCKET,
        CreateBucketConfiguration={"LocationConstraint": "eu-west-1"},
        ObjectLockEnabledForBucket=True,
    )
    return client


@pytest.fixture
def store(s3: Any, aws_endpoint: str) -> S3Store:
    return S3Store(BUCKET, kms_key_arn=KMS_KEY, lock_mode="COMPLIANCE", retain_days=3650, endpoint_url=aws_endpoint)


def versions(s3: Any) -> list[str]:
    return [version["VersionId"] for version in s3.list_object_versions(Bucket=BUCKET).get("Versions", [])]


def test_a_receipt_is_stored_encrypted_locked_and_with_its_checksum(store: S3Store, s3: Any) -> None:
    stored = store.put(KEY, b"%PDF-1")

    head = s3.head_object(Bucket=BUCKET, Key=KEY, ChecksumMode="ENABLED")
    assert (stored.key, stored.sha256, stored.size) == (KEY, sha256(b"%PDF-1"), 6)
    assert stored.version_id == head["VersionId"]
    assert head["ContentType"] == "application/pdf"
    assert head["ServerSideEncryption"] == "aws:kms"
    assert head["SSEKMSKeyId"] == KMS_KEY
    assert head["ObjectLockMode"] == "COMPLIANCE"
    assert abs(head["ObjectLockRetainUntilDate"] - datetime.now(UTC) - timedelta(days=3650)) < timedelta(hours=1)
    assert store.get(KEY) == b"%PDF-1"


def test_the_request_carries_every_header(store: S3Store) -> None:
    sent: list[dict[str, str]] = []
    store.client.meta.events.register(
        "before-send.s3.PutObject",
        lambda request, **_: sent.append(
            {
                name.lower(): value.decode() if isinstance(value, bytes) else value
                for name, value in request.headers.items()
            }
        ),
    )

    store.put(KEY, b"%PDF-1")

    (headers,) = sent
    assert headers["if-none-match"] == "*"
    assert headers["content-type"] == "application/pdf"
    assert headers["x-amz-server-side-encryption"] == "aws:kms"
    assert headers["x-amz-server-side-encryption-aws-kms-key-id"] == KMS_KEY
    assert headers["x-amz-object-lock-mode"] == "COMPLIANCE"
    assert headers["x-amz-object-lock-retain-until-date"] > datetime.now(UTC).isoformat()
    assert headers["x-amz-checksum-sha256"] == "Ia+OcchwMZbff+H/kBhpqI/mTAe7qoPYOO+0WlK08wM="


def test_without_protection_settings_the_bucket_decides(s3: Any, aws_endpoint: str) -> None:
    S3Store(BUCKET, endpoint_url=aws_endpoint).put(KEY, b"%PDF-1")

    head = s3.head_object(Bucket=BUCKET, Key=KEY)
    assert "SSEKMSKeyId" not in head
    assert "ObjectLockMode" not in head


def test_a_second_write_adopts_the_stored_version(store: S3Store, s3: Any) -> None:
    first = store.put(KEY, b"first")

    assert store.put(KEY, b"second, and longer") == first
    assert store.get(KEY) == b"first"
    assert versions(s3) == [first.version_id]


def test_of_many_writers_at_once_one_wins_and_all_report_it(store: S3Store, s3: Any) -> None:
    bodies = [f"body {number}".encode() for number in range(8)]

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda body: store.put(KEY, body), bodies))

    assert len(set(results)) == 1
    assert sha256(store.get(KEY)) == results[0].sha256


def test_what_was_stored_without_a_checksum_is_hashed(store: S3Store, s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key=KEY, Body=b"by hand")

    assert store.put(KEY, b"ours").sha256 == sha256(b"by hand")


def test_a_presigned_link_downloads_under_the_receipts_name(store: S3Store) -> None:
    store.put(KEY, b"%PDF-1")

    url = store.signed_url(KEY, filename="R-2026-000123.pdf", expires_in=60)

    assert "X-Amz-Algorithm=AWS4-HMAC-SHA256" in url
    assert "X-Amz-Expires=60" in url
    with urlopen(url) as response:
        assert response.read() == b"%PDF-1"
        assert 'filename="R-2026-000123.pdf"' in response.headers["Content-Disposition"]


def test_a_missing_bucket_or_file_is_refused(store: S3Store, aws_endpoint: str) -> None:
    with pytest.raises(StorageRefused, match="404 NoSuchBucket"):
        S3Store("no-such-bucket", endpoint_url=aws_endpoint).put(KEY, b"")
    with pytest.raises(StorageRefused, match="404 NoSuchKey"):
        store.get(KEY)


def test_s3_out_of_reach_is_worth_another_try(s3: Any) -> None:
    # Port 1 of loopback: nothing listens there.
    store = S3Store(BUCKET, endpoint_url="http://127.0.0.1:1")

    with pytest.raises(StorageUnavailable, match="could not be reached"):
        store.put(KEY, b"body")


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (503, "SlowDown", StorageUnavailable),
        (500, "InternalError", StorageUnavailable),
        (409, "ConditionalRequestConflict", StorageUnavailable),
        (400, "KMS.ThrottlingException", StorageUnavailable),
        (403, "AccessDenied", StorageRefused),
        (400, "KMS.DisabledException", StorageRefused),
    ],
)
def test_an_error_of_s3_is_sorted_by_whether_it_passes(
    store: S3Store, status: int, code: str, expected: type[Exception]
) -> None:
    """Given an S3 that answers with this error, without a network in between."""

    class Raw:
        def stream(self) -> Iterator[bytes]:
            yield f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()

    def answer(request: Any, **_: Any) -> AWSResponse:
        return AWSResponse(request.url, status, {"content-type": "application/xml"}, Raw())

    store.client.meta.events.register("before-send.s3.PutObject", answer)

    with pytest.raises(expected, match=f"{status} {code}"):
        store.put(KEY, b"body")


def test_missing_credentials_are_refused(monkeypatch: pytest.MonkeyPatch, s3: Any, aws_endpoint: str) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")

    with pytest.raises(StorageRefused, match="credentials"):
        S3Store(BUCKET, endpoint_url=aws_endpoint).put(KEY, b"body")


def test_half_a_lock_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="a mode and a number of days"):
        S3Store(BUCKET, lock_mode="GOVERNANCE")
