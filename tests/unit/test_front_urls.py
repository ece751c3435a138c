"""Return and cancel URLs: what lies under the allow-list, and the ways in which people try to look as if."""

import pytest

from paywindow.front.urls import AllowList, InvalidUrl
from paywindow.settings import Settings

ALLOWED = AllowList.of(
    Settings(
        public_url="https://pay.example",
        checkout_return_url="https://www.example/thanks",
        checkout_url_allow_list=(
            "https://shop.example/auctions",
            "https://other.example:8443",
            "http://127.0.0.1:3000",
        ),
    )
)


@pytest.mark.parametrize(
    "url",
    [
        "https://shop.example/auctions",
        "https://shop.example/auctions/",
        "https://shop.example/auctions/17?session={CHECKOUT_SESSION_ID}#paid",
        "https://SHOP.example:443/auctions/17",
        "https://other.example:8443",
        "https://other.example:8443/anything/a..b",
        "https://pay.example/pay/1",
        "https://www.example/thanks",
        "http://127.0.0.1:3000/back",
    ],
)
def test_an_address_under_the_list_is_taken_as_it_is(url: str) -> None:
    assert ALLOWED.check(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/auctions",
        "https://shop.example",
        "https://shop.example/auctionsandmore",
        "https://shop.example/Auctions",
        "https://shop.example:444/auctions",
        "https://shop.example:0/auctions",
        "https://shop.example./auctions",
        "https://shop.example.evil.example/auctions",
        "https://evil.example/https://shop.example/auctions",
        "https://evil.example?https://shop.example/auctions",
        "https://evil.example#@shop.example/auctions",
        "https://other.example/",
        "https://www.example/",
        "http://127.0.0.1:3001/back",
        "http://localhost:3000/back",
        "https://127.0.0.1:3000/back",
    ],
)
def test_another_place_is_refused(url: str) -> None:
    with pytest.raises(InvalidUrl, match="allow-list"):
        ALLOWED.check(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/auctions",
        "//shop.example/auctions",
        "javascript:alert(1)//shop.example/auctions",
        "ftp://shop.example/auctions",
        "https:shop.example/auctions",
        "https:///shop.example/auctions",
        "http://shop.example/auctions",
        "https://shop.example@evil.example/auctions",
        "https://user:secret@shop.example/auctions",
        "https://@shop.example/auctions",
        "https://shop.example\\@evil.example/auctions",
        "https://shop.example\\.evil.example/auctions",
        "https://shop.example/auctions/../admin",
        "https://shop.example/auctions/%2e%2e/admin",
        "https://shop.example/auctions/%252e%252e/admin",
        "https://shop.example/auctions/..;/admin",
        "https://shop.example/auctions/.%2e%2fadmin",
        "https://shop.example/auctions%2f..%2fadmin",
        "https://shop.example/auctions/%5c..%5cadmin",
        "https://shop.example/auctions/%00",
        "https://shop.example/auctions\n",
        " https://shop.example/auctions",
        "https://shop.example/auc\ttions",
        "https://shop.example/auctions/\u202e",
        "https://ſhop.example/auctions",
        "https://shop.example:99999/auctions",
        "https://shop.example:x/auctions",
        "https://[shop.example/auctions",
        "https://shop.example/auctions?" + "a" * 2048,
    ],
)
def test_what_parsers_read_differently_is_refused(url: str) -> None:
    with pytest.raises(InvalidUrl):
        ALLOWED.check(url)
