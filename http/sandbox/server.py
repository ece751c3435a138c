"""A sandbox in a thread of its own, for tests and demos that live in one process."""

import asyncio
import threading
from types import TracebackType

from paywindow.sandbox.app import listening
from paywindow.sandbox.config import SandboxConfig


class SandboxServer:
    """Starts on construction and listens when the constructor returns; also a context manager.

    Raises whatever kept the server from listening.
    """

    def __init__(self, config: SandboxConfig | None = None, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self._config = config or SandboxConfig()
        self._host = host
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._listening = threading.Event()
        self._failure: BaseException | None = None
        self.port = port
        self._thread = threading.Thread(target=self._run, name="stripe-sandbox", daemon=True)
        self._thread.start()
        self._listening.wait()
        if self._failure is not None:
            raise self._failure

    @property
    def url(self) -> str:
        """Base address: what ``StripeClient(base_addresses={"api": ...})`` takes."""
        return f"http://{self._host}:{self.port}"

    def stop(self) -> None:
        """Stop serving and wait for the thread. May be called twice."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()

    def __enter__(self) -> "SandboxServer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            try:
                runner.run(self._serve())
            except OSError as error:
                self._failure = error
            finally:
                self._listening.set()

    async def _serve(self) -> None:
        async with listening(self._config, self._host, self.port) as port:
            self.port = port
            self._listening.set()
            await self._stop.wait()
