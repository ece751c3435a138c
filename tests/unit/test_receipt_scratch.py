"""The folders that renderers work in, when their worker is gone."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from paywindow.receipts.scratch import remove_abandoned, scratch_folder


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def test_what_a_killed_process_left_is_removed_and_what_is_in_use_stays(tmp_path: Path) -> None:
    left = subprocess.run(
        [
            sys.executable,
            "-c",
            "import os, sys, tempfile; tempfile.tempdir = sys.argv[1]\n"
            "from paywindow.receipts.scratch import scratch_folder\n"
            "folder = scratch_folder(); open(folder.name + '/document.html', 'w').close(); print(folder.name, flush=True)\n"
            "os.kill(os.getpid(), 9)",
            str(tmp_path),
        ],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    ).stdout.strip()
    assert Path(left, "document.html").exists()
    with scratch_folder() as in_use:
        remove_abandoned()
        assert not Path(left).exists()
        assert Path(in_use).is_dir()


def test_folders_of_others_with_a_like_name_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "paywindow-render-by-hand").mkdir()
    remove_abandoned()
    assert (tmp_path / "paywindow-render-by-hand").is_dir()
