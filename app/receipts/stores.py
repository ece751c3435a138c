"""Which store the settings ask for."""

from paywindow.receipts.local_store import LocalStore
from paywindow.receipts.storage import ReceiptStore
from paywindow.settings import Settings, secret


def open_store(settings: Settings) -> ReceiptStore:
    """A bucket, with CloudFront in front of it or without, else a folder. Nothing is called yet.

    Raises :class:`paywindow.receipts.storage.StorageRefused` when the CloudFront key cannot be used.
    """
    if settings.payment_receipt_bucket is None:
        signing_secret = settings.receipt_url_secret
        return LocalStore(
            settings.receipt_folder,
            settings.public_url or "",
            signing_secret.get_secret_value() if signing_secret else "",
        )
    # Loaded only where it is used: boto3 takes longer to import than everything else.
    from paywindow.receipts.s3_store import S3Store

    bucket = S3Store(
        settings.payment_receipt_bucket,
        kms_key_arn=settings.receipt_kms_key_arn,
        lock_mode=settings.receipt_lock_mode,
        retain_days=settings.receipt_lock_days,
        endpoint_url=settings.aws_endpoint_url,
        region=settings.aws_region,
    )
    if settings.payment_receipt_cloudfront_distribution is None:
        return bucket
    from paywindow.receipts.cloudfront import CloudFrontStore

    return CloudFrontStore(
        bucket,
        settings.payment_receipt_cloudfront_distribution,
        settings.receipt_cloudfront_key_pair_id or "",
        secret(settings.receipt_cloudfront_private_key),
    )
