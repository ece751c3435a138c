"""Folders that renderers work in, and what becomes of them when nobody could tidy up.

A folder holds a buyer's document while it is drawn. It goes with the renderer; a worker that is killed leaves it, and the next
renderer to start on the machine removes it: the owner's process id is in the name.
"""

import os
import shutil
import tempfile
from pathlib import Path

_PREFIX = "paywindow-render-"


def scratch_folder() -> tempfile.TemporaryDirectory[str]:
    """An empty folder of this process, removed by ``cleanup()`` or at the end of a ``with``."""
    return tempfile.TemporaryDirectory(prefix=f"{_PREFIX}{os.getpid()}-")


def remove_abandoned() -> None:
    """Remove the folders of processes that are gone, as far as they are ours to remove."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        owner = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if owner.isdecimal() and not _alive(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
