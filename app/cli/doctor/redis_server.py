"""Redis: reachable, never evicting, writing to disk, two databases apart, and with the right time."""

import time
from collections.abc import Iterator
from typing import Any

from paywindow.cli.connections import open_redis
from paywindow.cli.doctor.clocks import compare
from paywindow.cli.doctor.findings import Finding, Part, first_line
from paywindow.settings import Settings, secret

_PART = Part("redis")
_OLDEST = (6, 2)


def check(settings: Settings) -> Iterator[Finding]:
    """Findings about the broker's Redis, then about the one of published state."""
    import redis

    if settings.redis_url is None:
        yield _PART.skip("reachable", "REDIS_URL cannot be used")
        return
    broker: Any = open_redis(secret(settings.redis_url))
    state: Any = open_redis(settings.state_url)
    try:
        yield from _broker(broker)
    except redis.RedisError as error:
        yield _PART.fail("reachable", first_line(error), "check REDIS_URL, the server and the way to it")
        return
    yield _databases(broker, state)


def _broker(client: Any) -> Iterator[Finding]:
    before = time.time()
    seconds, micros = client.time()
    after = time.time()
    info = client.info()
    version = tuple(int(part) for part in str(info["redis_version"]).split(".")[:2])
    name = ".".join(map(str, version))
    yield _PART.judge(version >= _OLDEST, "version", f"Redis {name}", "use 6.2 or newer")
    if info.get("role") != "master":
        yield _PART.fail("writable", "this is a replica", "REDIS_URL must name the primary")
    policy = info.get("maxmemory_policy", "unknown")
    yield _PART.judge(
        policy == "noeviction",
        "eviction",
        f"maxmemory-policy {policy}",
        "set maxmemory-policy noeviction: queues are no cache",
    )
    yield _persistence(client, info)
    yield compare(_PART, "clock", seconds + micros / 1e6 - (before + after) / 2, (after - before) / 2)


def _persistence(client: Any, info: dict[str, Any]) -> Finding:
    import redis

    if not int(info.get("aof_enabled", 0)):
        return _PART.fail("persistence", "appendonly no: a restart loses what is queued", "set appendonly yes")
    if info.get("aof_last_write_status") not in (None, "ok"):
        return _PART.fail("persistence", "the last write to the append-only file failed", "look at Redis' disk and log")
    try:
        every = client.config_get("appendfsync").get("appendfsync", "unknown")
    except redis.ResponseError:
        # Managed services hide CONFIG; INFO has told that the file is written.
        return _PART.ok("persistence", "appendonly yes; appendfsync cannot be read here")
    if every == "no":
        return _PART.warn("persistence", "appendfsync no", "set appendfsync everysec, or always")
    return _PART.ok("persistence", f"appendonly yes, appendfsync {every}")


def _databases(broker: Any, state: Any) -> Finding:
    import redis

    try:
        state.ping()
    except redis.RedisError as error:
        remedy = "set REDIS_STATE_URL to a second database or server, or allow more databases"
        return _PART.fail("state database", first_line(error), remedy)
    one, other = (client.connection_pool.connection_kwargs for client in (broker, state))
    same = all(one.get(name) == other.get(name) for name in ("host", "port", "path", "db"))
    found = f"broker in database {one.get('db', 0)}, published state in {other.get('db', 0)}"
    if same:
        return _PART.fail("state database", "broker and published state share a database", "set REDIS_STATE_URL")
    return _PART.ok("state database", found)
