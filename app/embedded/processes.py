"""Child processes that never outlive this one.

`spawn()` starts a program in a session of its own (a Ctrl-C in the terminal reaches only us, and we stop children in
the right order), with its output in a log file, and with the kernel's promise to signal it when this process dies, even
by SIGKILL. At a normal exit whatever still runs is stopped, last started first: applications before their services.
"""

import atexit
import multiprocessing
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path

from paywindow.embedded import launch

STOP_TIMEOUT_SECONDS = 15.0
_POLL_SECONDS = 0.01
_LAUNCHER = str(Path(launch.__file__).resolve())


class Supervised:
    """A running child process. Made by `spawn()`."""

    def __init__(self, popen: subprocess.Popen[bytes], argv: Sequence[str], log_path: Path, stop_signal: int) -> None:
        self._popen = popen
        self._stop_signal = stop_signal
        self._owner = os.getpid()
        self._reaping = threading.Lock()
        self._asked = False
        self.argv = tuple(argv)
        self.log_path = log_path

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def returncode(self) -> int | None:
        """The exit code, negative for a signal; None while the process runs."""
        with self._reaping:
            # A fork of this process inherits this object, but not the child.
            if self._popen.returncode is None and self._owner == os.getpid() and self._has_ended():
                # Before it is reaped, its pid cannot be given to anybody else, nor its group.
                os.killpg(self.pid, signal.SIGKILL)
                self._popen.wait()
                _started.pop(self, None)
            return self._popen.returncode

    @property
    def running(self) -> bool:
        return self.returncode is None

    def send_signal(self, signum: int) -> None:
        """Send a signal to the process alone. Nothing happens when it has ended."""
        if self.running:
            os.kill(self.pid, signum)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end, `timeout` seconds at most (default: for ever); return the exit code.

        What the process left behind in its process group is killed. Raises TimeoutError.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while (code := self.returncode) is None:
            if deadline is not None and time.monotonic() >= deadline:
                raise TimeoutError(f"{self.argv[0]} (pid {self.pid}) still runs after {timeout} s")
            time.sleep(_POLL_SECONDS)
        return code

    def stop(self, timeout: float = STOP_TIMEOUT_SECONDS) -> int:
        """End the process: its stop signal, `timeout` seconds of patience, SIGKILL. Return the exit code.

        May be called again.
        """
        self.ask_to_stop()
        try:
            return self.wait(timeout)
        except TimeoutError:
            return self.kill()

    def ask_to_stop(self) -> None:
        """Send the stop signal, once: Dramatiq takes a second one as an order to drop everything."""
        if not self._asked:
            self._asked = True
            self.send_signal(self._stop_signal)

    def kill(self) -> int:
        """SIGKILL the process and the rest of its process group; return the exit code."""
        self.send_signal(signal.SIGKILL)
        return self.wait()

    def log_tail(self, lines: int = 20) -> str:
        """The last lines that the process wrote."""
        text = self.log_path.read_text(encoding="utf-8", errors="replace") if self.log_path.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def owned_by_this_process(self) -> bool:
        """False in a fork of the process that started the child."""
        return self._owner == os.getpid()

    def _has_ended(self) -> bool:
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


class _Starter:
    """A thread that starts all children and lives as long as the process.

    The kernel ties a child's parent-death signal to the *thread* that started it, so a child started from a short-lived
    thread would be told to die with that thread.
    """

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._owner: int | None = None
        self._starting = threading.Lock()

    def start(self, work: Callable[[], Supervised]) -> Supervised:
        self._ensure_thread()
        done: Future[Supervised] = Future()

        def job() -> None:
            try:
                done.set_result(work())
            except BaseException as error:  # handed to the caller, who is waiting
                done.set_exception(error)

        self._jobs.put(job)
        return done.result()

    def _ensure_thread(self) -> None:
        with self._starting:
            if self._owner != os.getpid():  # first use, or first use after a fork: threads are not inherited
                self._owner = os.getpid()
                self._jobs = queue.SimpleQueue()
                threading.Thread(target=self._loop, args=(self._jobs,), name="child-starter", daemon=True).start()

    @staticmethod
    def _loop(jobs: "queue.SimpleQueue[Callable[[], None]]") -> None:
        while True:
            jobs.get()()


_starter = _Starter()
# Insertion order is start order; a dict, because sets have none.
_started: dict[Supervised, None] = {}


def spawn(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    log_path: Path,
    pdeathsig: int = signal.SIGTERM,
    cwd: Path | None = None,
    user: tuple[int, int] | None = None,
    pass_fds: Sequence[int] = (),
) -> Supervised:
    """Start a program that is stopped when this process ends, whatever ends it.

    `pdeathsig` is the signal that asks the program to finish, sent by `stop()` and, when this process dies, by the
    kernel. `env` replaces the environment (default: ours). Output is appended to `log_path`, whose folder is made.
    `user` is the (uid, gid) to run as, for root only. Children of the program itself are not covered by the kernel's
    promise: let them call `die_with_parent()`.

    Raises FileNotFoundError if the program does not exist.
    """
    program = shutil.which(argv[0])
    if program is None:
        raise FileNotFoundError(f"no such program: {argv[0]}")
    owner = "-" if user is None else f"{user[0]}:{user[1]}"
    launcher = [sys.executable, "-I", "-S", _LAUNCHER, str(int(pdeathsig)), str(os.getpid()), owner]
    log_path.parent.mkdir(parents=True, exist_ok=True)

    def start() -> Supervised:
        with log_path.open("ab") as log:
            popen = subprocess.Popen(
                [*launcher, program, *argv[1:]],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=env,
                cwd=cwd,
                pass_fds=pass_fds,
                start_new_session=True,
            )
        # Recorded here and not by the caller: a Ctrl-C may keep the caller from ever seeing the child.
        child = Supervised(popen, argv, log_path, pdeathsig)
        _started[child] = None
        return child

    return _starter.start(start)


def die_with_parent(signum: int = signal.SIGTERM, *, parent_pid: int | None = None) -> None:
    """For a process that was forked, not spawned: receive `signum` when the parent dies.

    Call it first thing in the child, e.g. in every process that a worker's master forks. `parent_pid` is who the parent
    must be (default: the parent that multiprocessing recorded, if any); when the parent has died already, the signal
    is raised at once.

    Raises OSError when the kernel refuses.
    """
    launch.set_parent_death_signal(signum)
    recorded = multiprocessing.parent_process()
    expected = parent_pid if parent_pid is not None else recorded.pid if recorded is not None else None
    if expected is not None and os.getppid() != expected:
        signal.raise_signal(signum)


@atexit.register
def stop_all() -> None:
    """Stop every child that still runs, last started first. Runs by itself at exit."""
    for child in reversed(list(_started)):
        if child.owned_by_this_process():
            child.stop()
