"""A connection takes plain messages by the run: what arrives, and what it may hold, is as if they came one by one."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.commands import Commands
from ingest.connection import Connection
from ingest.door import Door
from ingest.inbox import MESSAGE_BYTES, Arrival, Inbox, Sender
from ingest.limits import Counters, Limits
from ingest.networks import Reach
from ingest.packets import Connect, Disconnect, Packet, Pingreq, Publish, Subscribe, encode
from ingest.topics import Topics
from tests.builders import thorough
from tests.ingest.test_mqtt5_packets import cut

TOPICS = Topics("takean/v1")
DATA = TOPICS.data("WL-01").encode()
LIMITS = Limits(unacked_messages=9, unacked_bytes=80 * MESSAGE_BYTES, inbox_bytes=76 * MESSAGE_BYTES)
OTHERS = (
    Pingreq(),
    Publish(DATA, b"of QoS 0"),
    Publish(TOPICS.status("WL-01").encode(), b"here", 1, 7),
    Publish(TOPICS.ack("WL-01").encode(), b'{"id": "x"}', 1, 8),
    Publish(TOPICS.ack("WL-01").encode(), b"{", 1, 9),
    Subscribe(3, ((TOPICS.cmd("WL-01"), 1),)),
)
ENDS = (b"", encode(Disconnect()), encode(Publish(DATA, b"", 2, 9)), encode(Publish(DATA + b"x", b"", 1, 9)), b"\x32\0")


class Wire(asyncio.Transport):
    """Takes what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.is_paused = self.is_closed = False

    def write(self, data: bytes) -> None:  # type: ignore[override]
        self.written += data

    def close(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False


class Host:
    """An endpoint whose pump is turned by hand."""

    def __init__(self) -> None:
        self.topics, self.limits, self.counters = TOPICS, LIMITS, Counters()
        self.check: Callable[[str, str], bool] = lambda *_: True
        self.reach: Callable[[str], Reach | None] = lambda _: None
        self.now_us: Callable[[], int] = lambda: 1
        self.door, self.inbox = Door(LIMITS), Inbox(LIMITS)
        self.commands = Commands(TOPICS, self.now_us)
        self.largest = 0

    def turned_away(self, address: str, cause: str, why: str) -> None:
        raise AssertionError(why)

    def put(self, arrival: Arrival) -> None:
        self.inbox.put(arrival)

    def put_run(self, sender: Sender, arrivals: Sequence[Arrival], payload_bytes: int) -> None:
        self.largest = max(self.largest, len(arrivals))
        self.inbox.put_run(sender, arrivals, payload_bytes)


class Singly(Connection):
    """Knows no runs."""

    def _take_run(self, received_us: int) -> bool:
        return False


def heard(kind: type[Connection], pieces: Sequence[bytes]) -> tuple[list[Any], int]:
    """What arrived in order, how full it was whenever the pump came, the answers and counts; and the longest run."""

    async def run() -> tuple[list[Any], int]:
        host, wire = Host(), Wire()
        connection, seen = kind(host), list[Any]()
        connection.connection_made(wire)
        waiting = list(pieces)
        while True:
            while waiting and not wire.is_paused and not wire.is_closed:
                connection.data_received(waiting.pop(0))
                while connection._resting:  # a busy machine: its turn was over before the piece was
                    await asyncio.sleep(0)
            assert connection.unacked <= LIMITS.unacked_messages
            seen.append((connection.unacked, connection.unacked_bytes, host.inbox.bytes, len(wire.written)))
            batch = host.inbox.take()
            if not batch:
                break
            seen += [(one.message, one.packet_id, one.status_of, one.rejection, one.ends, one.is_done) for one in batch]
            host.inbox.release(batch)
            connection.acknowledge([one.packet_id for one in batch if one.packet_id])
            for one in batch:
                if one.rejection is not None and one.ends:
                    one.sender.close("refused")
            host.inbox.resume()
            while connection._resting:
                await asyncio.sleep(0)
        assert host.inbox.bytes == connection.unacked == connection.unacked_bytes == 0
        connection.connection_lost(None)
        return [*seen, wire.written, host.counters.messages, dict(host.counters.closed)], host.largest

    return asyncio.run(run())


@thorough(100)
@given(
    st.lists(
        st.sampled_from((0, 20, 128, 900, 16_380)) | st.sampled_from((1, 2, 100)) | st.sampled_from(OTHERS), max_size=40
    ),
    st.sampled_from(ENDS),
    st.lists(st.integers(0, 20_000), max_size=8),
    st.sampled_from([4, 5]),
)
def test_wherever_the_stream_is_cut_the_same_arrives_within_the_same_bounds(
    sent: list[int | Packet], end: bytes, places: list[int], level: int
) -> None:
    packets = [
        Publish(DATA, bytes(one), 1, number, number % 2 == 0) if isinstance(one, int) else one
        for number, one in enumerate(sent, 1)
    ]
    hello = Connect("gauge", user_name="WL-01", password=b"p", level=level)
    stream = b"".join(encode(packet, level) for packet in [hello, *packets]) + end
    pieces = cut(stream, places)
    assert heard(Connection, pieces)[0] == heard(Singly, pieces)[0]


@pytest.mark.parametrize("level", [4, 5])
def test_runs_are_taken_at_all(level: int) -> None:
    hello = Connect("gauge", user_name="WL-01", password=b"p", level=level)
    stream = encode(hello, level) + b"".join(encode(Publish(DATA, bytes(9), 1, n), level) for n in range(1, 99))
    assert heard(Connection, [stream])[1] == LIMITS.unacked_messages
    assert heard(Singly, [stream])[1] == 0
