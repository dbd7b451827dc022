"""Servers to mirror to, a mirror driven by hand, and the comparison of what it holds with what the journal holds."""

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest

from sensors.batch import Float64, Int64
from sensors.flags import Flags
from sensors.store import DAY_US, History, SeriesReader
from sensors.store.arrivals import Arrivals, arrivals
from sensors.store.destination import LIMITS, Destination
from sensors.store.duck import DuckStore
from sensors.store.influx import InfluxReader
from sensors.store.mirror import Mirror
from sensors.store.victoria import VictoriaReader
from sensors.store.writer import Target, Writer
from tests.builders import T0_US
from tests.sensors.servers import InfluxDB, Server, VictoriaMetrics

BUCKET = "takean"
PATIENCE_S = 60.0
VALUE_WITHIN = 1e-9
"""What VictoriaMetrics may be off by (`sensors.store.destination.VICTORIA`), and large values by their last digit."""
DIGITS = 1e-15
ROWS_MAX = 10_000_000
_kinds = itertools.count(1)


def now_us() -> int:
    return time.time_ns() // 1000


def unused_kind() -> str:
    """A world of its own on a server that serves many tests."""
    return f"test{time.time_ns():x}{next(_kinds)}"


@pytest.fixture(scope="module")
def influxdb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InfluxDB]:
    """One that runs, with the place that mirrors write to."""
    server = InfluxDB(tmp_path_factory.mktemp("influxdb"))
    try:
        server.start()
        server.make(BUCKET)
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def victoria(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VictoriaMetrics]:
    """One that runs."""
    server = VictoriaMetrics(tmp_path_factory.mktemp("victoria"))
    try:
        server.start()
        yield server
    finally:
        server.stop()


def destination_of(server: Server) -> Destination:
    """How a mirror is told of a server."""
    if isinstance(server, VictoriaMetrics):
        return Destination(name="victoria", kind="victoriametrics", url=server.url, bucket=BUCKET)
    return Destination(name="influx", kind="influxdb", url=server.url, bucket=BUCKET)


def reader_of(server: Server, kind: str) -> InfluxReader | VictoriaReader:
    """How its rows are read."""
    destination = destination_of(server)
    if isinstance(server, InfluxDB):
        return InfluxReader(destination, kind=kind)
    return VictoriaReader(destination, kind=kind, now_us=now_us)


class JournalFeed:
    """A journal in the same process, its times moved by `shift_us`."""

    def __init__(self, store: DuckStore, keys: Sequence[str], *, shift_us: int = 0) -> None:
        self.store, self.keys, self.shift_us = store, keys, shift_us

    def after(self, seq: int, *, mark: str, rows: int) -> Arrivals:
        found = arrivals(self.store, self.keys, after_seq=seq, mark=mark, rows=rows)
        return replace(found, time_us=found.time_us + self.shift_us)


