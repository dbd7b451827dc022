"""Our own MQTT 3.1.1 endpoint: devices connect straight to the box, and PUBACK means *on disk and judged*.

`ingest.connection` is one device's socket, `ingest.door` who may come in, `ingest.pump` what becomes of what they send;
here they meet. Nothing is routed between clients.
docs/wire.md is the contract, docs/mqtt.md says which statement of the standard is kept by which test.
"""

import asyncio
import logging
import resource
from collections.abc import Callable

from ingest.connection import Connection
from ingest.door import Door
from ingest.inbox import Arrival
from ingest.limits import Limits
from ingest.pump import Pump
from ingest.topics import Topics

log = logging.getLogger(__name__)

FILES_OF_OTHERS = 500
"""File descriptors left to the stores and the web when every connection is taken."""


class Endpoint:
    """Takes messages from devices; each is acknowledged when it is safe.

    Parameters
    ----------
    pump : started before and stopped after this
    host, port : where to listen; port 0 takes a free one, `address` says which
    topics : the world that is served
    check : (station, password) -> whether to let in; called on the event loop, must not block
    now_us : clock of judgement, microseconds UTC
    limits : bounds of connections; those of the pump where not given
    """

    def __init__(
        self,
        *,
        pump: Pump,
        host: str,
        port: int,
        topics: Topics,
        check: Callable[[str, str], bool],
        now_us: Callable[[], int],
        limits: Limits | None = None,
    ) -> None:
        self.topics = topics
        self.limits = limits or pump.limits
        self.counters = pump.counters
        self.check = check
        self.now_us = now_us
        self.door = Door(self.limits)
        self.inbox = pump.inbox
        self.stopping = False
        self._pump = pump
        self._host = host
        self._port = port
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen.

        Raises
        ------
        OSError : the address cannot be had
        """
        _allow_files(self.limits.connections + FILES_OF_OTHERS)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self), self._host, self._port, backlog=1024)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that are listened to, after `start`."""
        if self._server is None or not self._server.sockets:
            raise RuntimeError("the endpoint is not listening")
        host, port = self._server.sockets[0].getsockname()[:2]
        return host, port

    def put(self, arrival: Arrival) -> None:
        """Take in what is to be done in its turn."""
        self._pump.put(arrival)

    async def stop(self, timeout_s: float = 5.0) -> None:
        """Stop accepting and reading, let what has been taken in be acknowledged, close. Takes `timeout_s` at most.

        What is not finished by then stays unacknowledged, and the devices will send it again. Last wills are not taken:
        it is we who leave.
        """
        if self._server is None:
            return
        self.stopping = True
        self.door.is_shut = True
        self._server.close()
        for guest in self.door.guests():
            guest.hold()
        await self._pump.finish([g for g in self.door.guests() if isinstance(g, Connection)], timeout_s)
        for guest in self.door.guests():
            guest.close("stopped")
        deadline_s = asyncio.get_running_loop().time() + self.limits.close_s + 0.5
        while len(self.door) and asyncio.get_running_loop().time() < deadline_s:
            await asyncio.sleep(0.005)
        await self._server.wait_closed()


def _allow_files(wanted: int) -> None:
    """Raise this process' bound of open files: sockets must never leave the stores without one.

    1,024, which many systems begin with, is less than the connections we take; then the journal could not be opened.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    reached = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (reached, hard))
    if reached < wanted:
        log.warning(
            "ingest: %d open files are allowed, but %d may be needed; raise the limit (nofile)", reached, wanted
        )
