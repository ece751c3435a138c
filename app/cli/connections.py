"""What commands work with: Postgres to read, Redis, and whose commands they are."""

import getpass
from typing import TYPE_CHECKING

from paywindow.settings import Role, Settings, secret

if TYPE_CHECKING:
    import redis

TIMEOUT_SECONDS = 5


def client_name() -> str:
    """Under which name an operator's commands are recorded."""
    return f"cli:{getpass.getuser()}"


def read_database(role: Role = Role.MIGRATE) -> Settings:
    """Connect the models to Postgres, for a command that changes nothing there; the settings of ``role``."""
    from paywindow.models import database

    settings = Settings.load(role)
    database.connect_to_read(secret(settings.database_url))
    return settings


def open_redis(url: str) -> "redis.Redis":
    """A client with time-outs, and without retries: an operator would rather know."""
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    return redis.Redis.from_url(
        url, socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS, retry=Retry(NoBackoff(), 0)
    )
