"""What processes cost, read from /proc."""

import os
from collections.abc import Iterable
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def family(pids: Iterable[int]) -> list[int]:
    """The processes and all that descends from them."""
    found, waiting = [], list(pids)
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        for thread in Path(f"/proc/{pid}/task").glob("*/children"):
            waiting += map(int, thread.read_text().split())
    return found


def cpu_seconds(pid: int) -> float:
    """CPU time that the process itself has used."""
    return sum(_times(pid)[:2]) / _TICKS


def all_cpu_seconds(pids: Iterable[int]) -> float:
    """CPU time of the processes and of all that descended from them, those that have ended included."""
    return sum(sum(_times(pid)) for pid in family(pids)) / _TICKS


def _times(pid: int) -> list[int]:
    """User and system time, its own and that of children that have ended, in ticks (proc(5), ``stat``)."""
    return [int(each) for each in Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[11:15]]


def memory_bytes(pid: int) -> int:
    """Memory that the process alone has, its share of what it has in common with others included."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    (kilobytes,) = [line.split()[1] for line in lines if line.startswith("Pss:")]
    return int(kilobytes) * 1024
