"""A whole district at once: thousands of connections are let in, acknowledged, and come back all at the same moment."""

import contextlib
import resource
import selectors
import socket
import time
from collections.abc import Iterator

import pytest

from ingest.packets import Connack, Connect, Puback, encode
from tests.builders import SOAK
from tests.ingest.box import Box, data, until

DEVICES = 5_000 if SOAK else 600
PATIENCE_S = 60.0
ANSWER = {"hello": len(encode(Connack(0))), "message": len(encode(Puback(1)))}


@pytest.fixture(autouse=True)
def room_for_sockets() -> Iterator[None]:
    """Ours and theirs are in one process here."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * DEVICES + 1_000
    assert hard == resource.RLIM_INFINITY or hard >= wanted, "raise the hard limit of open files (nofile)"
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def name(number: int) -> str:
    return f"S-{number}"


class District:
    """So many devices behind one address, each a plain socket; whoever is turned away tries again."""

    def __init__(self, box: Box, count: int) -> None:
        self._box = box
        self._lines: list[socket.socket | None] = [None] * count
        self.again = 0

    def __enter__(self) -> "District":
        return self

    def __exit__(self, *_: object) -> None:
        self.vanish()

    def vanish(self) -> None:
        for line in self._lines:
            if line is not None:
                line.close()
        self._lines = [None] * len(self._lines)

    def come(self) -> None:
        """All dial at once and say CONNECT."""
        left = set(range(len(self._lines)))
        deadline = time.monotonic() + PATIENCE_S
        while left:
            assert time.monotonic() < deadline, f"{len(left)} are not let in"
            for number in left:
                line = self._lines[number] = socket.create_connection(("127.0.0.1", self._box.port), timeout=PATIENCE_S)
                with contextlib.suppress(OSError):  # it may be closed already
                    line.sendall(encode(Connect("gauge", True, 60, None, name(number), b"right")))
            left -= self._answered(left, ANSWER["hello"])
            self.again += len(left)

    def publish(self, round: int) -> None:
        """Everyone says something, and hears that it is safe."""
        for number in range(len(self._lines)):
            self._line(number).sendall(encode(data(b"%d of %d" % (round, number), 1, name(number))))
        everyone = set(range(len(self._lines)))
        assert self._answered(everyone, ANSWER["message"]) == everyone

    def _line(self, number: int) -> socket.socket:
        line = self._lines[number]
        assert line is not None
        return line

    def _answered(self, numbers: set[int], count: int) -> set[int]:
        """Who of them gets an answer of so many bytes, and is not closed instead."""
        got = dict.fromkeys(numbers, 0)
        good: set[int] = set()
        with selectors.DefaultSelector() as poll:
            for number in numbers:
                poll.register(self._line(number), selectors.EVENT_READ, number)
            while poll.get_map():
                ready = poll.select(PATIENCE_S)
                assert ready, "no answer, and no end"
                for key, _ in ready:
                    said = b""
                    with contextlib.suppress(ConnectionResetError):
                        said = key.fileobj.recv(64)  # type: ignore[union-attr]
                    got[key.data] += len(said)
                    if not said or got[key.data] == count:
                        poll.unregister(key.fileobj)
                        good |= {key.data} if said else set()
        for number in numbers - good:
            self._line(number).close()
        return good


def test_everyone_is_let_in_and_acknowledged_and_comes_back_at_once(box: Box) -> None:
    with District(box, DEVICES) as district:
        district.come()
        for round in range(3):
            district.publish(round)
        assert box.endpoint.counters.connections == DEVICES
        district.vanish()  # as in a power cut
        district.come()
        district.publish(3)
    until(lambda: box.endpoint.counters.connections == 0)
    expected = {b"%d of %d" % (round, number) for round in range(4) for number in range(DEVICES)}
    assert set(box.payloads) == expected
    assert len(box.payloads) == len(expected)
    assert (box.endpoint.counters.pauses, box.refusals) == (0, [])
    assert district.again <= DEVICES // 10, "who says at once who he is need not come twice"
