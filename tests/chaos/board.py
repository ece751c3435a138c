"""The marketplace's ears: a server that takes notifications, and remembers who was told what."""

import json
import threading
from collections import defaultdict

from support.receivers import Answer, Delivery, Receiver


class Board:
    """Takes each notification, unless it is told to refuse; a purchase looks here for what it waits for."""

    def __init__(self) -> None:
        self._writing = threading.Lock()
        self._told: dict[str, set[str]] = defaultdict(set)
        self.bodies: dict[str, str] = {}
        self.repeats = 0
        self.refusing = False
        self._receiver = Receiver(self._answer)

    @property
    def url(self) -> str:
        """What the installation is told to call."""
        return f"http://localhost:{self._receiver.port}/notifications"

    def clear(self) -> None:
        """Forget everything."""
        with self._writing:
            self._told.clear()
            self.bodies.clear()
            self._receiver.came.clear()
            self.repeats = 0
            self.refusing = False

    def told(self, session_id: str) -> set[str]:
        """The types of what came about a session."""
        return self._told[session_id]

    def close(self) -> None:
        """End the server."""
        self._receiver.close()

    def _answer(self, delivery: Delivery) -> Answer:
        self._receiver.came.clear()  # kept here, by id
        if self.refusing:
            return 500, {}
        body = delivery.body.decode()
        notification = json.loads(body)
        with self._writing:
            self.repeats += delivery.headers["webhook-id"] in self.bodies
            self.bodies[delivery.headers["webhook-id"]] = body
            self._told[notification["data"]["paymentSessionId"]].add(notification["type"])
        return 204, {}
