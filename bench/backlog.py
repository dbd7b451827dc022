"""What the living wait while the dead return: `python -m bench.backlog`.

Two hundred stations come back at once, each with a month it could not send, in packs as loggers send them. Twenty
others report all the while, a few times a second each, and want to be judged now.
"""

import multiprocessing
import os
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from bench.many import PUBACK_BYTES, drive, packets_of
from bench.mqtt_load import connect
from bench.saturate import cpu_s
from sensors.batch import Float64
from tests.live.crash import until, worker_pid
from tests.live.records import Reading, now_us, payload
from tests.live.ways import EndpointWay, published, topic

RETURNING = [f"B-{number}" for number in range(200)]
LIVE = [f"L-{number}" for number in range(20)]
DAYS, CADENCE_S = 30, 900
WINDOW = 4
"""Packs under way of one logger."""
LIVE_PER_S = 80
"""Of all together."""
CALM_S = 5
"""Of live readings alone, before."""


@dataclass(frozen=True, kw_only=True)
class Return:
    """One row of the table."""

    what: str
    pack: int = 50
    """Readings of a message."""
    fresh_first: bool = False
    """What is measured now goes before the queue, so that all of the queue is beyond the bound of lateness."""
    newest_first: bool = False


RETURNS = (
    Return(what="the queue, oldest first"),
    Return(what="one of now, then the queue", fresh_first=True),
    Return(what="newest first", newest_first=True),
    Return(what="one reading a message, after one of now", pack=1, fresh_first=True),
)


def main() -> None:
    """Print the table."""
    readings = DAYS * 86_400 // CADENCE_S
    print(f"\n{len(RETURNING)} stations return with {readings:,} readings each; {len(LIVE)} others send {LIVE_PER_S}/s")
    print(
        "| how they return | s | readings/s | worker CPU µs a reading | live p50 ms | p99 | worst | p99 before | load |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for returning in RETURNS:
        with TemporaryDirectory() as folder, ExitStack() as stack:
            print(row(stack, Path(folder), returning), flush=True)


def row(stack: ExitStack, folder: Path, returning: Return) -> str:
    """Run one return on a box of its own."""
    way = EndpointWay(stack, folder, [*RETURNING, *LIVE], cadence_s=CADENCE_S)
    pid = worker_pid(way.box)
    packets = {station: packets_of(topic(station), packs(returning, now_us())) for station in RETURNING}
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    loggers = spawn.Process(target=_return, args=(theirs, way.port, packets, way.secrets), daemon=True)
    loggers.start()
    live = Live(way.port, way.secrets)
    stack.callback(live.close)
    ours.recv()
    calm_until_s = time.perf_counter() + CALM_S
    calm_ms = live.send(lambda: time.perf_counter() >= calm_until_s)
    before_s, begin = cpu_s(pid), time.perf_counter()
    ours.send(None)
    waits_ms = live.send(ours.poll)
    seconds, cpu = time.perf_counter() - begin, cpu_s(pid) - before_s
    loggers.join()
    stored = len(RETURNING) * DAYS * 86_400 // CADENCE_S
    until(lambda: way.box.metric("takean_stored_seq") >= stored, "the last reading")
    assert worker_pid(way.box) == pid, "the worker died"
    p50, p99 = np.percentile(waits_ms, (50, 99))
    return (
        f"| {returning.what} | {seconds:.0f} | {stored / seconds:,.0f} | {cpu / stored * 1e6:.1f} | {p50:.0f} "
        f"| {p99:.0f} | {waits_ms.max():.0f} | {np.percentile(calm_ms, 99):.0f} | {os.getloadavg()[0]:.1f} |"
    )


def packs(returning: Return, end_us: int) -> list[bytes]:
    """A month of a river with one flood over its banks, as messages."""
    count = DAYS * 86_400 // CADENCE_S
    time_us = end_us - (count - np.arange(count, dtype=np.int64)) * CADENCE_S * 1_000_000
    hours = (np.arange(count) - count * 0.6) * CADENCE_S / 3_600
    stage_m = 1.0 + 0.05 * np.sin(hours / 5) + 3.4 * np.exp(-((hours / 24) ** 2))
    texts = [payload(Reading("", t, v)) for t, v in zip(time_us.tolist(), stage_m.tolist(), strict=True)]
    if returning.newest_first:
        texts.reverse()
    first = [payload(Reading("", end_us, 1.0))] if returning.fresh_first else []
    if returning.pack == 1:
        return first + texts
    return first + [
        b"[" + b",".join(texts[i : i + returning.pack]) + b"]" for i in range(0, len(texts), returning.pack)
    ]


def _return(parent: Connection, port: int, packets: dict[str, list[bytes]], secrets: dict[str, str]) -> None:
    def begin() -> None:
        parent.send("connected")
        parent.recv()

    drive("127.0.0.1", port, packets, secrets, window=WINDOW, begin=begin)
    parent.send("done")


class Live:
    """Stations that report all the while, each by its own connection, in turns at an even pace."""

    def __init__(self, port: int, secrets: dict[str, str]) -> None:
        self._poll = selectors.DefaultSelector()
        self._lines = [
            _Line(station, connect("127.0.0.1", port, station, secrets[station], 30.0)[0]) for station in LIVE
        ]
        for line in self._lines:
            self._poll.register(line.socket, selectors.EVENT_READ, line)

    def close(self) -> None:
        for line in self._lines:
            line.socket.close()
        self._poll.close()

    def send(self, is_over: Callable[[], bool]) -> Float64:
        """Report until it is over; returns the milliseconds from each publish to its PUBACK, the last one's too."""
        begin, count = time.perf_counter(), 0
        while not is_over():
            line = self._lines[count % len(self._lines)]
            line.publish()
            count += 1
            while (left_s := begin + count / LIVE_PER_S - time.perf_counter()) > 0:
                self._answers(left_s)
        while any(line.sent_s for line in self._lines):
            self._answers(1.0)
        waits_ms = np.array([wait for line in self._lines for wait in line.waits_s]) * 1e3
        for line in self._lines:
            line.waits_s.clear()
        return waits_ms

    def _answers(self, wait_s: float) -> None:
        for key, _ in self._poll.select(wait_s):
            key.data.answered()


@dataclass(slots=True)
class _Line:
    station: str
    socket: socket.socket
    sent_s: deque[float] = field(default_factory=deque)
    """When what waits for its PUBACK was published, in order."""
    waits_s: list[float] = field(default_factory=list)
    _half_bytes: int = 0

    def publish(self) -> None:
        reading = payload(Reading(self.station, time.time_ns() // 1_000_000 * 1_000, 1.0))
        self.sent_s.append(time.perf_counter())
        self.socket.sendall(published(topic(self.station), reading, len(self.waits_s) % 60_000 + 1))

    def answered(self) -> None:
        data, now_s = self.socket.recv(65_536), time.perf_counter()
        assert data, "the connection was closed where a PUBACK was due"
        count, self._half_bytes = divmod(self._half_bytes + len(data), PUBACK_BYTES)
        self.waits_s += [now_s - self.sent_s.popleft() for _ in range(count)]


if __name__ == "__main__":
    main()
