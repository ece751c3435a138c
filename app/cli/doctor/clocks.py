"""How far clocks may be apart.

Each process compares deadlines with its own host's clock, so two hosts that disagree close windows at different moments;
Stripe's signatures are refused when they are minutes old.
"""

from paywindow.cli.doctor.findings import Finding, Part

#: More than the precision with which windows are closed.
WARN_SECONDS = 1.0
#: A tenth of the age at which a webhook's signature is refused (300 s by default).
FAIL_SECONDS = 30.0
_REMEDY = "let the hosts follow a time server (chrony, systemd-timesyncd)"


def compare(part: Part, what: str, ahead: float, precision: float = 0.0) -> Finding:
    """Judge a clock that is ``ahead`` of ours by so many seconds, measured to ``precision`` seconds."""
    apart = max(abs(ahead) - precision, 0.0)
    where = "ahead of" if ahead > 0 else "behind"
    found = f"{abs(ahead):.1f} s {where} this host" if apart > WARN_SECONDS else "agrees with this host"
    if apart <= WARN_SECONDS:
        return part.ok(what, found)
    if apart <= FAIL_SECONDS:
        return part.warn(what, found, _REMEDY)
    return part.fail(what, found, _REMEDY)
