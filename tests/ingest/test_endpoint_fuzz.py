"""Every packet type of both versions, mutated, at every state of a real connection: nothing escapes, nothing stays.

Drawn by a plain generator and fed without a socket, so that a hundred thousand take a minute.
"""

import asyncio
import contextlib
import itertools
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any, cast

import pytest

from ingest.connection import Connection
from ingest.endpoint import Endpoint
from ingest.limits import Limits
from ingest.packets import (
    Connack,
    Connect,
    Disconnect,
    Packet,
    PacketReader,
    Pingreq,
    Pingresp,
    Properties,
    Puback,
    Publish,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
    Will,
    encode,
)
from ingest.pump import Pump, _Work
from ingest.topics import Topics
from tests.builders import SOAK

CASES = 100_000 if SOAK else 10_000
LIMITS = Limits(packet_bytes=4_096)
PREFIX = "takean/v1/WL-01"
BUFFER_BYTES_MAX = LIMITS.packet_bytes + 5 + 2_000
"""A packet at the bound, its fixed header, and what came in one piece with its end."""
STATES = ("before CONNECT", "let in", "listening", "told")


class Wire:
    """A transport that keeps what is written."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.written = b""
        self.is_shut = False
        self.protocol: Connection | None = None

    def get_extra_info(self, name: str) -> Any:
        return (f"10.0.{self.number >> 8 & 255}.{self.number & 255}", 1) if name == "peername" else None

    def write(self, data: bytes) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.is_shut

    def close(self) -> None:
        if not self.is_shut:
            self.is_shut = True
            assert self.protocol is not None
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)

    abort = close

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


class Bench:
    """An endpoint that does not listen, and a pump that is turned by hand."""

    def __init__(self) -> None:
        self.crashes: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: self.crashes.append(context))
        self.pump = Pump(process=lambda _: None, refuse=lambda *_: None, on_status=lambda *_: None, limits=LIMITS)
        self.endpoint = Endpoint(
            pump=self.pump,
            host="",
            port=None,
            topics=Topics("takean/v1"),
            check=lambda _, password: password == "right",
            now_us=lambda: 1_000,
        )
        self.number = 0

    async def turn(self) -> None:
        """Let everything happen that is due."""
        for _ in range(3):
            while self.pump.inbox.size:
                batch = self.pump.inbox.take()
                self.pump._do(_Work.of(batch))
                self.pump._acknowledge(batch)
            await asyncio.sleep(0)

    def open(self) -> tuple[Connection, Wire]:
        self.number += 1
        wire = Wire(self.number)
        connection = wire.protocol = Connection(self.endpoint)
        connection.connection_made(cast("asyncio.Transport", wire))
        return connection, wire


def hello(level: int) -> Connect:
    rich = Properties(receive_maximum=7, maximum_packet_bytes=2_000, topic_alias_maximum=3, session_expiry_s=9)
    will = Will(f"{PREFIX}/status", b'{"state": "offline"}', 1, True)
    return Connect("gauge", True, 60, will, "WL-01", b"right", level, rich if level == 5 else Properties())


def valid(level: int) -> Sequence[bytes]:
    """Packets of every type, right and out of place, as this version writes them."""
    said = Properties(reason="a reason") if level == 5 else Properties()
    rich = Properties(topic_alias=3, content_type="a", message_expiry_s=9) if level == 5 else Properties()
    packets: list[Packet] = [
        hello(level),
        Connect("", True, 0, None, "WL-01", b"wrong", level),
        Connack(0, properties=said),
        *(
            Publish(f"{PREFIX}/data".encode(), b'{"stage_m": 2}', qos, 9 * min(qos, 1), properties=rich)
            for qos in (0, 1, 2)
        ),
        Publish(f"{PREFIX}/data".encode(), bytes(300), 1, 65_535, dup=True, retain=True),
        Publish(f"{PREFIX}/status".encode(), b'{"state": "online"}', 1, 1),
        Publish(f"{PREFIX}/ack".encode(), b'{"id": "c1", "ok": true}', 1, 2),
        Publish(b"takean/v1/WL-02/data", b"{}", 1, 3),
        Puback(1, properties=said),
        Puback(77),
        Subscribe(4, ((f"{PREFIX}/cmd", 1), ("#", 0)), said if level == 4 else Properties(subscription_id=5)),
        Subscribe(5, ((f"{PREFIX}/cmd", 0),)),
        Suback(5, (0, 1), said),
        Unsubscribe(6, (f"{PREFIX}/cmd", "x")),
        Unsuback(6, (0,) if level == 5 else (), said),
        Pingreq(),
        Pingresp(),
        Disconnect(),
        Disconnect(4, said) if level == 5 else Disconnect(),
    ]
    other = [b"\x50\2\0\1", b"\x62\2\0\1", b"\x70\2\0\1", b"\xf0\2\x18\0", b"\0\0", b"\x16\3\1\2\0"]
    return [*(encode(packet, level) for packet in packets), *other]


def mutated(rng: Random, pool: Sequence[bytes]) -> bytes:
    """One to three packets with up to three faults."""
    data = bytearray(b"".join(rng.choices(pool, k=rng.choice((1, 1, 2, 3)))))
    for _ in range(rng.choice((0, 1, 1, 2, 3))):
        at = rng.randrange(len(data) + 1)
        match rng.randrange(7):
            case 0 if at < len(data):
                data[at] ^= 1 << rng.randrange(8)
            case 1 if at < len(data):
                data[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
            case 2:
                del data[at : at + rng.randrange(1, 9)]
            case 3:
                data[at:at] = rng.randbytes(rng.randrange(1, 9))
            case 4:
                del data[at:]
            case 5:
                data[at:at] = rng.choice(pool)
            case _:
                if len(data) > 1:  # the length says something else than the body
                    data[1] = rng.randrange(256)
    return bytes(data)


def pieces(rng: Random, data: bytes) -> Iterator[bytes]:
    edges = [0, *sorted(rng.randrange(len(data) + 1) for _ in range(rng.randrange(3))), len(data)]
    return (data[a:b] for a, b in itertools.pairwise(edges) if a < b)


async def brought_to(bench: Bench, state: str, level: int) -> tuple[Connection, Wire]:
    connection, wire = bench.open()
    if state != "before CONNECT":
        connection.data_received(encode(hello(level), level))
    if state in ("listening", "told"):
        connection.data_received(encode(Subscribe(1, ((f"{PREFIX}/cmd", 1),)), level))
    if state == "told":
        with contextlib.suppress(ValueError):  # there are many already
            bench.endpoint.commands.order("WL-01", {"do": "report"}, id=f"c{bench.number}", expires_us=2_000)
    await bench.turn()
    return connection, wire


async def one(bench: Bench, rng: Random, pools: dict[int, Sequence[bytes]]) -> str:
    """One connection; the cause of its end, or that it lives."""
    level, state = rng.choice((4, 5)), rng.choice(STATES)
    connection, wire = await brought_to(bench, state, level)
    before = len(wire.written)
    for piece in pieces(rng, mutated(rng, pools[rng.choice((level, level, level, 9 - level))])):
        connection.data_received(piece)
        if rng.random() < 0.3:
            await bench.turn()
        kept = connection._reader
        assert len(kept._buffer) - kept._position + len(kept._tail) <= BUFFER_BYTES_MAX
    await bench.turn()
    end = "closed"
    if not connection._closed:
        end = "waits for the rest"
        kept = connection._reader
        if not kept._buffer and not kept._tail:
            end = "answered"
            if connection.is_let_in:
                connection.data_received(encode(Pingreq()))
                assert wire.written.endswith(encode(Pingresp()))
    said = wire.written[before:]
    if state == "before CONNECT":  # the version is that of what was made of the CONNECT
        level = 4 if said[:2] == b"\x20\2" else 5
    reader = PacketReader(1_000_000, level=level)
    reader.feed(said)
    assert sum(1 for _ in reader.packets()) > 0 or not said
    assert not reader._buffer, "half a packet was said"
    wire.close()
    await bench.turn()
    return f"{state}: {end}"


async def fuzz(cases: int, seed: int) -> set[str]:
    bench, rng = Bench(), Random(seed)
    pools = {level: valid(level) for level in (4, 5)}
    seen = set()
    for number in range(cases):
        try:
            seen.add(await one(bench, rng, pools))
        except Exception as error:
            raise AssertionError(f"case {number} of seed {seed}") from error
    endpoint = bench.endpoint
    assert bench.crashes == []
    assert (len(endpoint.door), endpoint.door._knocking, dict(endpoint.door._knocking_from)) == (0, {}, {})
    assert (endpoint.door._clients, endpoint.door._of_station, endpoint.commands._listeners) == ({}, {}, {})
    inbox = bench.pump.inbox
    assert (inbox.size, inbox.bytes, dict(inbox._refusals), dict(inbox._waiting)) == (0, 0, {}, {})
    return seen


@pytest.mark.usefixtures("quiet")
def test_no_packet_of_any_type_in_any_state_escapes_or_leaves_anything_behind() -> None:
    seen = asyncio.run(fuzz(CASES, seed=Random().randrange(2**32) if SOAK else 7))
    assert seen == {f"{state}: {end}" for state in STATES for end in ("closed", "answered", "waits for the rest")}


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """A line of log for each refused connection is not what is measured."""
    caplog.set_level("ERROR", logger="ingest")
