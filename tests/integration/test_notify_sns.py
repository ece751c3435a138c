"""Notifications to SNS topics, against moto over HTTP: what arrives in a queue that is subscribed."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from paywindow.messages import build
from paywindow.models.tables import Notification, NotificationDelivery

if TYPE_CHECKING:
    from conftest import Shop
else:
    Shop = Any


def topic(aws: Callable[[str], Any], name: str) -> tuple[str, Callable[[], list[dict[str, Any]]]]:
    """A topic with a queue behind it: the topic's ARN, and what came."""
    fifo = {"FifoQueue": "true"} if name.endswith(".fifo") else {}
    queue = aws("sqs").create_queue(QueueName=name, Attributes=fifo)["QueueUrl"]
    arn = aws("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns = aws("sns")
    topic_arn: str = sns.create_topic(Name=name, Attributes={"FifoTopic": "true"} if fifo else {})["TopicArn"]
    sns.subscribe(TopicArn=topic_arn, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})

    def came() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (
            aws("sqs")
            .receive_message(
                QueueUrl=queue, MaxNumberOfMessages=10, MessageAttributeNames=["All"], AttributeNames=["All"]
            )
            .get("Messages", [])
        )
        return found

    return topic_arn, came


def extended(shop: Shop) -> Notification:
    """Something to tell."""
    session = shop.open_session()
    shop.command("window.extend", session_id=str(session.id), reason="asked", minutes=60, until=None)
    (found,) = shop.rows(Notification)
    notification: Notification = found
    return notification


def test_a_topic_gets_the_same_json_with_type_and_id(
    make_shop: Callable[..., Shop], aws: Callable[[str], Any], aws_endpoint: str
) -> None:
    arn, came = topic(aws, "payments")
    notification = extended(make_shop(NOTIFY_SNS_TOPIC_ARN=arn, AWS_ENDPOINT_URL=aws_endpoint))

    (message,) = came()
    assert message["Body"] == notification.payload
    assert {name: each["StringValue"] for name, each in message["MessageAttributes"].items()} == {
        "type": "window.extended",
        "id": str(notification.id),
    }


def test_a_fifo_topic_keeps_a_session_s_order_and_drops_repeats(
    make_shop: Callable[..., Shop], aws: Callable[[str], Any], aws_endpoint: str
) -> None:
    arn, came = topic(aws, "payments.fifo")
    shop = make_shop(NOTIFY_SNS_TOPIC_ARN=arn, AWS_ENDPOINT_URL=aws_endpoint)
    notification = extended(shop)

    (message,) = came()
    assert message["Attributes"]["MessageGroupId"] == str(notification.session_id)
    assert message["Attributes"]["MessageDeduplicationId"] == str(notification.id)
    assert json.loads(message["Body"])["type"] == "window.extended"


def test_a_topic_that_is_missing_is_tried_again(
    make_shop: Callable[..., Shop], aws: Callable[[str], Any], aws_endpoint: str
) -> None:
    arn = "arn:aws:sns:eu-west-1:123456789012:later"
    shop = make_shop(NOTIFY_SNS_TOPIC_ARN=arn, AWS_ENDPOINT_URL=aws_endpoint)
    extended(shop)
    (waiting,) = shop.rows(NotificationDelivery)
    assert (waiting.tries, waiting.last_error) == (1, "refused: NotFound")

    made, came = topic(aws, "later")
    assert made == arn
    shop.pass_time(seconds=6)
    shop.run(build("sweeps.notifications"))
    shop.work()

    assert len(came()) == 1
    (done,) = shop.rows(NotificationDelivery)
    assert done.delivered_at is not None


def test_an_sns_that_does_not_answer_is_tried_again(make_shop: Callable[..., Shop], aws: Callable[[str], Any]) -> None:
    arn = "arn:aws:sns:eu-west-1:123456789012:payments"
    shop = make_shop(NOTIFY_SNS_TOPIC_ARN=arn, AWS_ENDPOINT_URL="http://127.0.0.1:1")
    extended(shop)

    (waiting,) = shop.rows(NotificationDelivery)
    assert (waiting.tries, waiting.last_error) == (1, "no answer: EndpointConnectionError")
