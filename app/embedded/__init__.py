"""PostgreSQL and Redis from their wheels, for `paywindow dev`, `paywindow demo` and the tests.

Both run in a folder of their own, on a free loopback port, as children that die with this process, however it dies.
Given `DATABASE_URL` and `REDIS_URL`, nothing here is used.

    with EmbeddedPostgres(folder / "postgres") as postgres, EmbeddedRedis(folder / "redis") as redis:
        database_url = postgres.create_database("paywindow")
        redis_url = redis.url
"""

from paywindow.embedded.errors import EmbeddedError, EmbeddedUnavailableError
from paywindow.embedded.postgres import EmbeddedPostgres
from paywindow.embedded.redis import EmbeddedRedis

__all__ = ["EmbeddedError", "EmbeddedPostgres", "EmbeddedRedis", "EmbeddedUnavailableError"]
