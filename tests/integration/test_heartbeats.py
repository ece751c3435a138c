"""Signs of life: given while a process runs, taken back when it stops, gone when it was killed."""

import threading

import redis

from paywindow import __version__
from paywindow.heartbeats import LIFE_MS, Heart, beating, living


def test_a_process_is_seen_from_its_first_sign_until_it_stops(redis_url):
    client = redis.Redis.from_url(redis_url)
    with beating(client, "front"):
        while not living(client):
            threading.Event().wait(0.01)
        [sign] = living(client)
        assert (sign.kind, sign.version, sign.queues) == ("front", __version__, ())
        assert abs(sign.ahead) < 1
    assert living(client) == []


def test_a_sign_dies_with_its_process(redis_url):
    client = redis.Redis.from_url(redis_url)
    heart = Heart(client, "worker", ["sweeps", "windows"], 8)
    heart.beat()

    [sign] = living(client)
    assert (sign.queues, sign.connections) == (("sweeps", "windows"), 8)
    [key] = client.keys("pw:alive:*")
    assert 0 < client.pttl(key) <= LIFE_MS


def test_redis_being_away_ends_neither_the_heart_nor_its_process():
    nowhere = redis.Redis(port=1)
    with beating(nowhere, "scheduler"):
        pass
