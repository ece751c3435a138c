"""When an embedded installation takes its workers for ready."""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

from paywindow.embedded.processes import Supervised
from paywindow.embedded.stack import _is_ready


def test_a_worker_is_ready_however_much_it_has_written_since_it_said_so(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    worker = cast(Supervised, SimpleNamespace(log_path=log))

    log.write_text("Booting\n")
    assert not _is_ready(worker)

    log.write_text("Booting\nWorker process is ready for action.\n" + "busy\n" * 100)
    assert _is_ready(worker)
