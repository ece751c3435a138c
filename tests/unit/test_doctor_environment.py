"""The doctor's look at the settings: everything that is wrong at once, and what is right is used all the same."""

import pytest

from paywindow.cli.doctor import postgres
from paywindow.cli.doctor.clocks import compare
from paywindow.cli.doctor.command import PARTS, _run
from paywindow.cli.doctor.environment import survey
from paywindow.cli.doctor.findings import Level, Part
from paywindow.settings import Role, Settings


def failures(findings):
    return {finding.check: finding for finding in findings if finding.level is Level.FAIL}


def test_a_missing_setting_is_told_once_with_all_that_need_it():
    _, findings = survey({}, tuple(Role))

    failed = failures(findings)
    assert failed["REDIS_URL"].found == "is missing"
    assert failed["REDIS_URL"].remedy == "set it for front, worker, scheduler, operator"
    assert "STRIPE_SECRET_KEY" in failed
    assert [finding.check for finding in findings].count("DATABASE_URL") == 1


def test_what_one_process_needs_is_all_that_is_asked_for_it():
    _, findings = survey({"REDIS_URL": "redis://127.0.0.1/0"}, (Role.SCHEDULER,))

    assert failures(findings) == {}
    assert findings[0].found == "for scheduler"


def test_what_can_be_used_is_used_in_spite_of_the_rest():
    environment = {
        "REDIS_URL": "redis://127.0.0.1/0",
        "FRONT_PORT": "a port",
        "RECEIPT_LOCK_MODE": "GOVERNANCE",
        "STRIPE_API_BASE": "https://elsewhere.example",
        "STRIPE_SECRET_KEY": "sk_live_1",
        "RECEIPT_PREFIX": "C",
    }

    settings, findings = survey(environment, (Role.SCHEDULER,))

    assert settings.redis_url is not None
    assert settings.front_port == Settings.model_fields["front_port"].default
    told = " ".join(f"{finding.check} {finding.found}" for finding in findings)
    for name in ("FRONT_PORT", "RECEIPT_LOCK_MODE", "STRIPE_API_BASE", "RECEIPT_PREFIX"):
        assert name in told
    assert "a port" not in told


def test_settings_that_forbid_each_other_leave_something_to_work_with():
    environment = {"REDIS_URL": "redis://127.0.0.1/0", "RECEIPT_LOCK_MODE": "GOVERNANCE", "RECEIPT_PREFIX": "C"}

    settings, findings = survey(environment, (Role.SCHEDULER,))

    assert settings.redis_url is not None
    assert "RECEIPT_LOCK_MODE" in failures(findings)


def test_doubts_are_warnings(tmp_path):
    _, findings = survey(
        {"REDIS_URL": "redis://127.0.0.1/0", "PAYWINDOW_CLOCK_FILE": str(tmp_path / "clock")}, (Role.SCHEDULER,)
    )

    warned = {finding.check for finding in findings if finding.level is Level.WARN}
    assert warned == {"RECEIPT_ISSUER_NAME", "PAYWINDOW_CLOCK_FILE"}


@pytest.mark.parametrize(
    ("ahead", "precision", "level"),
    [
        (0.4, 0.0, Level.OK),
        (-1.2, 0.5, Level.OK),
        (1.2, 0.0, Level.WARN),
        (-29.0, 0.0, Level.WARN),
        (31.0, 0.5, Level.FAIL),
        (-3600.0, 0.5, Level.FAIL),
    ],
)
def test_a_clock_is_judged_by_how_far_it_is_off_beyond_what_can_be_measured(ahead, precision, level):
    finding = compare(Part("redis"), "clock", ahead, precision)

    assert finding.level is level
    if level is not Level.OK:
        assert ("ahead of" if ahead > 0 else "behind") in finding.found


@pytest.mark.parametrize("part", [part for part in PARTS if part != "receipts"])
def test_a_part_whose_settings_are_missing_is_skipped_with_the_reason(part):
    settings = Settings.load(None, {})

    levels = {finding.level for finding in _run(part, settings)}

    assert levels == {Level.SKIP}


def test_an_error_that_no_check_foresaw_is_a_finding_and_stops_nothing(monkeypatch):
    monkeypatch.setattr(postgres, "check", lambda settings: iter([1 // 0]))

    [finding] = _run("postgres", Settings.load(None, {}))

    assert (finding.level, finding.found) == (Level.FAIL, "ZeroDivisionError: integer division or modulo by zero")
