"""Our own MQTT 3.1.1 endpoint: devices connect straight to the box, and PUBACK means *on disk and judged*.

One event loop reads and writes sockets; one thread stores and judges, batch after batch. What arrives while the thread
is busy waits in the inbox, which is bounded by not reading from those who fill it. Nothing is routed between clients.

docs/wire.md is the contract, docs/mqtt.md says which statement of the standard is kept by which test.
"""

import asyncio
import logging
import socket
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, cast

import msgspec

from ingest.message import Message, Reason, Rejection
from ingest.packets import (
    SUBSCRIPTION_REFUSED,
    Connack,
    ConnackCode,
    Connect,
    Disconnect,
    Malformed,
    Packet,
    PacketReader,
    Pingreq,
    Pingresp,
    Puback,
    Publish,
    Suback,
    Subscribe,
    TooLarge,
    Unsuback,
    Unsubscribe,
    UnsupportedProtocol,
    encode,
    encode_pubacks,
)
from ingest.topics import Topics, is_station_name

log = logging.getLogger(__name__)

GATHER_S = 0.010
"""A batch holds at least what arrived in this time: one commit for many messages, and no river is that quick."""
RETRY_S = 0.05
"""First wait after a batch could not be stored or judged; doubled up to Limits.retry_s_max."""
KEEP_ALIVE_FACTOR = 1.5
"""[MQTT-3.1.2-24]"""
_MESSAGE_BYTES = 512
"""What a waiting message costs beside its payload, about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds; the defaults are those of docs/wire.md."""

    packet_bytes: int = 256 * 1024
    """Remaining length of a packet."""
    connect_bytes: int = 1024
    """Remaining length of CONNECT."""
    connect_s: float = 5.0
    """From accepting a connection to its CONNECT."""
    connections: int = 2_000
    unconnected_per_address: int = 64
    """Connections of one address that have not been let in yet."""
    unacked_messages: int = 2_000
    """Of one connection; beyond it, nothing is read from it."""
    unacked_bytes: int = 2 * 1024 * 1024
    """Of one connection, the same."""
    inbox_bytes: int = 128 * 1024 * 1024
    """Of all connections together: beyond it, nothing is read from any that sends."""
    batch_messages: int = 4_000
    client_id_chars: int = 64
    retry_s_max: float = 1.0
    close_s: float = 1.0
    """What a peer gets to take our last bytes before the connection is cut."""


@dataclass(slots=True)
class Counters:
    """What happened since the start, and what is so now; for /metrics."""

    connections: int = 0
    """Open now, let in or not."""
    accepted: int = 0
    messages: int = 0
    acknowledged: int = 0
    batches: int = 0
    failed_batches: int = 0
    """Tries that failed; the batch was kept and tried again."""
    pauses: int = 0
    """Times reading from a connection stopped: it or the inbox was full, or it did not take our answers."""
    refused: Counter[str] = field(default_factory=Counter)
    """Messages that went to quarantine from here, by reason of docs/wire.md."""
    closed: Counter[str] = field(default_factory=Counter)
    """Connections that we closed, by cause."""


class _Arrival(msgspec.Struct):
    """One thing to be done in its turn, and who waits for it."""

    message: Message
    connection: "_Connection"
    packet_id: int = 0
    """To be acknowledged when done; 0 where nobody waits."""
    status_of: str = ""
    """Station, for a birth or a last will."""
    rejection: Rejection | None = None
    """Goes to quarantine, and then the connection is closed."""
    unread_bytes: int | None = None

    @property
    def cost(self) -> int:
        """Bytes, for the bounds."""
        return len(self.message.payload) + _MESSAGE_BYTES


