"""Links to CloudFront, checked as CloudFront checks them: with the public key alone."""

import base64
import json
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_public_key,
)

from paywindow.receipts.cloudfront import CloudFrontStore
from paywindow.receipts.local_store import LocalStore
from paywindow.receipts.storage import StorageRefused
from paywindow.receipts.stores import open_store
from paywindow.settings import Role, Settings, SettingsError

KEY_PAIR_ID = "K2JCJMDEHXQW5F"
DISTRIBUTION = "d1234.cloudfront.net"
KEY = "receipts/R-2026/R-2026-000123.pdf"


@pytest.fixture(scope="module")
def keys() -> tuple[str, RSAPublicKey]:
    """A private key in PEM for the settings, and the public key as it would be uploaded to CloudFront."""
    private = generate_private_key(65537, 2048)
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    public = load_pem_public_key(private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    assert isinstance(public, RSAPublicKey)
    return pem, public


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that boto3 does not go looking for some."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")


def environment(pem: str, **changes: str) -> dict[str, str]:
    return {
        "DATABASE_URL": "postgresql://127.0.0.1/pay",
        "PAYMENT_RECEIPT_BUCKET": "receipts",
        "AWS_REGION": "eu-west-1",
        "PAYMENT_RECEIPT_CLOUDFRONT_DISTRIBUTION": DISTRIBUTION,
        "RECEIPT_CLOUDFRONT_KEY_PAIR_ID": KEY_PAIR_ID,
        "RECEIPT_CLOUDFRONT_PRIVATE_KEY": pem,
        **changes,
    }


def verify(url: str, public: RSAPublicKey) -> int:
    """What CloudFront does with a canned policy: the policy is made of the address, and is what was signed."""
    address, query = url.split("?")[0], parse_qs(urlsplit(url).query)
    assert query["Key-Pair-Id"] == [KEY_PAIR_ID]
    expires = int(query["Expires"][0])
    condition = {"DateLessThan": {"AWS:EpochTime": expires}}
    policy = json.dumps({"Statement": [{"Resource": address, "Condition": condition}]}, separators=(",", ":"))
    signature = query["Signature"][0].replace("-", "+").replace("_", "=").replace("~", "/")
    public.verify(base64.b64decode(signature), policy.encode(), PKCS1v15(), SHA1())  # noqa: S303 - as CloudFront does
    return expires


def test_a_link_verifies_with_the_public_key_alone(
    keys: tuple[str, RSAPublicKey], monkeypatch: pytest.MonkeyPatch
) -> None:
    pem, public = keys
    store = open_store(Settings.load(Role.MIGRATE, environment(pem)))

    url = store.signed_url(KEY, filename="R-2026-000123.pdf", expires_in=300)

    assert url.startswith(f"https://{DISTRIBUTION}/{KEY}?")
    first, second = verify(url, public), verify(store.signed_url(KEY, filename="", expires_in=3900), public)
    assert 3600 <= second - first < 7200


@pytest.mark.parametrize("part", [("000123", "000124"), ("Expires=1", "Expires=2")])
def test_an_altered_link_does_not_verify(keys: tuple[str, RSAPublicKey], part: tuple[str, str]) -> None:
    pem, public = keys
    url = open_store(Settings.load(Role.MIGRATE, environment(pem))).signed_url(KEY, filename="", expires_in=300)
    altered = url.replace(*part)
    assert altered != url

    with pytest.raises(InvalidSignature):
        verify(altered, public)


def test_a_key_that_is_not_rsa_is_refused_without_being_shown() -> None:
    other = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for pem in (other.decode(), "not a key"):
        with pytest.raises(StorageRefused) as refused:
            CloudFrontStore(LocalStore.__new__(LocalStore), DISTRIBUTION, KEY_PAIR_ID, pem)
        assert pem not in str(refused.value)


@pytest.mark.parametrize(
    ("missing", "told"),
    [
        ("RECEIPT_CLOUDFRONT_KEY_PAIR_ID", "goes together with"),
        ("RECEIPT_CLOUDFRONT_PRIVATE_KEY", "goes together with"),
        ("PAYMENT_RECEIPT_BUCKET", "needs PAYMENT_RECEIPT_BUCKET"),
        ("PAYMENT_RECEIPT_CLOUDFRONT_DISTRIBUTION", "needs a distribution"),
    ],
)
def test_half_of_cloudfronts_settings_is_a_mistake(keys: tuple[str, RSAPublicKey], missing: str, told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        Settings.load(Role.MIGRATE, environment(keys[0], **{missing: ""}))
