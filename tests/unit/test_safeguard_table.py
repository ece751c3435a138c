"""The safeguards that tests take out are where the table says, each of them once, and the code goes on without."""

from importlib.util import find_spec
from pathlib import Path

import pytest
from chaos.safeguards import SAFEGUARDS, Change

from paywindow.invariants import INVARIANTS

CHANGES = [change for safeguard in SAFEGUARDS.values() for change in safeguard.changes]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.module)
def test_what_is_taken_out_stands_in_its_module_once_and_what_is_left_compiles(change: Change) -> None:
    spec = find_spec(change.module)
    assert spec is not None
    assert spec.origin is not None
    text = Path(spec.origin).read_text()

    assert text.count(change.old) == 1
    compile(text.replace(change.old, change.new), spec.origin, "exec")


def test_the_audit_knows_what_is_violated_without_each_safeguard() -> None:
    assert all(safeguard.missed_by <= INVARIANTS.keys() for safeguard in SAFEGUARDS.values())
