"""PostgreSQL refuses root; it works for root all the same, for ordinary users, and below folders closed to others."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from paywindow.embedded import EmbeddedPostgres, postgres_programs
from paywindow.embedded.postgres_programs import User, programs_folder, server_user

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="about root, and we are not; the other tests cover our case")

START_BOTH = """
import pathlib, sys
from paywindow.embedded import EmbeddedPostgres, EmbeddedRedis
folder = pathlib.Path(sys.argv[1])
with EmbeddedPostgres(folder / "postgres", durable=False) as postgres, EmbeddedRedis(folder / "redis"):
    postgres.create_database("shop")
    print("both ran")
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A temporary folder that every user may enter; pytest's own are closed to others."""
    with tempfile.TemporaryDirectory(prefix="paywindow-test-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def nobody(open_folder: Path) -> User:
    user = server_user(open_folder / "nothing-yet")
    assert user is not None
    return user


def _run_as(user: User, *argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv, user=user.uid, group=user.gid, extra_groups=[], cwd="/", capture_output=True, text=True, check=False
    )


@as_root
def test_both_services_work_without_root(open_folder: Path, nobody: User) -> None:
    try:
        reachable = _run_as(nobody, sys.executable, "-c", "import paywindow.embedded").returncode == 0
    except PermissionError:
        reachable = False
    if not reachable:
        pytest.skip("this environment is closed to other users, so none but root can run it")
    own = open_folder / "own"
    own.mkdir()
    os.chown(own, *nobody.ids)

    done = _run_as(nobody, sys.executable, "-c", START_BOTH, str(own))

    assert done.stdout == "both ran\n", done.stderr


@as_root
def test_data_below_a_folder_closed_to_others_are_reached_and_the_folder_stays_closed(open_folder: Path) -> None:
    closed = open_folder / "closed"
    closed.mkdir(mode=0o700)
    with EmbeddedPostgres(closed / "deep" / "postgres", durable=False) as server:
        server.create_database("shop")
        server.restart()
    assert closed.stat().st_mode & 0o777 == 0o700


@as_root
def test_programs_in_a_closed_folder_run_from_a_copy_made_once(
    open_folder: Path, nobody: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = open_folder / "closed"
    closed.mkdir(mode=0o700)
    site = postgres_programs._copy_below(postgres_programs._site_folder(), closed)
    monkeypatch.setattr(postgres_programs, "_site_folder", lambda: site)
    monkeypatch.setattr(postgres_programs, "_CACHE", open_folder / "cache")

    folder = programs_folder.__wrapped__(nobody)

    assert folder.is_relative_to(open_folder / "cache")
    assert _run_as(nobody, str(folder / "initdb"), "--version").returncode == 0
    assert "PostgreSQL" in _run_as(nobody, str(folder / "postgres"), "--version").stdout
    made = folder.stat().st_ino
    assert programs_folder.__wrapped__(nobody).stat().st_ino == made


@as_root
def test_a_server_runs_as_the_owner_of_its_data(open_folder: Path) -> None:
    data = open_folder / "data"
    data.mkdir()
    os.chown(data, 12345, 54321)
    assert server_user(data) == User(12345, 54321)


def test_without_root_a_server_runs_as_ourselves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert server_user(tmp_path) is None