def mirror_of(
    server: Server,
    feed: JournalFeed,
    path: Path,
    *,
    kind: str,
    target: Target | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Mirror:
    """A mirror on a real server."""
    destination = destination_of(server)
    return Mirror(
        name=destination.name,
        kind=kind,
        limits=LIMITS[destination.kind],
        target=target or Writer(destination),
        feed=feed,
        path=path,
        clock=clock,
        random=Random(1),
    )


def catch_up(mirror: Mirror, store: DuckStore) -> None:
    """Turn until nothing waits."""
    deadline_s = time.monotonic() + PATIENCE_S
    while mirror.progress.sent < store.last_seq() or mirror.reason:
        assert time.monotonic() < deadline_s, f"{mirror.progress.sent} of {store.last_seq()}: {mirror.reason}"
        time.sleep(min(0.05, mirror.turn()))


class Mirrored:
    """A `SeriesStore` that is written to the journal and read from a mirror of it.

    Servers take nothing that is too far ahead of their clock, so times are moved to five days ago and back.
    """

    def __init__(self, server: Server, folder: Path, keys: Sequence[str]) -> None:
        self._store = DuckStore(folder / "journal.duckdb", keys)
        self.recognise, self.append = self._store.recognise, self._store.append
        self.scan, self.last_seq, self.check = self._store.scan, self._store.last_seq, self._store.check
        self.revise = self._store.revise
        self._shift_us = (now_us() - T0_US) // DAY_US * DAY_US - 5 * DAY_US
        self._server, kind = server, unused_kind()
        feed = JournalFeed(self._store, keys, shift_us=self._shift_us)
        self._writer = Writer(destination_of(server))
        self._mirror = mirror_of(server, feed, folder / "mirror.json", kind=kind, target=self._writer)
        self._reader = reader_of(server, kind)

    def history(self, key: str, *, from_us: int, to_us: int, limit: int) -> History:
        self._send()
        found = self._reader.history(key, from_us=from_us + self._shift_us, to_us=to_us + self._shift_us, limit=limit)
        return replace(found, time_us=found.time_us - self._shift_us)

    def latest(self, keys: list[str]) -> tuple[Int64, Float64, Flags]:
        self._send()
        time_us, value, flag = self._reader.latest(keys)
        return np.where(time_us > 0, time_us - self._shift_us, 0), value, flag

    def totals(self, keys: list[str], *, from_us: int, to_us: int) -> tuple[Float64, Int64]:
        self._send()
        return self._reader.totals(keys, from_us=from_us + self._shift_us, to_us=to_us + self._shift_us)

    def close(self) -> None:
        self._reader.close()
        self._writer.close()
        self._store.close()

    def _send(self) -> None:
        catch_up(self._mirror, self._store)
        self._server.settle()


def same_rows(
    journal: SeriesReader, mirror: SeriesReader, keys: Sequence[str], *, step_us: int = 1, within: float = 0.0
) -> list[str]:
    """What differs between the first values of a journal and those of a mirror; empty when nothing does.

    Parameters
    ----------
    step_us : how fine the mirror's times are; of the journal's readings within one step the mirror must hold one
    within : how far values may be apart
    """
    found = []
    for key in keys:
        here, there = (_by_step(reader, key, step_us) for reader in (journal, mirror))
        for what, steps in (("missing", here.keys() - there.keys()), ("not the journal's", there.keys() - here.keys())):
            if steps:
                found.append(f"{key}: {len(steps)} of {len(here)} rows are {what}, the first at {min(steps) * step_us}")
        for at in sorted(here.keys() & there.keys()):
            ((value, flag),) = there[at]
            if not any(f == flag and _is_same(v, value, within) for v, f in here[at]):
                found.append(f"{key}: {value!r} with flag {flag} at {at * step_us}, and not {here[at]}")
    return found


def _is_same(value: float, other: float, within: float) -> bool:
    if value == other or (np.isnan(value) and np.isnan(other)):
        return True
    return within > 0 and abs(value - other) <= within + DIGITS * abs(value)


def _by_step(reader: SeriesReader, key: str, step_us: int) -> dict[int, list[tuple[float, int]]]:
    rows = reader.history(key, from_us=0, to_us=2**62, limit=ROWS_MAX)
    steps: dict[int, list[tuple[float, int]]] = {}
    for time_us, value, flag in zip(*(c.tolist() for c in (rows.time_us, rows.value, rows.flag)), strict=True):
        steps.setdefault(time_us // step_us, []).append((value, flag))
    return steps


def differences(server: Server, journal: SeriesReader, keys: Sequence[str], *, kind: str) -> list[str]:
    """`same_rows` for a server, with what its kind cannot hold exactly allowed for."""
    server.settle()
    is_coarse = isinstance(server, VictoriaMetrics)
    reader = reader_of(server, kind)
    try:
        return same_rows(
            journal, reader, keys, step_us=1_000 if is_coarse else 1, within=VALUE_WITHIN if is_coarse else 0.0
        )
    finally:
        reader.close()
