"""Settings of notifications are checked before anything is sent."""

from typing import Any

import pytest

from paywindow.notify import signatures
from paywindow.settings import Settings, SettingsError

SECRET = signatures.new_secret()


def load(**environment: str) -> Settings:
    return Settings.load(None, {"NOTIFY_WEBHOOK_SECRETS": SECRET, **environment})


def problems(**environment: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(**environment)
    return caught.value.problems


def test_nothing_is_on_by_itself() -> None:
    settings = Settings.load(None, {})

    assert (settings.notify_urls, settings.notify_sns_topic_arn, settings.segment_write_key) == ((), None, None)


def test_a_receiver_s_url_is_kept_as_it_is() -> None:
    urls = "https://shop.example.com/hooks/, https://shop.example.com:8443/hooks"

    assert load(NOTIFY_URLS=urls).notify_urls == tuple(urls.split(", "))


@pytest.mark.parametrize("host", ["localhost:9000", "127.0.0.1:9000", "[::1]:9000"])
def test_plain_http_is_for_this_machine_and_not_with_a_live_key(host: str) -> None:
    url = f"http://{host}/hooks"

    assert load(NOTIFY_URLS=url, STRIPE_SECRET_KEY="sk_test_1").notify_urls == (url,)
    (problem,) = problems(NOTIFY_URLS=url, STRIPE_SECRET_KEY="sk_live_1")
    assert problem == "NOTIFY_URLS: this machine is refused as a receiver with a live key"


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("http://shop.example.com/hooks", "must be https"),
        ("ftp://shop.example.com/hooks", "http"),
        ("https://shop.example.com/hooks?token=1", "without user, query or fragment"),
        ("https://user:password@shop.example.com/hooks", "without user"),
        ("https://shöp.example.com/hooks", "must be ASCII"),
        ("https://shop.example.com/a b", "must be ASCII without spaces"),
        ("https://shop.example.com:99999/hooks", "has a port that is none"),
        ("https://a.example/x,https://a.example/x", "names a URL twice"),
    ],
)
def test_other_urls_are_refused_with_the_rule(url: str, rule: str) -> None:
    (problem,) = problems(NOTIFY_URLS=url)

    assert problem.startswith("NOTIFY_URLS: ")
    assert rule in problem
    assert "password" not in problem


@pytest.mark.parametrize(
    ("environment", "problem"),
    [
        ({"NOTIFY_URLS": "https://a.example", "NOTIFY_WEBHOOK_SECRETS": ""}, "is required by NOTIFY_URLS"),
        ({"NOTIFY_WEBHOOK_SECRETS": f"{SECRET},whsec_short"}, "each must be whsec_ and the base64"),
        ({"NOTIFY_ALLOWED_NETWORKS": "10.1.0.1/16"}, "NOTIFY_ALLOWED_NETWORKS"),
        ({"NOTIFY_SNS_TOPIC_ARN": "arn:aws:sqs:eu-west-1:123456789012:queue"}, "NOTIFY_SNS_TOPIC_ARN"),
        ({"SEGMENT_HOST": "segment"}, "SEGMENT_HOST"),
    ],
)
def test_each_other_setting_has_its_rule(environment: dict[str, Any], problem: str) -> None:
    (found, *_) = problems(**environment)

    assert problem in found
    assert "short" not in found
