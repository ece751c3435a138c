"""How often Stripe may be called, shared by all processes: a token bucket in Redis.

Stripe allows 100 requests a second with a live key and 25 with a test key (https://docs.stripe.com/rate-limits). Every call
takes one token. Calls that somebody waits for are never held back here, they may run the bucket into debt; sweeps get at
most their share, and less while the bucket is short, so that closing a hundred thousand windows never delays a checkout.
"""

import logging

import redis

logger = logging.getLogger(__name__)

#: How much of Stripe's limit the sweeps may use; the larger part is left to live checkouts.
SWEEP_SHARE = 0.4

# KEYS[1]: the bucket, a hash {tokens, swept, at}. ARGV: rate per second, the sweeps' rate, wanted, 1 for a sweep.
# Both buckets hold at most one second's worth, so no second sees more than twice its rate.
_TAKE = """
redis.replicate_commands()
local time = redis.call('TIME')
local now = time[1] + time[2] / 1e6
local rate, sweep_rate, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local have = redis.call('HMGET', KEYS[1], 'tokens', 'swept', 'at')
local passed = math.max(0, now - (tonumber(have[3]) or 0))
local sweep_cap = math.max(1, sweep_rate)
local tokens = math.min(rate, (tonumber(have[1]) or rate) + passed * rate)
local swept = math.min(sweep_cap, (tonumber(have[2]) or sweep_cap) + passed * sweep_rate)
local taken = wanted
if ARGV[4] == '1' then
    taken = math.max(0, math.min(wanted, math.floor(swept), math.floor(tokens)))
    swept = swept - taken
else
    tokens = math.max(tokens - wanted, -rate)
end
redis.call('HSET', KEYS[1], 'tokens', tostring(tokens), 'swept', tostring(swept), 'at', string.format('%.6f', now))
redis.call('EXPIRE', KEYS[1], 60)
return taken
"""
_KEY = "pw:stripe-budget"


class Budget:
    """The bucket. ``rate``: requests per second that Stripe allows."""

    def __init__(self, client: "redis.Redis", rate: int):
        self._take = client.register_script(_TAKE)
        self._rate = rate
        self.sweep_rate = rate * SWEEP_SHARE

    def spend(self) -> None:
        """Count one call that is about to be made."""
        try:
            self._run(1, sweep=False)
        except redis.RedisError:
            # The count only spreads the load; Stripe's own 429 still guards the limit.
            logger.warning("a call to Stripe was not counted: Redis cannot be reached")

    def claim_for_sweep(self, wanted: int) -> int:
        """How many of ``wanted`` calls a sweep may have made now; they are counted again by :meth:`spend` when made."""
        return self._run(wanted, sweep=True)

    def _run(self, wanted: int, *, sweep: bool) -> int:
        return int(self._take(keys=[_KEY], args=[self._rate, self.sweep_rate, wanted, int(sweep)]))
