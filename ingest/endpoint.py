"""Our own MQTT 3.1.1 endpoint: devices connect straight to the box, and PUBACK means *on disk and judged*.

`ingest.connection` is one device's socket, `ingest.door` who may come in, `ingest.pump` what becomes of what they send;
here they meet. Nothing is routed between clients.
docs/wire.md is the contract, docs/mqtt.md says which statement of the standard is kept by which test.
"""

import asyncio
import logging
import os
import resource
import socket
from collections.abc import Callable, Sequence, Set

from ingest.certificates import Certificates, TlsOptions
from ingest.commands import Commands
from ingest.connection import Connection
from ingest.door import Door
from ingest.inbox import Arrival, Sender
from ingest.limits import Limits
from ingest.networks import Reach
from ingest.pump import Pump
from ingest.tls import TlsLayer
from ingest.topics import Topics
from ingest.turns import Turns

log = logging.getLogger(__name__)

ACCEPTED_AT_ONCE = 16
"""New connections for one turn of the event loop: who comes with a thousand others must have said who he is before the
bound on those who have not is reached."""
BACKLOG = 4_096
"""Connections that wait in the kernel to be accepted, all of a district after a power cut."""
SAY_S = 60.0
"""How often it is said for each cause that somebody was turned away."""
FILES_OF_OTHERS = 500
"""File descriptors left to the stores and the web when every connection is taken."""


class Endpoint:
    """Takes messages from devices; each is acknowledged when it is safe.

    Parameters
    ----------
    pump : started before and stopped after this
    host, port : where to listen without TLS; port 0 takes a free one, `address` says which; None: nowhere
    topics : the world that is served
    check : (station, password) -> whether to let in; called on the event loop, must not block
    now_us : clock of judgement, microseconds UTC
    limits : bounds of connections; those of the pump where not given
    tls : where to listen with TLS; None: nowhere
    commands : to devices; none can be given where it is not given
    reach : name of a network -> what it may publish; None for a station, which may publish on its own topics
    """

    def __init__(
        self,
        *,
        pump: Pump,
        host: str,
        port: int | None,
        topics: Topics,
        check: Callable[[str, str], bool],
        now_us: Callable[[], int],
        limits: Limits | None = None,
        tls: TlsOptions | None = None,
        commands: Commands | None = None,
        reach: Callable[[str], Reach | None] = lambda _: None,
    ) -> None:
        self.topics = topics
        self.limits = limits or pump.limits
        self.counters = pump.counters
        self.check = check
        self.reach = reach
        self.now_us = now_us
        self.door = Door(self.limits)
        self.inbox = pump.inbox
        self.stopping = False
        self._pump = pump
        self._host = host
        self._port = port
        self._tls = tls
        self.commands = commands or Commands(topics, now_us)
        self._server: asyncio.Server | None = None
        self._tls_server: asyncio.Server | None = None
        self._say_s: dict[str, float] = {}  # cause -> until when nothing more is said of it

    async def start(self) -> None:
        """Listen.

        Raises
        ------
        OSError : an address cannot be had, or the certificate cannot be read
        """
        if self._tls is not None:
            certificates, turns = Certificates(self._tls), Turns()
        _allow_files(self.limits.connections + FILES_OF_OTHERS)
        if self._port is not None:
            self._server = await _listen(lambda: Connection(self), self._host, self._port)
        if self._tls is not None:
            self._tls_server = await _listen(
                lambda: TlsLayer(Connection(self), certificates.context(), turns), self._tls.host, self._tls.port
            )

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that are listened to, after `start`; those with TLS where there are no others."""
        return _address(self._server) if self._server is not None else self.tls_address

    @property
    def tls_address(self) -> tuple[str, int]:
        """The same with TLS."""
        return _address(self._tls_server)

    def expel(self, names: Set[str]) -> None:
        """Close the connections of these stations and networks: their secrets let in no more."""
        for guest in self.door.guests():
            if guest.station in names:
                guest.close("secret_removed")

    def turned_away(self, address: str, cause: str, why: str) -> None:
        """Say why somebody was not let in; of those who come by the thousand once a minute for each cause."""
        now_s = asyncio.get_running_loop().time()
        if now_s >= self._say_s.get(cause, 0.0):
            self._say_s[cause] = now_s + SAY_S
            log.warning("ingest: %s was turned away: %s (said once a minute)", address, why)

    def put(self, arrival: Arrival) -> None:
        """Take in what is to be done in its turn."""
        self._pump.put(arrival)

    def put_run(self, sender: Sender, arrivals: Sequence[Arrival], payload_bytes: int) -> None:
        """Take in messages of one sender; see `Inbox.put_run`."""
        self._pump.put_run(sender, arrivals, payload_bytes)

    async def stop(self, timeout_s: float = 5.0) -> None:
        """Stop accepting and reading, let what has been taken in be acknowledged, close. Takes `timeout_s` at most.

        What is not finished by then stays unacknowledged, and the devices will send it again. Last wills are not taken:
        it is we who leave.
        """
        servers = [server for server in (self._server, self._tls_server) if server is not None]
        self.stopping = True
        self.door.is_shut = True
        for server in servers:
            server.close()
        for guest in self.door.guests():
            guest.hold()
        await self._pump.finish([g for g in self.door.guests() if isinstance(g, Connection)], timeout_s)
        for guest in self.door.guests():
            guest.close("stopped")
        deadline_s = asyncio.get_running_loop().time() + self.limits.close_s + 0.5
        while len(self.door) and asyncio.get_running_loop().time() < deadline_s:
            await asyncio.sleep(0.005)
        for server in servers:
            await server.wait_closed()


async def _listen(made: Callable[[], asyncio.BaseProtocol], host: str, port: int) -> asyncio.Server:
    """Accept few at a time, and let many wait in the kernel; asyncio has one number for both."""
    server = await asyncio.get_running_loop().create_server(made, host, port, backlog=ACCEPTED_AT_ONCE)
    for listening in server.sockets:
        with socket.socket(fileno=os.dup(listening.fileno())) as same:
            same.listen(BACKLOG)
    return server


def _address(server: asyncio.Server | None) -> tuple[str, int]:
    if server is None or not server.sockets:
        raise RuntimeError("the endpoint is not listening")
    host, port = server.sockets[0].getsockname()[:2]
    return host, port


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
