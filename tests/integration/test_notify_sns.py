"""Notifications to SNS topics, against moto over HTTP: what arrives in a queue that is subscribed."""

import json
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import boto3  # type: ignore[import-untyped]
import pytest
from moto.server import ThreadedMotoServer

from paywindow.messages import build
from paywindow.models.tables import Notification, NotificationDelivery

if TYPE_CHECKING:
    from conftest import Shop
else:
    Shop = Any


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def aws(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """Clients of an empty AWS."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with urlopen(f"{endpoint}/moto-api/reset", data=b""):
        return lambda service: boto3.session.Session().client(service, endpoint_url=endpoint, region_name="eu-west-1")


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
    make_shop: Callable[..., Shop], aws: Callable[[str], Any], endpoint: str
) -> None:
    arn, came = topic(aws, "payments")
    notification = extended(make_shop(NOTIFY_SNS_TOPIC_ARN=arn, AWS_ENDPOINT_URL=endpoint))

    (message,) = came()
    assert message["Body"] == notification.payload
    assert {name: each["StringValue"] for name, each in message["MessageAttributes"].items()} == {
        "type": "window.extended",
        "id": str(notification.id),
    }


def test_a_fifo_topic_keeps_a_session_s_order_and_drops_repeats(
    make_shop: Callable[..., Shop], aws: Callable[[str], Any], endpoint: str
) -> None:
    arn, came = topic(aws, "payments.fifo")
    shop = make_shop(NOTIFY_SNS_TOPIC_ARN=arn, AWS_ENDPOINT_URL=endpoint)
    notification = extended(shop)

    (message,) = came()
    assert message["Attributes"]["MessageGroupId"] == str(notification.session_id)
    assert message["Attributes"]["MessageDeduplicationId"] == str(notification.id)
    assert json.loads(message["Body"])["type"] == "window.extended"


def test_a_topic_that_is_missing_is_tried_again(
    make_shop: Callable[..., Shop], aws: Callable[[str], Any], endpoint: str
) -> None:
    arn = "arn:aws:sns:eu-west-1:123456789012:later"
    shop = make_shop(NOTIFY_SNS_TOPIC_ARN=arn, AWS_ENDPOINT_URL=endpoint)
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
