"""Deliveries to an SNS topic: the same JSON as the message, its type and id as attributes to filter and deduplicate by.

Import this module only where a topic is configured; boto3 takes a while to load.
"""

from typing import Any

import boto3  # type: ignore[import-untyped]
from botocore.config import Config  # type: ignore[import-untyped]
from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]

from paywindow.notify.sinks import Kind, NotDelivered, Told


class SnsSink:
    """``SnsSink("arn:aws:sns:eu-west-1:123456789012:payments")``; the region is the ARN's, credentials are found as boto3 does.

    A FIFO topic (its name ends in ``.fifo``) keeps the order within a session as far as tries succeed in it, and drops
    what it gets twice within five minutes (https://docs.aws.amazon.com/sns/latest/dg/fifo-message-dedup.html).
    """

    kind: Kind = "sns"

    def __init__(self, topic_arn: str, timeout: float = 10, *, endpoint_url: str | None = None):
        self._topic_arn = topic_arn
        # No tries of boto3's own: the delivery's row counts them.
        config = Config(
            connect_timeout=timeout, read_timeout=timeout, retries={"mode": "standard", "total_max_attempts": 1}
        )
        self._client: Any = boto3.session.Session().client(
            "sns", endpoint_url=endpoint_url, region_name=topic_arn.split(":")[3], config=config
        )

    def send(self, told: Told) -> None:
        """See :class:`paywindow.notify.sinks.Sink`."""
        request: dict[str, Any] = {
            "TopicArn": self._topic_arn,
            "Message": told.body,
            "MessageAttributes": {
                name: {"DataType": "String", "StringValue": value}
                for name, value in (("type", told.type), ("id", told.id))
            },
        }
        if self._topic_arn.endswith(".fifo"):
            request |= {"MessageGroupId": told.session_id, "MessageDeduplicationId": told.id}
        try:
            self._client.publish(**request)
        except ClientError as error:
            raise NotDelivered(f"refused: {error.response['Error']['Code']}") from error
        except BotoCoreError as error:
            raise NotDelivered(f"no answer: {type(error).__name__}") from error
