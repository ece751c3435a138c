"""Receipts cannot be stored: the disk is full, or S3 is away."""

import resource
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from chaos.faults.registry import fault

if TYPE_CHECKING:
    from chaos.ground import Ground

#: Less than any receipt has; the write that passes it stops in the middle of the file.
_FILE_BYTES = 4096


@fault("disk full for receipts", "storage", (0.5, 2.5), storage="folder")
def fill_disk(ground: "Ground") -> Iterator[bool]:
    """No process of the receipts worker can write more than a file's beginning (RLIMIT_FSIZE: it needs no disk of its own)."""
    _limit(ground, _FILE_BYTES)
    yield True
    lift_limit(ground)


@fault("S3 away", "storage", (0.5, 2.5), storage="s3")
def take_s3_away(ground: "Ground") -> Iterator[bool]:
    """Connections to it are refused."""
    ground.s3.stop()
    yield True
    ground.s3.start()


def lift_limit(ground: "Ground") -> None:
    """The disk has room again."""
    _limit(ground, resource.RLIM_INFINITY)


def _limit(ground: "Ground", size: int) -> None:
    master = ground.shop.stack.processes["worker-receipts"].pid
    for pid in (master, *ground.children(master)):
        with suppress(ProcessLookupError):  # it has just ended
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
