"""Children never outlive their parent, whatever ends it, and are stopped in good order when it ends by itself."""

import json
import os
import select
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from paywindow.embedded import launch
from paywindow.embedded.processes import spawn

START_BOTH = """
import json, pathlib, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have had us ignore it
from paywindow.embedded import EmbeddedPostgres, EmbeddedRedis
folder = pathlib.Path(sys.argv[1])
postgres = EmbeddedPostgres(folder / "postgres", durable=False)
redis = EmbeddedRedis(folder / "redis")
postgres.start(); redis.start()
print(json.dumps([postgres.pid, redis.pid]), flush=True)
sys.stdin.read()
"""

START_TWO_THAT_SIGN_OFF = """
import pathlib, subprocess, sys
from paywindow.embedded.processes import spawn
folder = pathlib.Path(sys.argv[1])
child = '''
import signal, sys
def sign_off(*_):
    with open(sys.argv[1], "a") as log: log.write(sys.argv[2])
    sys.exit()
signal.signal(signal.SIGTERM, sign_off)
print("ready", flush=True)
while True: signal.pause()
'''
for name in "AB":
    log = folder / f"{name}.log"
    spawn([sys.executable, "-c", child, str(folder / "order"), name], log_path=log)
    while "ready" not in log.read_text(): pass
"""

FORK_ONE_THAT_DIES_WITH_US = """
import multiprocessing, signal, sys
from paywindow.embedded.processes import die_with_parent
def child():
    die_with_parent(signal.SIGKILL)
    print(multiprocessing.current_process().pid, flush=True)
    while True: signal.pause()
process = multiprocessing.get_context("fork").Process(target=child)
process.start()
process.join()
"""

# Reports when it is ready, and whether it was told to finish.
PATIENT = """
import signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
print("ready", flush=True)
while True: signal.pause()
"""

DEAF = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
while True: signal.pause()
"""

# Leaves a grandchild in its process group, prints its pid, and ends.
FORGETFUL = """
import subprocess, sys
print(subprocess.Popen(["sleep", "1000"]).pid, flush=True)
"""


def _start(script: str, *arguments: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def _await_end(pid: int) -> None:
    """Wait for the end of a process that need not be our child."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        select.select([descriptor], [], [])
    finally:
        os.close(descriptor)


def _await_ready(log_path: Path) -> None:
    while "ready" not in log_path.read_text():
        os.sched_yield()


def _first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


@pytest.mark.parametrize("death", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_services_end_when_their_parent_is_signalled_to_death(tmp_path: Path, death: signal.Signals) -> None:
    with _start(START_BOTH, tmp_path) as parent:
        servers = json.loads(_first_line(parent))
        backends = [process.pid for pid in servers for process in psutil.Process(pid).children(recursive=True)]
        assert backends  # PostgreSQL's own children are to go too

        parent.send_signal(death)

        for pid in (*servers, *backends):
            _await_end(pid)


def test_the_services_are_stopped_in_good_order_when_their_parent_just_ends(tmp_path: Path) -> None:
    with _start(START_BOTH, tmp_path) as parent:
        servers = json.loads(_first_line(parent))
        parent.communicate("")
    for pid in servers:
        _await_end(pid)
    assert "database system is shut down" in (tmp_path / "postgres" / "postgres.log").read_text()
    assert "Redis is now ready to exit" in (tmp_path / "redis" / "redis.log").read_text()


def test_services_left_over_by_a_killed_parent_do_not_hinder_the_next(tmp_path: Path) -> None:
    with _start(START_BOTH, tmp_path) as parent:
        _first_line(parent)
        parent.kill()
    with _start(START_BOTH, tmp_path) as parent:
        assert len(json.loads(_first_line(parent))) == 2
        parent.communicate("")


def test_what_still_runs_at_exit_is_stopped_last_started_first(tmp_path: Path) -> None:
    with _start(START_TWO_THAT_SIGN_OFF, tmp_path) as parent:
        parent.wait()
    assert (tmp_path / "order").read_text() == "BA"


def test_a_forked_child_can_tie_its_life_to_its_parent() -> None:
    with _start(FORK_ONE_THAT_DIES_WITH_US) as parent:
        child = int(_first_line(parent))
        parent.kill()
        _await_end(child)


def test_a_child_whose_parent_died_before_the_kernel_knew_ends_at_once() -> None:
    not_the_parent = str(os.getpid() + 1)
    done = subprocess.run(
        [sys.executable, "-I", "-S", launch.__file__, "15", not_the_parent, "-", sys.executable, "-c", "print('ran')"],
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (launch.EXIT_ORPHANED, b"")


def test_a_child_survives_the_thread_that_asked_for_it(tmp_path: Path) -> None:
    children = []
    log_path = tmp_path / "log"
    thread = threading.Thread(target=lambda: children.append(spawn([sys.executable, "-c", PATIENT], log_path=log_path)))
    thread.start()
    thread.join()
    while Path(f"/proc/self/task/{thread.native_id}").exists():
        os.sched_yield()

    (child,) = children
    _await_ready(log_path)
    assert child.running
    child.stop()


def test_a_terminals_interrupt_does_not_reach_children(tmp_path: Path) -> None:
    child = spawn([sys.executable, "-c", PATIENT], log_path=tmp_path / "log")
    assert os.getsid(child.pid) != os.getsid(0)
    child.stop()


def test_stopping_asks_first(tmp_path: Path) -> None:
    child = spawn([sys.executable, "-c", PATIENT], log_path=tmp_path / "log")
    _await_ready(child.log_path)
    assert child.stop() == 3
    assert child.stop() == 3
    assert not child.running


def test_stopping_ends_what_does_not_listen(tmp_path: Path) -> None:
    child = spawn([sys.executable, "-c", DEAF], log_path=tmp_path / "log")
    _await_ready(child.log_path)
    assert child.stop(timeout=0.0) == -signal.SIGKILL


def test_what_a_child_leaves_in_its_process_group_goes_with_it(tmp_path: Path) -> None:
    child = spawn([sys.executable, "-c", FORGETFUL], log_path=tmp_path / "log")
    assert child.wait() == 0
    _await_end(int(child.log_tail()))


def test_a_child_gets_exactly_the_environment_that_it_is_given(tmp_path: Path) -> None:
    program = "import os; print(sorted(os.environ.items()))"
    child = spawn(
        [sys.executable, "-c", program], env={"LC_CTYPE": "C.UTF-8", "NAME": "value"}, log_path=tmp_path / "log"
    )
    child.wait()
    assert child.log_tail() == "[('LC_CTYPE', 'C.UTF-8'), ('NAME', 'value')]"


def test_a_program_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such program: no-such-thing"):
        spawn(["no-such-thing"], log_path=tmp_path / "log")
