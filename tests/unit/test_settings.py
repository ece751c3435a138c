"""Settings: all problems at once, by name, and never a secret in sight."""

from pathlib import Path

import pytest

from paywindow.settings import Role, Settings, SettingsError

WORKER = {
    "DATABASE_URL": "postgresql://app:pg-secret@127.0.0.1/pay",
    "REDIS_URL": "redis://:redis-secret@127.0.0.1:6379/4",
    "STRIPE_SECRET_KEY": "sk_test_secret",
    "BUYER_TOKEN_SECRETS": "new-secret, old-secret",
    "PUBLIC_URL": "https://pay.example/",
    "RECEIPT_URL_SECRET": "link-secret",
}


def load(**changes: str) -> Settings:
    return Settings.load(Role.WORKER, {**WORKER, **changes})


def problems(role: Role = Role.WORKER, **environment: str) -> list[str]:
    with pytest.raises(SettingsError) as refused:
        Settings.load(role, environment)
    return refused.value.problems


def test_the_defaults_are_the_designs() -> None:
    settings = load()

    assert settings.payment_window_minutes == 1440
    assert settings.payment_late_policy == "refund"
    assert settings.payment_late_grace_seconds == 0
    assert settings.payment_method_types == ("card",)
    assert settings.front_host == "127.0.0.1"
    assert settings.stripe_api_base == "https://api.stripe.com"
    assert not settings.live


def test_all_that_is_missing_is_named_at_once() -> None:
    missing = "\n".join(problems())

    for name in ("DATABASE_URL", "REDIS_URL", "STRIPE_SECRET_KEY", "BUYER_TOKEN_SECRETS", "PUBLIC_URL"):
        assert f"{name}: is required by the worker" in missing


def test_each_role_is_asked_for_its_own_part_only() -> None:
    Settings.load(Role.SCHEDULER, {"REDIS_URL": WORKER["REDIS_URL"]})
    Settings.load(Role.MIGRATE, {"DATABASE_URL": WORKER["DATABASE_URL"]})


def test_all_that_is_wrong_is_named_at_once_and_no_value_is_repeated() -> None:
    found = problems(
        **WORKER
        | {
            "PAYMENT_WINDOW_MINUTES": "secret-1",
            "PAYMENT_LATE_POLICY": "secret-2",
            "SERVICE_KEYS": "shop:checkout:secret-3",
            "PUBLIC_URL": "ftp://secret-4",
            "RECEIPT_TIMEZONE": "secret-5",
            "STRIPE_API_BASE": "https://user:secret-6@example.com",
        }
    )

    named = [problem.split(":")[0] for problem in found]
    assert named == sorted(
        [
            "PAYMENT_LATE_POLICY",
            "PAYMENT_WINDOW_MINUTES",
            "PUBLIC_URL",
            "RECEIPT_TIMEZONE",
            "SERVICE_KEYS",
            "STRIPE_API_BASE",
        ]
    )
    assert "secret" not in "".join(found)


def test_secrets_are_not_in_what_is_printed() -> None:
    settings = load(STRIPE_WEBHOOK_SECRET="whsec_secret")

    for text in (repr(settings), str(settings), str(settings.model_dump())):
        for secret in ("pg-secret", "redis-secret", "sk_test_secret", "new-secret", "old-secret", "whsec_secret"):
            assert secret not in text


def test_a_value_may_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("sk_test_from_file\n")
    environment = {name: value for name, value in WORKER.items() if name != "STRIPE_SECRET_KEY"}

    settings = Settings.load(Role.WORKER, {**environment, "STRIPE_SECRET_KEY_FILE": str(file)})

    assert settings.stripe_secret_key is not None
    assert settings.stripe_secret_key.get_secret_value() == "sk_test_from_file"


