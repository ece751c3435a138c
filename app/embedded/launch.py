"""The first code of every child process: become another user if asked to, die with the parent, become the program.

It is run as a script by an isolated interpreter (`python -I -S launch.py ...`), so it imports the standard library
alone.
A launcher rather than `preexec_fn`, because Python code between fork and exec can deadlock in a process with threads.

The order matters: Linux clears the parent-death signal whenever a process changes its user, and delivers none if the
parent was dead already (prctl(2), PR_SET_PDEATHSIG), hence: user, signal, look at the parent, exec.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1
EXIT_ORPHANED = 125
EXIT_NOT_STARTED = 127


def set_parent_death_signal(signum: int) -> None:
    """Have the kernel send `signum` to this process when its parent dies.

    "Parent" is the thread that started this process. On systems other than Linux there is no such thing and nothing
    happens: there, a SIGKILL of the parent leaves its children running.

    Raises OSError when the kernel refuses.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signum, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def become_user(uid: int, gid: int) -> None:
    """Give up root for good: no supplementary groups, then group, then user."""
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def main(arguments: list[str]) -> None:
    """`launch.py SIGNAL PARENT_PID UID:GID|- PROGRAM [ARGUMENT...]`; does not return."""
    signum, parent, owner, *argv = arguments
    if owner != "-":
        uid, gid = owner.split(":")
        become_user(int(uid), int(gid))
    set_parent_death_signal(int(signum))
    if os.getppid() != int(parent):
        os._exit(EXIT_ORPHANED)
    try:
        os.execv(argv[0], argv)  # noqa: S606 - no shell is wanted
    except OSError as error:
        sys.stderr.write(f"cannot start {argv[0]}: {error}\n")
        sys.stderr.flush()
        os._exit(EXIT_NOT_STARTED)


if __name__ == "__main__":
    main(sys.argv[1:])
