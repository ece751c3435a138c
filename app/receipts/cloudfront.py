"""Links to receipts through CloudFront, which verifies their signature at its edge.

A canned policy: this address, until this moment. CloudFront demands RSA with SHA-1 for it
(https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/private-content-creating-signed-url-canned-policy.html);
it signs a text of ours alone, where collisions of SHA-1 gain an attacker nothing. The distribution reads the bucket
by an origin access control, and its trusted key group has the public key.
"""

from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from botocore.signers import CloudFrontSigner  # type: ignore[import-untyped]
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from paywindow.receipts.storage import PDF, ReceiptStore, StorageRefused, StoredObject, checked_key


class CloudFrontStore:
    """``CloudFrontStore(store, "d1234.cloudfront.net", "K2JCJMDEHXQW5F", pem)``: ``store``, with links to the distribution.

    Raises :class:`StorageRefused` when ``pem`` is not an RSA private key without a password.
    """

    def __init__(self, store: ReceiptStore, distribution: str, key_pair_id: str, private_key: str):
        self._store = store
        self._distribution = distribution
        self._key = _rsa_key(private_key)
        self._signer = CloudFrontSigner(key_pair_id, self._sign)

    def put(self, key: str, body: bytes, *, content_type: str = PDF) -> StoredObject:
        """Store in the bucket; see :class:`paywindow.receipts.storage.ReceiptStore`."""
        return self._store.put(key, body, content_type=content_type)

    def get(self, key: str) -> bytes:
        """Read from the bucket, past any cache."""
        return self._store.get(key)

    def signed_url(self, key: str, *, filename: str, expires_in: int) -> str:
        """A link that the distribution answers. ``filename`` is the last part of ``key`` there, and not asked for."""
        del filename
        # Real time, not the business clock: CloudFront compares it with its own.
        until = datetime.now(UTC) + timedelta(seconds=expires_in)
        url = f"https://{self._distribution}/{quote(checked_key(key))}"
        return str(self._signer.generate_presigned_url(url, date_less_than=until))

    def _sign(self, policy: bytes) -> bytes:
        return self._key.sign(policy, PKCS1v15(), SHA1())  # noqa: S303 - CloudFront verifies nothing else


def _rsa_key(pem: str) -> RSAPrivateKey:
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError) as error:
        raise StorageRefused("the CloudFront key is not a private key in PEM without a password") from error
    if not isinstance(key, RSAPrivateKey):
        raise StorageRefused("the CloudFront key is not an RSA key")
    return key
