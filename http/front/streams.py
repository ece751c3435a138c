"""``GET /payments/checkout/{id}/events``: a session's state as server-sent events, as it changes.

The stream is what https://html.spec.whatwg.org/multipage/server-sent-events.html describes:

* ``status``: the document that ``GET .../status`` answers, now and after each change; its id is that answer's ETag;
* ``window``: the document of ``GET .../window``, with the first ``status`` and as a sign of life;
* ``end``: nothing more will come, so there is no need to connect again.

Between two events some changes may be left out: the latest wins. Who connects again with ``Last-Event-ID`` is told only what is
new, and 204, which ends an ``EventSource``, when nothing more will come. A stream that ends without ``end`` (the process stops,
the reader was too slow) is to be opened again.
"""

import asyncio
import uuid
from dataclasses import dataclass
from typing import Literal

from aiohttp import hdrs, web

from paywindow import jsons
from paywindow.front import access, overrides
from paywindow.front.context import FRONT, Front
from paywindow.front.feed import Follower
from paywindow.front.metrics import STREAMS, STREAMS_ENDED
from paywindow.front.phases import is_final
from paywindow.front.requests import path_id
from paywindow.front.snapshots import Audience, View
from paywindow.keys import Scope

EVENT_STREAM = "text/event-stream"
BEAT_SECONDS = 15.0
#: A reader that lets more than this lie unread gets nothing new until it has caught up...
_BACKLOG_BYTES = 16_384
#: ... which is looked for this often...
_CATCH_UP_SECONDS = 1.0
#: ... and is let go when it has not after this long.
_SLOW_SECONDS = 60.0
#: Milliseconds after which a reader connects again: spread, so that not all come at once after a restart.
_RECONNECT_MS, _RECONNECT_SPREAD_MS = 1000, 4000

Reason = Literal["final", "gone", "slow", "token", "stopping"]


async def show(request: web.Request) -> web.StreamResponse:
    """Stream the session's state to the marketplace or its buyer."""
    session_id = path_id(request.match_info["id"])
    view, audience = await _first(request, session_id)
    has_it = request.headers.get("Last-Event-ID") == view.etag(audience)
    if has_it and _is_final(view, audience):
        return web.Response(status=204, headers={hdrs.CACHE_CONTROL: "no-store"})
    front = request.app[FRONT]
    # A stream waits for most of its life, and keeps no texts meanwhile: neither here nor in what it calls.
    due, view = None if has_it else view, view.without_texts()
    with front.feed.follow(session_id, view) as follower, STREAMS.track_inprogress():
        response = web.StreamResponse(
            headers={
                hdrs.CONTENT_TYPE: f"{EVENT_STREAM}; charset=utf-8",
                hdrs.CACHE_CONTROL: "no-store",
                "X-Accel-Buffering": "no",  # nginx would keep events back
            }
        )
        await response.prepare(request)
        stream = _Stream(front, request, response, follower, audience, view, due)
        del due
        reason: Reason = "gone"  # a server may also cancel the handler of one who left
        try:
            reason = await stream.run()
        finally:
            STREAMS_ENDED.labels(reason).inc()
    return response


async def _first(request: web.Request, session_id: uuid.UUID) -> tuple[View, Audience]:
    """What the caller may see. Raises as for the status."""
    if access.sends_service_key(request):
        access.service_key(request, Scope.READ)
        return await request.app[FRONT].snapshots.read(session_id), "service"
    return await access.buyer_view(request, session_id), "buyer"


@dataclass(slots=True)
class _Stream:
    """One open stream. ``due``: what its reader is to be told; without that, no texts are kept while it waits."""

    front: Front
    request: web.Request
    response: web.StreamResponse
    follower: Follower
    audience: Audience
    view: View
    due: View | None

    async def run(self) -> Reason:
        """Send what is due and what follows; why it came to an end."""
        clock = asyncio.get_running_loop().time
        behind_since = None
        greeting = f"retry: {_RECONNECT_MS + hash(self.follower) % _RECONNECT_SPREAD_MS}\n\n"
        while not self.front.feed.stopping:
            if self.audience == "buyer" and not access.still_good(self.front, self.view):
                return "token"
            if self._backlog() <= _BACKLOG_BYTES:
                behind_since = None
                final = self.due is not None and _is_final(self.due, self.audience)
                if not await self._send(greeting + self._text(final=final)):
                    return "gone"
                if final:
                    return "final"
                self.due, greeting = None, ""
            elif behind_since is None:
                behind_since = clock()
            elif clock() - behind_since > _SLOW_SECONDS:
                self._abort()
                return "slow"
            if newer := await self.follower.next(BEAT_SECONDS if behind_since is None else _CATCH_UP_SECONDS):
                self.view, self.due = newer.without_texts(), newer
                del newer
        return "stopping"

    def _text(self, *, final: bool) -> str:
        """What there is to say: the state if it is new, then how much time is left, then whether that was all."""
        due = self.due
        status = "" if due is None else _event("status", due.text(self.audience), due.etag(self.audience))
        window = _event("window", jsons.dumps(overrides.window_body(self.view)))
        return status + window + (_event("end", "{}") if final else "")

    def _backlog(self) -> int:
        transport = self.request.transport
        return 0 if transport is None else transport.get_write_buffer_size()

    async def _send(self, text: str) -> bool:
        """Whether it was written. One text larger than the buffers has the time of a slow reader."""
        try:
            async with asyncio.timeout(_SLOW_SECONDS):
                await self.response.write(text.encode())
        except ConnectionError:
            return False
        except TimeoutError:
            self._abort()
            return False
        return True

    def _abort(self) -> None:
        """Drop the connection, with what lies unread in it."""
        if self.request.transport is not None:
            self.request.transport.abort()


def _event(name: str, data: str, event_id: str | None = None) -> str:
    """One event. The data are compact JSON, which has no line breaks."""
    line = "" if event_id is None else f"id: {event_id}\n"
    return f"event: {name}\n{line}data: {data}\n\n"


def _is_final(view: View, audience: Audience) -> bool:
    return is_final(jsons.loads(view.text(audience)))
