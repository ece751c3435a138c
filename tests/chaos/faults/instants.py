"""A worker dies at the three moments at which it matters most, each brought about without a hook in the product."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

import psycopg2
import redis
from chaos.faults.registry import fault

if TYPE_CHECKING:
    from chaos.ground import Ground

#: How long the moment is waited for. Below the limit of a statement, which would end a commit that waits (5 s).
_PATIENCE_SECONDS = 3.0
_LOOK_SECONDS = 0.01

#: Tables whose rows are written inside a commit that can be held, each with an advisory lock and the worker that writes them.
_GATES = {"transactions": (7_265_001, "worker-interactive"), "receipts": (7_265_002, "worker-receipts")}
#: A deferred trigger runs inside COMMIT. It waits for whoever holds its table's lock exclusively, and otherwise for nobody.
GATES = """
CREATE FUNCTION chaos_gate() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_advisory_xact_lock_shared(TG_ARGV[0]::bigint); RETURN NULL; END $$;
""" + "".join(
    f"CREATE CONSTRAINT TRIGGER chaos_gate AFTER INSERT ON {table} DEFERRABLE INITIALLY DEFERRED "
    f"FOR EACH ROW EXECUTE FUNCTION chaos_gate('{gate}');"
    for table, (gate, _) in _GATES.items()
)
_WAITING = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND locktype = 'advisory' AND objid = %s) AS waits"


def _comes(condition: Callable[[], Any]) -> bool:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_LOOK_SECONDS)
    return True


@fault(
    "worker killed between Stripe and commit",
    "workers",
    (0, 0),
    call=(
        ("/v1/checkout/sessions", "/sessions", "worker-interactive"),
        ("/v1/checkout/sessions", "/expire", "worker-sweeps"),
    ),
)
def between_stripe_and_commit(ground: "Ground", call: tuple[str, str, str]) -> Iterator[bool]:
    """Stripe has done the work and holds its reply; whoever waits for it dies."""
    prefix, suffix, victim = call
    stripe = ground.shop.stripe
    stripe.fault("hold_reply", method="POST", path_prefix=prefix, path_suffix=suffix)
    hit = _comes(stripe.holds)
    if hit:
        ground.recovery.struck("worker kill")
        ground.shop.kill(victim)
    else:
        stripe.call("DELETE", "/faults")
    stripe.release_holds()
    yield hit


@fault("worker killed between commit and Redis", "redis", (0, 0))
def between_commit_and_redis(ground: "Ground") -> Iterator[bool]:
    """Redis answers nobody; a transaction commits, and its worker dies before the follow-up messages are out."""
    newest = "SELECT coalesce(max(id), 0) FROM outbox"
    with ground.shop.redis_client() as client:
        try:
            client.client_pause(int(_PATIENCE_SECONDS * 1000))
        except redis.RedisError:
            yield False
            return
        try:
            before = ground.books.value(newest)
            hit = _comes(lambda: ground.books.value(newest) > before)
        except psycopg2.OperationalError:
            hit = False
        if hit:
            ground.recovery.struck("worker kill")
            ground.shop.kill("worker-interactive")
        yield hit


@fault("worker killed inside commit", "workers", (0, 0), table=tuple(_GATES))
def inside_commit(ground: "Ground", table: str) -> Iterator[bool]:
    """A transaction is being committed, and is held there; its worker dies. Postgres finishes it, or finds nobody to tell."""
    gate, victim = _GATES[table]
    with closing(psycopg2.connect(ground.database_url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [gate])
        hit = _comes(lambda: ground.books.value(_WAITING, gate))
        if hit:
            ground.recovery.struck("worker kill")
            ground.shop.kill(victim)
    yield hit
