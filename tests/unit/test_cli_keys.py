"""``paywindow keys``: what it prints can be configured, and opens what it should."""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from paywindow.cli import app
from paywindow.keys import Scope, find_service_key, hash_service_key, new_service_key
from paywindow.notify.signatures import secret_bytes
from paywindow.settings import Role, Settings


def run(*arguments: str, stdin: str = "", **environment: str) -> Result:
    return CliRunner().invoke(
        app, ["keys", *arguments], input=stdin, env={"SERVICE_KEYS": "", "SERVICE_KEYS_FILE": "", **environment}
    )


def told(*arguments: str, **environment: str) -> dict[str, str]:
    result = run(*arguments, "--json", **environment)
    assert result.exit_code == 0, result.output
    found: dict[str, str] = json.loads(result.stdout)
    return found


def who(service_keys: str, key: str) -> str | None:
    """Under which name the key is known to a front end with these SERVICE_KEYS."""
    settings = Settings.load(
        Role.FRONT,
        {
            "REDIS_URL": "redis://127.0.0.1:1/0",
            "STRIPE_WEBHOOK_SECRET": "whsec_a",
            "SERVICE_KEYS": service_keys,
            "BUYER_TOKEN_SECRETS": "secret",
            "PUBLIC_URL": "https://pay.example",
        },
    )
    found = find_service_key(settings.service_keys, key)
    return None if found is None else found.name


def test_a_created_key_opens_with_its_entry_and_has_all_scopes_it_was_given() -> None:
    made = told("create", "office", "--scopes", "+".join(Scope))
    assert who(made["entry"], made["key"]) == "office"
    assert made["entry"].split(":")[1].split("+") == list(Scope)


def test_a_key_is_replaced_in_two_steps_and_always_one_works() -> None:
    shop, office = told("create", "shop"), told("create", "office", "--scopes", "admin")
    before = f"{office['entry']},{shop['entry']}"

    turning = told("rotate", "shop", SERVICE_KEYS=before)
    assert [who(turning["serviceKeys"], key) for key in (shop["key"], turning["key"], office["key"])] == [
        "shop",
        "shop",
        "office",
    ]

    after = told("rotate", "shop", "--finish", SERVICE_KEYS=turning["serviceKeys"])
    assert [who(after["serviceKeys"], key) for key in (shop["key"], turning["key"], office["key"])] == [
        None,
        "shop",
        "office",
    ]
    assert told("rotate", "shop", "--finish", SERVICE_KEYS=after["serviceKeys"])["serviceKeys"] == after["serviceKeys"]


def test_a_new_key_has_the_scopes_of_the_one_it_replaces(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(told("create", "office", "--scopes", "refund+admin")["entry"] + "\n")
    turning = told("rotate", "office", SERVICE_KEYS_FILE=str(tmp_path / "keys"))
    assert {entry.split(":")[1] for entry in turning["serviceKeys"].split(",")} == {"refund+admin"}


def test_people_are_told_the_steps() -> None:
    entry = told("create", "shop")["entry"]
    text = run("rotate", "shop", SERVICE_KEYS=entry).stdout
    assert re.search(r"pwk_[\w-]{43}$", text, re.MULTILINE)
    assert "--finish" in text
    assert "BUYER_TOKEN_SECRETS" in run("buyer-secret").stdout


def test_a_key_made_elsewhere_is_hashed_without_standing_on_the_command_line() -> None:
    key = new_service_key()
    assert run("hash", stdin=key + "\n").stdout.strip() == hash_service_key(key)
    assert who(run("hash", "till", stdin=key).stdout.strip(), key) == "till"


def test_secrets_of_buyers_links_are_long_and_never_the_same() -> None:
    made = {told("buyer-secret")["secret"] for _ in range(20)}
    assert len(made) == 20
    assert all(len(secret) >= 43 and "," not in secret for secret in made)


def test_a_secret_of_notifications_is_one_that_settings_take() -> None:
    made = {told("notify-secret")["secret"] for _ in range(20)}
    assert len(made) == 20
    assert {len(secret_bytes(secret)) for secret in made} == {32}
    assert "NOTIFY_WEBHOOK_SECRETS" in run("notify-secret").stdout


@pytest.mark.parametrize(
    ("arguments", "stdin", "keys", "rule"),
    [
        (("create", "sh op"), "", "", "letters"),
        (("create", "shop", "--scopes", "pay"), "", "", "unknown scope"),
        (("rotate", "shop"), "", "", "no key named shop"),
        (("rotate", "shop"), "", "shop:checkout", "64 lower-case"),
        (("rotate", "shop", "--finish"), "", f"office:admin:{'0' * 64}", "no key named shop"),
        (("hash",), "hunter2", "", "begins with pwk_"),
        (("hash",), "pwk_short", "", "at least"),
    ],
)
def test_what_cannot_be_done_is_said(arguments: tuple[str, ...], stdin: str, keys: str, rule: str) -> None:
    result = run(*arguments, stdin=stdin, SERVICE_KEYS=keys)
    assert result.exit_code == 2
    assert rule in " ".join(result.output.replace("│", " ").split())
    assert "hunter2" not in result.output
