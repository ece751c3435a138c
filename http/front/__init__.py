"""The HTTP front end: authenticates, validates, enqueues, answers. It needs nothing but Redis.

:func:`serve` runs it as a process; :func:`paywindow.front.app.build` makes the aiohttp application.
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from paywindow.settings import Settings


def serve(settings: "Settings", *, port_file: Path | None = None) -> None:
    """Serve until SIGTERM or SIGINT; see :func:`paywindow.front.server.serve`."""
    # Loaded here, so that looking at one module (the OpenAPI document, say) does not load the server.
    from paywindow.front import server

    server.serve(settings, port_file=port_file)
