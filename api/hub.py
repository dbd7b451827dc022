"""One hub for all live pages: looks twice a second, renders each fragment once, tells each page what differs.

Every event is a full replacement of what it names, so a client needs only the newest of each: what waits for a slow
client is one value per event name, bounded and never old.
"""

import asyncio
import logging
import re
import time
from collections.abc import AsyncIterator, Callable, Collection, Hashable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Protocol

import anyio
import anyio.to_thread
import msgspec
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from api.screens.public import Reader

log = logging.getLogger(__name__)

POLL_S = 0.5
KEEP_ALIVE_S = 5.0
"""A quiet stream says so this often: a page that hears nothing for longer knows that the line is cut."""
CLIENTS_MAX = 1000
RETRY_MS = 2000
"""How soon a browser asks again when the stream broke."""
CHANGED = "changed"
ALIVE = "alive"
ANYBODY = Reader()

_LINE = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """What several clients see alike: rendered once for all of them."""

    page: str
    """console, public or preview."""
    reader: Reader = ANYBODY


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A topic as it should stand in the browser."""

    fragments: Mapping[str, str]
    """Event name -> data."""
    parts: Mapping[str, object] = field(default_factory=dict)
    """Station -> whatever a page may show of it beside the fragments; a difference is told by `changed`."""


class Feed(Protocol):
    """Where frames come from. Both block and are called in a thread, never at once."""

    def pulse(self) -> Hashable:
        """Cheap to ask, and different whenever a frame may differ."""

    def frames(self, topics: Collection[Topic]) -> Mapping[Topic, Frame]:
        """Every topic as it stands now."""


class Full(Exception):
    """No more clients are taken: the page goes on without live updates."""


class Client:
    """One browser: what it has not been sent yet."""

    def __init__(self, topic: Topic) -> None:
        self.topic = topic
        self.waiting: dict[str, bytes] = {}
        """Event name -> newest encoded event."""
        self.touched: set[str] = set()
        self.closed = False
        self.wake = asyncio.Event()

    def put(self, events: Mapping[str, bytes], touched: Collection[str] = ()) -> None:
        """Replace what waits by what is newer."""
        self.waiting.update(events)
        self.touched.update(touched)
        if events or touched:
            self.wake.set()

    def take(self) -> bytes:
        """All that waits, as it goes over the wire."""
        chunks = list(self.waiting.values())
        if self.touched:
            stations = msgspec.json.encode({"stations": sorted(self.touched)}).decode()
            chunks.append(encode(CHANGED, stations, 0))
        self.waiting.clear()
        self.touched.clear()
        self.wake.clear()
        return b"".join(chunks)

    def close(self) -> None:
        """End the stream; the browser will ask again."""
        self.closed = True
        self.wake.set()


@dataclass(slots=True)
class _Shown:
    """What the clients of a topic have or will be sent."""

    frame: Frame | None = None
    encoded: dict[str, bytes] = field(default_factory=dict)
    clients: set[Client] = field(default_factory=set)


class Hub:
    """Polls the feed while anybody looks."""

    def __init__(
        self,
        feed: Feed,
        *,
        poll_s: float = POLL_S,
        keep_alive_s: float = KEEP_ALIVE_S,
        clients_max: int = CLIENTS_MAX,
    ) -> None:
        self._feed = feed
        self._poll_s = poll_s
        self._clients_max = clients_max
        self.keep_alive_s = keep_alive_s
        self._topics: dict[Topic, _Shown] = {}
        self._number = count(1)
        self._newcomer = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._stopped = False

    @property
    def clients(self) -> int:
        """How many are connected."""
        return sum(len(shown.clients) for shown in self._topics.values())

    def start(self) -> None:
        """Begin to look; needs a running loop."""
        self._task = asyncio.create_task(self._run(), name="hub")

    async def aclose(self) -> None:
        """End all streams and stop looking; to be called before the server stops, so that it need not wait for them."""
        self._stopped = True
        for shown in self._topics.values():
            for client in shown.clients:
                client.close()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    def join(self, topic: Topic) -> Client:
        """Connect a browser: it is first sent everything.

        Raises
        ------
        Full : too many, or the hub is stopping
        """
        if self._stopped or self.clients >= self._clients_max:
            raise Full
        shown = self._topics.setdefault(topic, _Shown())
        client = Client(topic)
        shown.clients.add(client)
        # A topic that is looked at already stands as it was last published; a new one is looked at right away.
        client.put(shown.encoded)
        if shown.frame is None:
            self._newcomer.set()
        return client

    def leave(self, client: Client) -> None:
        """Forget a browser, and its topic with the last one."""
        shown = self._topics.get(client.topic)
        if shown is not None:
            shown.clients.discard(client)
            if not shown.clients:
                del self._topics[client.topic]

    async def _run(self) -> None:
        seen: Hashable = None
        while True:
            try:
                seen = await self._look(seen)
            except Exception:
                # A screen that cannot be kept true must not look alive: its stream ends, the browser says so.
                log.exception("live pages: reading or rendering failed, %d clients are disconnected", self.clients)
                for shown in self._topics.values():
                    for client in shown.clients:
                        client.close()
                await asyncio.sleep(self._poll_s)
            with anyio.move_on_after(self._poll_s):
                await self._newcomer.wait()
            self._newcomer.clear()

    async def _look(self, seen: Hashable) -> Hashable:
        topics = list(self._topics)
        if not topics:
            return None
        pulse = await anyio.to_thread.run_sync(self._feed.pulse)
        if pulse == seen and all(shown.frame for shown in self._topics.values()):
            return seen
        frames = await anyio.to_thread.run_sync(self._feed.frames, topics)
        for topic, frame in frames.items():
            # The last client of a topic may have left meanwhile.
            if (shown := self._topics.get(topic)) is not None:
                self._publish(shown, frame)
        return pulse

    def _publish(self, shown: _Shown, frame: Frame) -> None:
        old = shown.frame.fragments if shown.frame else {}
        number = next(self._number)
        news = {name: encode(name, data, number) for name, data in frame.fragments.items() if old.get(name) != data}
        touched = (
            [part for part, value in frame.parts.items() if shown.frame.parts.get(part) != value] if shown.frame else []
        )
        shown.frame = frame
        shown.encoded.update(news)
        for client in shown.clients:
            client.put(news, touched)


def encode(event: str, data: str, number: int) -> bytes:
    """One event as it goes over the wire; number 0 carries no id."""
    lines = "".join(f"data: {line}\n" for line in _LINE.split(data))
    head = f"id: {number}\n" if number else ""
    return f"{head}event: {event}\n{lines}\n".encode()


class EventStream(StreamingResponse):
    """The response of one browser; leaves the hub however it ends."""

    def __init__(self, hub: Hub, client: Client, *, still_allowed: Callable[[], bool] | None = None) -> None:
        super().__init__(
            _chunks(client, hub.keep_alive_s, still_allowed),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )
        self._leave = partial(hub.leave, client)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._leave()


async def _chunks(
    client: Client, keep_alive_s: float, still_allowed: Callable[[], bool] | None
) -> AsyncIterator[bytes]:
    """What the browser receives. `still_allowed` blocks; it is asked once per keep-alive time, so that a page that was
    signed out goes dark.
    """
    yield f"retry: {RETRY_MS}\n\n".encode()
    asked = time.monotonic()
    while not client.closed:
        with anyio.move_on_after(keep_alive_s):
            await client.wake.wait()
        if still_allowed is not None and time.monotonic() - asked >= keep_alive_s:
            asked = time.monotonic()
            if not await anyio.to_thread.run_sync(still_allowed):
                return
        if not client.closed:
            # An event, not a comment: scripts do not see comments.
            yield client.take() or encode(ALIVE, "", 0)