class _Inbox:
    """What waits to be stored and judged: one line for each station, served in turns.

    The lines are kept by station and not by connection, so that what a device sends after it came back never overtakes
    what it sent before, and a last will never overtakes the birth that follows it.
    """

    def __init__(self) -> None:
        self._lines: OrderedDict[str, deque[_Arrival]] = OrderedDict()
        self.size = 0
        self.bytes = 0

    def put(self, station: str, arrival: _Arrival) -> None:
        line = self._lines.get(station)
        if line is None:
            line = self._lines[station] = deque()
        line.append(arrival)
        self.size += 1
        self.bytes += arrival.cost

    def take(self, limit: int) -> list[_Arrival]:
        """Remove at most `limit` arrivals, an equal share of each line; the next call begins with those left out."""
        taken: list[_Arrival] = []
        while self._lines and len(taken) < limit:
            share = max(1, (limit - len(taken)) // len(self._lines))
            for station in list(self._lines):
                line = self._lines[station]
                taken += [line.popleft() for _ in range(min(share, len(line), limit - len(taken)))]
                if line:
                    self._lines.move_to_end(station)
                else:
                    del self._lines[station]
                if len(taken) == limit:
                    break
        self.size -= len(taken)
        return taken


class Endpoint:
    """Takes messages from devices and acknowledges each when it is safe.

    Parameters
    ----------
    host, port : where to listen; port 0 takes a free one, `address` says which
    topics : the world that is served
    check : (station, password) -> whether to let in; called on the event loop, must not block
    now_us : clock of judgement, microseconds UTC
    process : stores and judges messages, in order; called in one thread, never twice at once. Returns when all of them
        may be acknowledged. If it raises, the same messages are handed over again after a while: it must be idempotent.
    refuse : (message, rejection, length of a body that was not read or None) -> durable when it returns; same thread
    on_status : (station, payload, arrival in microseconds) for births and last wills, in order; same thread
    """

    def __init__(
        self,
        *,
        host: str,
        port: int,
        topics: Topics,
        check: Callable[[str, str], bool],
        now_us: Callable[[], int],
        process: Callable[[Sequence[Message]], None],
        refuse: Callable[[Message, Rejection, int | None], None],
        on_status: Callable[[str, bytes, int], None],
        limits: Limits | None = None,
    ) -> None:
        self.topics = topics
        self.limits = limits or Limits()
        self.counters = Counters()
        self.check = check
        self.now_us = now_us
        self._host = host
        self._port = port
        self._process = process
        self._refuse = refuse
        self._on_status = on_status
        self._inbox = _Inbox()
        self._gather_until_s = 0.0
        self._wake = asyncio.Event()
        self._connections: set[_Connection] = set()
        self._clients: dict[tuple[str, str], _Connection] = {}
        self._present: Counter[str] = Counter()  # station -> its connections
        self._unconnected: Counter[str] = Counter()  # address -> connections not let in yet
        self._full: list[_Connection] = []
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ingest")
        self._server: asyncio.Server | None = None
        self._pump: asyncio.Task[None] | None = None
        self.stopping = False
        self.healthy = True
        """False from a batch that could not be stored or judged until it could."""

    async def start(self) -> None:
        """Listen.

        Raises
        ------
        OSError : the address cannot be had
        """
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), self._host, self._port, backlog=1024)
        self._pump = loop.create_task(self._run())
        self._pump.add_done_callback(self._pump_ended)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that are listened to, after `start`."""
        if self._server is None or not self._server.sockets:
            raise RuntimeError("the endpoint is not listening")
        host, port = self._server.sockets[0].getsockname()[:2]
        return host, port

    async def stop(self, timeout_s: float = 5.0) -> None:
        """Stop accepting and reading, finish and acknowledge what has been taken in, close. Takes `timeout_s` at most.

        What is not finished by then stays unacknowledged, and the devices will send it again. Last wills are not taken:
        it is we who leave.
        """
        if self._server is None or self._pump is None:
            self._thread.shutdown(wait=False)
            return
        self.stopping = True
        self._server.close()
        for connection in self._connections:
            connection.hold()
        self._wake.set()
        _, unfinished = await asyncio.wait([self._pump], timeout=timeout_s)
        if unfinished:
            log.error("ingest: stopped after %g s without storing all; the devices keep the rest", timeout_s)
            self._pump.cancel()
            await asyncio.wait([self._pump])
        for connection in list(self._connections):
            connection.close("stopped")
        deadline_s = asyncio.get_running_loop().time() + self.limits.close_s + 0.5
        while self._connections and asyncio.get_running_loop().time() < deadline_s:
            await asyncio.sleep(0.005)
        await self._server.wait_closed()
        self._thread.shutdown(wait=False, cancel_futures=True)

    # What connections ask for.

    def enter(self, connection: "_Connection") -> bool:
        """Whether one more connection of this address may stay."""
        self._connections.add(connection)
        self._unconnected[connection.address] += 1
        self.counters.accepted += 1
        self.counters.connections = len(self._connections)
        return (
            not self.stopping
            and len(self._connections) <= self.limits.connections
            and self._unconnected[connection.address] <= self.limits.unconnected_per_address
        )

    def let_in(self, connection: "_Connection") -> None:
        """Register a client under its id, and close the one that had it [MQTT-3.1.4-2]."""
        _decrement(self._unconnected, connection.address)
        key = (connection.station, connection.client)
        older = self._clients.get(key)
        if older is not None:
            older.close("taken_over")
        self._clients[key] = connection
        self._present[connection.station] += 1

    def leave(self, connection: "_Connection", *, was_let_in: bool) -> None:
        """Forget a connection that is gone."""
        self._connections.discard(connection)
        self.counters.connections = len(self._connections)
        if not was_let_in:
            _decrement(self._unconnected, connection.address)
        self.disown(connection)

    def disown(self, connection: "_Connection") -> None:
        """Take the client id from a connection, if it still has it."""
        key = (connection.station, connection.client)
        if self._clients.get(key) is connection:
            del self._clients[key]
            _decrement(self._present, connection.station)

    def is_present(self, station: str) -> bool:
        """Whether the station has a connection that was let in."""
        return station in self._present

    def put(self, arrival: _Arrival) -> None:
        """Take in what is to be done in its turn."""
        connection = arrival.connection
        inbox = self._inbox
        if not inbox.size:
            self._gather_until_s = asyncio.get_running_loop().time() + GATHER_S
            self._wake.set()
        connection.unacked += 1
        connection.unacked_bytes += arrival.cost
        inbox.put(connection.station, arrival)

    def is_full_for(self, connection: "_Connection") -> bool:
        """Whether a connection must wait before more is read from it."""
        limits = self.limits
        return (
            connection.unacked >= limits.unacked_messages
            or connection.unacked_bytes >= limits.unacked_bytes
            or self._inbox.bytes >= limits.inbox_bytes
        )

    def call_when_free(self, connection: "_Connection") -> None:
        """Remember a connection that waits."""
        self._full.append(connection)

    # One batch after the other.

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while not self.stopping or self._inbox.size:
            if not self._inbox.size:
                self._wake.clear()
                await self._wake.wait()
                continue
            if not self.stopping:
                await asyncio.sleep(max(0.0, self._gather_until_s - loop.time()))
            batch = self._inbox.take(self.limits.batch_messages)
            self._gather_until_s = loop.time() + GATHER_S
            await self._finish(batch)
            self._acknowledge(batch)

    def _pump_ended(self, pump: asyncio.Task[None]) -> None:
        if not pump.cancelled() and (error := pump.exception()) is not None:
            self.healthy = False
            log.critical("ingest: a defect of ours; nothing is taken in until a restart", exc_info=error)

    async def _finish(self, batch: Sequence[_Arrival]) -> None:
        """Have a batch done, however often it takes; nothing behind it overtakes it."""
        loop = asyncio.get_running_loop()
        work = _Work.of(batch)
        wait_s = RETRY_S
        while True:
            try:
                await loop.run_in_executor(self._thread, self._do, work)
            except Exception:  # Whatever it was: a batch is never given up.
                self.counters.failed_batches += 1
                if self.healthy:
                    log.exception("ingest: a batch of %d could not be stored or judged; trying again", len(batch))
                self.healthy = False
                await asyncio.sleep(min(wait_s, self.limits.retry_s_max))
                wait_s *= 2
            else:
                if not self.healthy:
                    log.warning("ingest: batches are stored and judged again")
                self.healthy = True
                return

    def _do(self, work: "_Work") -> None:
        """Run in the thread. Keeps account of what is done, so that a second try goes on where the first one failed."""
        if work.readings:
            self._process(work.readings)
            work.readings = []
        while work.others:
            arrival = work.others[0]
            if arrival.rejection is not None:
                self._refuse(arrival.message, arrival.rejection, arrival.unread_bytes)
            else:
                self._on_status(arrival.status_of, arrival.message.payload, arrival.message.received_us)
            work.others.popleft()

    def _acknowledge(self, batch: Sequence[_Arrival]) -> None:
        runs: dict[_Connection, list[int]] = {}
        ended: list[_Connection] = []
        for arrival in batch:
            connection, cost = arrival.connection, arrival.cost
            connection.unacked -= 1
            connection.unacked_bytes -= cost
            self._inbox.bytes -= cost
            if arrival.packet_id:
                runs.setdefault(connection, []).append(arrival.packet_id)
            if arrival.rejection is not None:
                self.counters.refused[arrival.rejection.reason] += 1
                ended.append(connection)
        for connection, packet_ids in runs.items():
            if connection.send(encode_pubacks(packet_ids)):
                self.counters.acknowledged += len(packet_ids)
        for connection in ended:
            connection.close("refused")
        self.counters.batches += 1
        waiting, self._full = self._full, []
        for connection in waiting:
            connection.go_on()


def _decrement(counter: Counter[str], key: str) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]


@dataclass(slots=True)
class _Work:
    """What is left to do of a batch."""

    readings: Sequence[Message]
    others: deque[_Arrival]

    @classmethod
    def of(cls, batch: Sequence[_Arrival]) -> "_Work":
        work = cls([], deque())
        readings = []
        for arrival in batch:
            if arrival.status_of or arrival.rejection is not None:
                work.others.append(arrival)
            else:
                readings.append(arrival.message)
        work.readings = readings
        return work


class _Connection(asyncio.Protocol):
    """One TCP connection: reads packets, answers the cheap ones, hands messages to the endpoint."""

    _transport: asyncio.Transport

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._reader = PacketReader(endpoint.limits.connect_bytes)
        self._let_in = False
        self._closed = False
        self._full = False  # waits for its messages to be done
        self._choked = False  # waits for the peer to take what was written
        self._paused = False
        self._will: bytes | None = None
        self._keep_alive_s = 0.0
        self._alive_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._data_topic = b""
        self._data_topic_text = ""
        self._status_topic = b""
        self.address = ""
        self.station = ""
        self.client = ""
        self.unacked = 0
        self.unacked_bytes = 0

    # Called by the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.address = str((transport.get_extra_info("peername") or ("",))[0])
        peer: socket.socket | None = transport.get_extra_info("socket")
        if peer is not None:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if not self._endpoint.enter(self):
            self.close("too_many_connections")
            return
        self._after(self._endpoint.limits.connect_s, lambda: self.close("no_connect"))

    def data_received(self, data: bytes) -> None:
        if not self._closed:
            self._reader.feed(data)
            self._read()

    def pause_writing(self) -> None:
        self._choked = True
        self._adjust()

    def resume_writing(self) -> None:
        self._choked = False
        if not self._full:
            self._read()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        if not self._closed:
            self._end("lost")
        self._cancel_timer()
        self._endpoint.leave(self, was_let_in=self._let_in)

    # Called by the endpoint.

    def send(self, data: bytes) -> bool:
        """Write, unless the connection is gone: pending acknowledgements die with it."""
        if self._closed:
            return False
        self._transport.write(data)
        return True

    def hold(self) -> None:
        """Read no more."""
        self._full = True
        self._adjust()

    def go_on(self) -> None:
        """Read again, first what had been received already."""
        if self._closed or self._endpoint.stopping:
            return
        if self._endpoint.is_full_for(self):
            self._wait()
            return
        self._full = False
        self._alive_s = asyncio.get_running_loop().time()  # While nothing was read, silence was not the peer's fault.
        self._read()

    def close(self, cause: str) -> None:
        """Close from our side, after what was written is out; a peer that does not take it is cut off."""
        if self._closed:
            return
        self._endpoint.counters.closed[cause] += 1
        if self._let_in and cause != "disconnect":
            log.info("ingest: connection of %s as %r closed: %s", self.station, self.client, cause)
        self._end(cause)
        self._transport.close()
        self._after(self._endpoint.limits.close_s, self._transport.abort)

    def _end(self, cause: str) -> None:
        """Do once what the end of a connection asks for, whoever ended it."""
        self._closed = True
        self._cancel_timer()
        self._endpoint.disown(self)
        will, self._will = self._will, None
        # A device that came back under another client id is not away because its old connection at last timed out.
        if will is not None and cause != "stopped" and not self._endpoint.is_present(self.station):
            message = Message(self._status_topic.decode(), will, self._endpoint.now_us(), self.client)
            self._endpoint.put(_Arrival(message, self, status_of=self.station))

    # Reading.

    def _read(self) -> None:
        """Deal with what has been received, as far as the bounds allow."""
        endpoint = self._endpoint
        received_us = endpoint.now_us()
        count = 0
        try:
            if not self._held():
                for packet in self._reader.packets():
                    count += 1
                    if type(packet) is Publish and packet.topic == self._data_topic and packet.qos < 2:
                        message = Message(self._data_topic_text, packet.payload, received_us, self.client)
                        endpoint.put(_Arrival(message, self, packet.packet_id))
                        endpoint.counters.messages += 1
                    else:
                        self._handle(packet, received_us)
                    if self._closed:
                        return
                    if self._held():
                        break
                    if endpoint.is_full_for(self):
                        self._wait()
                        break
        except TooLarge as error:
            self._refuse_unread(error, received_us)
        except UnsupportedProtocol:
            if not self._let_in:
                self.send(encode(Connack(ConnackCode.UNACCEPTABLE_PROTOCOL_VERSION)))
            self.close("unsupported_protocol")
        except Malformed as error:
            log.info("ingest: malformed packet from %s: %s", self.station or "an unknown client", error.reason)
            self.close("malformed")
        if self._closed:
            return
        if count:
            self._alive_s = asyncio.get_running_loop().time()
        self._adjust()

    def _handle(self, packet: Packet, received_us: int) -> None:
        if not self._let_in:
            if isinstance(packet, Connect):
                self._connect(packet)
            else:
                self.close("malformed")  # [MQTT-3.1.0-1]
            return
        match packet:
            case Publish():
                self._publish(packet, received_us)
            case Pingreq():
                self.send(encode(Pingresp()))
            case Subscribe(packet_id, filters):
                own = self._endpoint.topics.cmd(self.station)
                codes = tuple(min(qos, 1) if name == own else SUBSCRIPTION_REFUSED for name, qos in filters)
                self.send(encode(Suback(packet_id, codes)))
            case Unsubscribe(packet_id):
                self.send(encode(Unsuback(packet_id)))
            case Disconnect():
                self._will = None  # [MQTT-3.14.4-3]
                self.close("disconnect")
            case Puback():
                pass  # Answers nothing of ours: no message of QoS 1 is ever sent.
            case _:
                self.close("malformed")  # A second CONNECT [MQTT-3.1.0-2], or what only a server says.

    def _connect(self, packet: Connect) -> None:
        endpoint = self._endpoint
        code, station = self._judge(packet)
        if code != ConnackCode.ACCEPTED:
            self.send(encode(Connack(code)))
            self.close(code.name.lower())
            return
        self.station = station
        self.client = packet.client_id or f"unnamed-{endpoint.counters.accepted}"
        self._data_topic_text = endpoint.topics.data(station)
        self._data_topic = self._data_topic_text.encode()
        self._status_topic = endpoint.topics.status(station).encode()
        endpoint.let_in(self)
        self._let_in = True
        self._will = None if packet.will is None else packet.will.payload
        self._reader.limit = endpoint.limits.packet_bytes
        self._cancel_timer()
        self._keep_alive_s = packet.keep_alive_s * KEEP_ALIVE_FACTOR
        if self._keep_alive_s:
            self._alive_s = asyncio.get_running_loop().time()
            self._after(self._keep_alive_s, self._watch)
        self.send(encode(Connack(ConnackCode.ACCEPTED)))

    def _judge(self, packet: Connect) -> tuple[ConnackCode, str]:
        """Decide on a CONNECT: 0x04 for what cannot be a credential, 0x05 for a wrong one."""
        endpoint = self._endpoint
        if len(packet.client_id) > endpoint.limits.client_id_chars:
            return ConnackCode.IDENTIFIER_REJECTED, ""
        if not packet.client_id and not packet.clean_session:
            return ConnackCode.IDENTIFIER_REJECTED, ""  # [MQTT-3.1.3-8]
        station = packet.user_name or ""
        if not is_station_name(station) or packet.password is None:
            return ConnackCode.BAD_USER_NAME_OR_PASSWORD, ""
        try:
            password = packet.password.decode()
        except UnicodeDecodeError:
            return ConnackCode.BAD_USER_NAME_OR_PASSWORD, ""
        if not endpoint.check(station, password):
            return ConnackCode.NOT_AUTHORIZED, ""
        if packet.will is not None and packet.will.topic != endpoint.topics.status(station):
            return ConnackCode.NOT_AUTHORIZED, ""
        return ConnackCode.ACCEPTED, station

    def _publish(self, packet: Publish, received_us: int) -> None:
        """Take a message that is not plain data: a status, or one to be refused."""
        if packet.qos == 2:
            self.close("qos_2")
            return
        topic = packet.topic.decode("utf-8", "replace")
        message = Message(topic, packet.payload, received_us, self.client)
        if packet.topic == self._status_topic:
            self._endpoint.counters.messages += 1
            self._endpoint.put(_Arrival(message, self, packet.packet_id, status_of=self.station))
            return
        detail = f"station {self.station} may publish only to its own data and status topics"
        self._refuse(_Arrival(message, self, rejection=Rejection(Reason.FOREIGN_TOPIC, detail)))

    def _refuse_unread(self, error: TooLarge, received_us: int) -> None:
        if not self._let_in:
            self.close("too_large")
            return
        message = Message("", b"", received_us, self.client)
        rejection = Rejection(Reason.TOO_LARGE, f"station {self.station}: {error.reason}")
        self._refuse(_Arrival(message, self, rejection=rejection, unread_bytes=error.length))

    def _refuse(self, arrival: _Arrival) -> None:
        """Send to quarantine in its turn. Nothing more is read; the connection is closed when the row is durable."""
        self._endpoint.put(arrival)
        self._full = True

    # Pausing and time.

    def _wait(self) -> None:
        """Read no more until the endpoint says so."""
        self._full = True
        self._endpoint.call_when_free(self)

    def _held(self) -> bool:
        return self._full or self._choked

    def _adjust(self) -> None:
        """Let the socket be read, or not."""
        paused = self._held()
        if paused == self._paused or self._closed or self._transport.is_closing():
            return
        self._paused = paused
        if paused:
            self._endpoint.counters.pauses += 1
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def _watch(self) -> None:
        """Close when nothing came for 1.5 times the keep alive, unless it was we who did not read."""
        quiet_s = asyncio.get_running_loop().time() - self._alive_s
        if self._full:
            self._after(self._keep_alive_s, self._watch)
        elif quiet_s >= self._keep_alive_s:
            self.close("keep_alive")
        else:
            self._after(self._keep_alive_s - quiet_s, self._watch)

    def _after(self, delay_s: float, what: Callable[[], Any]) -> None:
        self._timer = asyncio.get_running_loop().call_later(delay_s, what)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
