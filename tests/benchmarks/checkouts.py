"""Checkouts that are opened one after the other at a steady pace, and how long each took."""

import time

from paywindow.cli.demo import Marketplace

EVERY_SECONDS = 0.15


def latencies(market: Marketplace, creates: int) -> list[float]:
    """Seconds each of ``creates`` checkouts took, from the request to the page's URL."""
    found = []
    began = time.perf_counter()
    for number in range(creates):
        time.sleep(max(0.0, began + number * EVERY_SECONDS - time.perf_counter()))
        sent = time.perf_counter()
        market.create("Walnut side table", "275.50")
        found.append(time.perf_counter() - sent)
    return found
