"""Redis dies, forgets, is full, or drops its clients."""

import os
import signal
from collections.abc import Iterator
from typing import TYPE_CHECKING

from chaos.faults.registry import fault

if TYPE_CHECKING:
    from chaos.ground import Ground


@fault("Redis restarted", "redis", (0, 1.5))
def restart(ground: "Ground") -> Iterator[bool]:
    """SIGKILL, and after a while a start on the same append-only file."""
    ground.recovery.struck("Redis restart")
    ground.shop.redis.kill()
    yield True
    ground.shop.redis.start()


@fault("Redis wiped", "redis", (0, 0))
def wipe(ground: "Ground") -> Iterator[bool]:
    """FLUSHALL: queues, snapshots, outcomes, heartbeats and all."""
    with ground.shop.redis_client() as client:
        client.flushall()
    yield True


@fault("Redis clients cut", "redis", (0, 0))
def cut(ground: "Ground") -> Iterator[bool]:
    """CLIENT KILL of every connection: commands, waits and subscriptions, with or without their effect."""
    with ground.shop.redis_client() as client:
        for kind in ("normal", "pubsub"):
            client.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")
    yield True


@fault("Redis out of memory", "redis", (0.5, 2))
def fill(ground: "Ground") -> Iterator[bool]:
    """Every write is refused, as with ``noeviction`` and no memory left."""
    with ground.shop.redis_client() as client:
        client.config_set("maxmemory", "1")
        yield True
        client.config_set("maxmemory", "0")


@fault("Redis frozen", "redis", (0.3, 2.5))
def freeze(ground: "Ground") -> Iterator[bool]:
    """SIGSTOP: connections stay, answers do not come."""
    pid = ground.shop.redis.pid
    os.kill(pid, signal.SIGSTOP)
    yield True
    os.kill(pid, signal.SIGCONT)
