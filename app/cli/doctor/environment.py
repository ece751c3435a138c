"""The settings: every problem by name, and what can be used in spite of them."""

import re
from collections.abc import Iterator, Mapping, Sequence

from paywindow.cli.doctor.findings import Finding, Part
from paywindow.settings import Role, Settings, SettingsError

_PART = Part("settings")
_REQUIRED = re.compile(rf"is required by the ({'|'.join(Role)})")
_NAME = re.compile(r"\b([A-Z][A-Z0-9_]+):")


def survey(environment: Mapping[str, str], roles: Sequence[Role]) -> tuple[Settings, list[Finding]]:
    """The settings without those that cannot be used, and what is wrong or doubtful about them."""
    problems: dict[str, list[Role]] = {}
    for role in roles:
        try:
            Settings.load(role, environment)
        except SettingsError as error:
            for problem in error.problems:
                # A missing setting is one problem, whoever needs it.
                problems.setdefault(_REQUIRED.sub("is missing", problem), []).append(role)
    settings = _usable(environment, problems)
    findings = [_problem(problem, concerned) for problem, concerned in sorted(problems.items())]
    if not findings:
        findings = [_PART.ok("complete", f"for {', '.join(roles)}")]
    return settings, [*findings, *_doubts(settings)]


def _usable(environment: Mapping[str, str], problems: dict[str, list[Role]]) -> Settings:
    """What is left without the names that problems tell of. Removing one may bring up others: they join ``problems``."""
    left, new = dict(environment), list(problems)
    while True:
        for name in {name for problem in new for name in _NAME.findall(problem)}:
            left.pop(name, None)
            left.pop(f"{name}_FILE", None)
        try:
            return Settings.load(None, left)
        except SettingsError as error:
            new = [problem for problem in error.problems if problem not in problems]
            if not new:
                return Settings.load(None, {})
            problems |= {problem: [] for problem in new}


def _problem(problem: str, roles: list[Role]) -> Finding:
    name, _, text = problem.partition(": ")
    missing = text.startswith("is missing")
    remedy = f"set it for {', '.join(roles)}" if missing else "docs/configuration.md says what it may be"
    return _PART.fail(name, text, remedy)


def _doubts(settings: Settings) -> Iterator[Finding]:
    if settings.receipt_issuer_name == Settings.model_fields["receipt_issuer_name"].default:
        yield _PART.warn("RECEIPT_ISSUER_NAME", f"receipts say {settings.receipt_issuer_name!r}", "set it")
    if settings.live and settings.public_url and not settings.public_url.startswith("https:"):
        yield _PART.fail("PUBLIC_URL", "not https, with a live key", "put TLS in front of the front end")
    if settings.paywindow_clock_file is not None:
        yield _PART.warn("PAYWINDOW_CLOCK_FILE", "business time is moved", "unset it outside of rehearsals")
    if settings.receipt_lock_mode is None and settings.live and settings.payment_receipt_bucket:
        yield _PART.warn("RECEIPT_LOCK_MODE", "receipts can be deleted", "set it with RECEIPT_LOCK_DAYS")