def test_a_value_given_twice_or_in_a_file_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("sk_test_from_file")

    assert problems(**WORKER, STRIPE_SECRET_KEY_FILE=str(file)) == [
        "STRIPE_SECRET_KEY: given twice, as STRIPE_SECRET_KEY and as STRIPE_SECRET_KEY_FILE"
    ]
    found = problems(**WORKER, RECEIPT_ISSUER_TAX_ID_FILE=str(tmp_path / "none"))
    assert found == ["RECEIPT_ISSUER_TAX_ID: RECEIPT_ISSUER_TAX_ID_FILE cannot be read (FileNotFoundError)"]


@pytest.mark.parametrize("reference", ["op://payments/stripe/key", "vault://secret/stripe"])
def test_a_reference_to_a_secret_manager_is_never_used_literally(reference: str) -> None:
    (found,) = problems(**WORKER | {"STRIPE_SECRET_KEY": reference})

    assert found.startswith("STRIPE_SECRET_KEY: references to secret managers")
    assert reference not in found


def test_lists_are_separated_by_commas() -> None:
    settings = load(PAYMENT_METHOD_TYPES="card, us_bank_account,", STRIPE_WEBHOOK_SECRET="one,two")

    assert settings.payment_method_types == ("card", "us_bank_account")
    assert [value.get_secret_value() for value in settings.stripe_webhook_secret] == ["one", "two"]
    assert [value.get_secret_value() for value in settings.buyer_token_secrets] == ["new-secret", "old-secret"]


@pytest.mark.parametrize("key", ["sk_live_x", "rk_live_x"])
def test_live_money_stays_at_stripe_and_on_real_time(key: str) -> None:
    assert load(STRIPE_SECRET_KEY=key).live
    (found,) = problems(
        **WORKER
        | {
            "STRIPE_SECRET_KEY": key,
            "STRIPE_API_BASE": "http://127.0.0.1:9000",
            "PAYWINDOW_CLOCK_FILE": "/clock",
        }
    )

    assert "STRIPE_API_BASE: a live key may only be used with Stripe itself" in found
    assert "PAYWINDOW_CLOCK_FILE: refused with a live key" in found


def test_a_test_key_may_be_used_with_the_sandbox() -> None:
    assert load(STRIPE_API_BASE="http://127.0.0.1:9000/").stripe_api_base == "http://127.0.0.1:9000"


@pytest.mark.parametrize(("minutes", "fits"), [("0", False), ("1", True), ("43200", True), ("43201", False)])
def test_a_window_lasts_from_a_minute_to_thirty_days(minutes: str, fits: bool) -> None:
    if fits:
        assert load(PAYMENT_WINDOW_MINUTES=minutes).payment_window_minutes == int(minutes)
    else:
        (found,) = problems(**WORKER | {"PAYMENT_WINDOW_MINUTES": minutes})
        assert found.startswith("PAYMENT_WINDOW_MINUTES: ")


def test_published_state_lies_beside_the_broker_in_a_database_of_its_own() -> None:
    assert load().state_url == "redis://:redis-secret@127.0.0.1:6379/5"
    assert load(REDIS_STATE_URL="redis://127.0.0.1:6380/0").state_url == "redis://127.0.0.1:6380/0"


def test_an_empty_variable_counts_as_not_given() -> None:
    assert load(CHECKOUT_RETURN_URL="").checkout_return_url is None


def test_a_synthetic_purchase_is_refused_with_a_live_key() -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.load(None, {"STRIPE_SECRET_KEY": "sk_live_x", "SYNTHETIC_PURCHASE_SECONDS": "600"})

    assert refused.value.problems == [
        "SYNTHETIC_PURCHASE_SECONDS: refused with a live key, which would take real money"
    ]


def test_the_secrets_of_all_settings_are_known_with_the_passwords_of_their_urls() -> None:
    environment = {
        "DATABASE_URL": "postgresql://shop:word1@db/shop",
        "REDIS_URL": "redis://:word2@redis/0",
        "STRIPE_WEBHOOK_SECRET": "whsec_1,whsec_2",
        "SENTRY_DSN": "https://key@sentry.example/1",
    }

    assert {*environment.values(), "word1", "word2", "whsec_1", "whsec_2"} - {"whsec_1,whsec_2"} == set(
        Settings.load(None, environment).secrets()
    )
