"""Where the front end listens: at an address of its own, or on a socket that it inherited.

An inherited socket belongs to whoever started the process (systemd's socket units, or any supervisor that keeps to the same
protocol, https://www.freedesktop.org/software/systemd/man/latest/sd_listen_fds.html). It stays open while front ends come and go
and several may share it, so no connection is refused while one is replaced by another.
"""

import os
import socket
from collections.abc import MutableMapping

from aiohttp import web

from paywindow.settings import Settings

_FIRST_DESCRIPTOR = 3


def inherited(environment: MutableMapping[str, str]) -> socket.socket | None:
    """The listening socket that this process was started with, if one was. The variables are for it alone, and are removed.

    Raises :class:`OSError` when there are several, or when it is none that connections can be taken from.
    """
    pid, count = environment.pop("LISTEN_PID", None), environment.pop("LISTEN_FDS", None)
    if pid != str(os.getpid()) or count is None:
        return None
    if count != "1":
        raise OSError(f"LISTEN_FDS is {count}: one socket is expected")
    found = socket.socket(fileno=_FIRST_DESCRIPTOR)
    if not found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        raise OSError("the inherited socket does not listen")
    return found


def site(runner: web.AppRunner, settings: Settings, shared: socket.socket | None) -> web.BaseSite:
    """Where connections are to be taken; to be started."""
    if shared is not None:
        return web.SockSite(runner, shared)
    return web.TCPSite(runner, settings.front_host, settings.front_port)
