"""Service keys and buyer tokens: what opens, what does not, and what never shows."""

import uuid

import pytest

from paywindow.keys import (
    BuyerTokens,
    Scope,
    ServiceKey,
    find_service_key,
    hash_service_key,
    new_service_key,
)

SESSION = uuid.UUID("7f0f3f2a-5f0e-4d47-9d7b-3b5b0f7a2d11")


def test_a_configured_key_is_found_by_what_the_marketplace_presents() -> None:
    text = new_service_key()
    key = ServiceKey.parse(f"shop:checkout+read:{hash_service_key(text)}")
    other = ServiceKey.parse(f"office:admin:{hash_service_key(new_service_key())}")

    assert find_service_key([other, key], text) == key
    assert key.name == "shop"
    assert key.scopes == {Scope.CHECKOUT, Scope.READ}


def test_neither_another_key_nor_the_hash_itself_opens() -> None:
    text = new_service_key()
    key = ServiceKey.parse(f"shop:checkout:{hash_service_key(text)}")

    assert find_service_key([key], new_service_key()) is None
    assert find_service_key([key], key.sha256) is None
    assert find_service_key([key], "") is None
    assert find_service_key([], text) is None


def test_new_keys_are_long_and_never_the_same() -> None:
    made = {new_service_key() for _ in range(100)}

    assert len(made) == 100
    assert all(key.startswith("pwk_") and len(key) >= 47 for key in made)


@pytest.mark.parametrize(
    ("entry", "rule"),
    [
        ("", "name:scope"),
        ("shop", "unknown scope"),
        (":checkout:" + "0" * 64, "name:scope"),
        ("sh op:checkout:" + "0" * 64, "letters"),
        ("shop:pay:" + "0" * 64, "unknown scope 'pay'"),
        ("shop:checkout+:" + "0" * 64, "unknown scope ''"),
        ("shop:checkout:" + "0" * 63, "64 lower-case hex"),
        ("shop:checkout:" + "A" * 64, "64 lower-case hex"),
        ("shop:checkout:pwk_secret", "64 lower-case hex"),
    ],
)
def test_a_wrong_entry_is_refused_without_repeating_what_may_be_a_secret(entry: str, rule: str) -> None:
    with pytest.raises(ValueError, match=rule) as refused:
        ServiceKey.parse(entry)
    assert "pwk_secret" not in str(refused.value)


def test_a_token_opens_its_session() -> None:
    tokens = BuyerTokens(["secret"])

    assert tokens.session_id(tokens.issue(SESSION)) == SESSION


def test_after_a_rotation_old_tokens_still_open_until_their_secret_is_dropped() -> None:
    old = BuyerTokens(["old"]).issue(SESSION)

    assert BuyerTokens(["new", "old"]).session_id(old) == SESSION
    assert BuyerTokens(["new"]).session_id(old) is None


def test_the_first_secret_signs() -> None:
    assert BuyerTokens(["new"]).session_id(BuyerTokens(["new", "old"]).issue(SESSION)) == SESSION


def test_a_token_with_any_character_changed_opens_nothing() -> None:
    tokens = BuyerTokens(["secret"])
    token = tokens.issue(SESSION)

    for place, character in enumerate(token[:-1]):  # the last one holds padding bits
        changed = token[:place] + ("0" if character != "0" else "1") + token[place + 1 :]
        assert tokens.session_id(changed) is None, changed


@pytest.mark.parametrize("token", ["", ".", "abc", "ä.ö", "\x00", SESSION.hex, f"{SESSION.hex}.", "." * 500])
def test_junk_opens_nothing(token: str) -> None:
    assert BuyerTokens(["secret"]).session_id(token) is None


def test_tokens_need_a_secret() -> None:
    with pytest.raises(ValueError, match="at least one secret"):
        BuyerTokens([])
