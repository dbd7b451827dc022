"""Mirrors on real servers that are killed: in the end each holds what the journal holds.

What becomes of those of a whole box is in `test_matrix`.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np
import pytest

from sensors.batch import ReadingBatch
from sensors.store import DAY_US, Away
from sensors.store.destination import Destination
from sensors.store.duck import DuckStore
from sensors.store.influx import InfluxReader
from sensors.store.mirror import Mirror
from sensors.store.writer import Writer
from tests.builders import SOAK
from tests.live.records import STATIONS, now_us
from tests.sensors.mirrored import (
    JournalFeed,
    catch_up,
    differences,
    mirror_of,
    reader_of,
    unused_kind,
)
from tests.sensors.servers import InfluxDB, Server, VictoriaMetrics

pytestmark = pytest.mark.live

KEYS = [f"{station}/stage_m" for station in STATIONS]
ROWS = 200_000 if SOAK else 20_000
DEATHS = 6 if SOAK else 1
PATIENCE_S = 60.0
SECOND_US = 1_000_000


@pytest.fixture(params=["influxdb", "victoria"])
def server(request: pytest.FixtureRequest) -> Server:
    found: Server = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[DuckStore]:
    with closing(DuckStore(tmp_path / "journal.duckdb", KEYS)) as made:
        yield made


@pytest.fixture
def mirrored(journal: DuckStore, tmp_path: Path) -> Iterator["Make"]:
    """Makes a mirror of the journal on a server, as a world of its own; a second one goes on where the first died."""
    with ExitStack() as stack:

        def make(server: Server, kind: str) -> Mirror:
            mirror = mirror_of(server, JournalFeed(journal, KEYS), tmp_path / "mirror.json", kind=kind)
            stack.callback(mirror.target.close)
            return mirror

        yield make


Make = Callable[[Server, str], Mirror]


def put(store: DuckStore, values: list[float], *, flag: int = 1) -> None:
    """Rows of all stations by turns, a second apart, from a day ago on."""
    n, first = len(values), store.last_seq()
    time_us = now_us() // DAY_US * DAY_US - DAY_US + SECOND_US * (first + np.arange(n))
    batch = ReadingBatch.of(
        series=(first + np.arange(n)) % len(KEYS), time_us=time_us, value=values, received_us=np.full(n, now_us())
    )
    store.append(batch, np.zeros(n, dtype=np.bool_), np.full(n, flag, dtype=np.uint8), np.zeros(n, dtype=np.uint32))


def levels(n: int, seed: int) -> list[float]:
    """As formulas give them: with all the digits a float has."""
    return (2.0 + np.random.default_rng(seed).normal(0, 1, n)).tolist()  # type: ignore[no-any-return]


def until(condition: Callable[[], bool], what: str) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline_s, f"waited {PATIENCE_S:g} s in vain for {what}"
        time.sleep(0.05)


def test_every_float_comes_back_as_exactly_as_the_server_can(
    server: Server, journal: DuckStore, mirrored: Make
) -> None:
    kind, edges = unused_kind(), [0.1 + 0.2, 2.3699999999999997, -0.0, 0.0, 1e-7, 1e9, -1e9, 123_456_789.123_456_79]
    put(journal, [*edges, *levels(2_000, 1)])
    put(journal, [float("nan")] * 5, flag=9)
    if isinstance(server, InfluxDB):
        put(journal, [5e-324, 1.7976931348623157e308, -1e-300])
    catch_up(mirrored(server, kind), journal)
    assert differences(server, journal, KEYS, kind=kind) == []


def test_one_value_beyond_all_bounds_does_not_spoil_those_beside_it(
    victoria: VictoriaMetrics, journal: DuckStore, mirrored: Make
) -> None:
    kind = unused_kind()
    put(journal, [*levels(400, 2), 1e300, 1e300, 1e300, 1e300, *levels(400, 3)])
    mirror = mirrored(victoria, kind)
    catch_up(mirror, journal)
    found = differences(victoria, journal, KEYS, kind=kind)
    assert len(found) == 4, found
    assert all("nan with flag 1" in text for text in found)
    assert mirror.word().refused == {"range": 4}


def test_of_two_readings_within_a_millisecond_the_first_is_held_and_the_other_counted(
    victoria: VictoriaMetrics, journal: DuckStore, mirrored: Make
) -> None:
    kind, time_us = unused_kind(), now_us() - SECOND_US + np.array([300, 900, 1_000, 100])
    batch = ReadingBatch.of(series=[0, 0, 0, 1], time_us=time_us, value=[1.0, 2.0, 3.0, 4.0], received_us=time_us)
    journal.append(batch, np.zeros(4, dtype=np.bool_), np.ones(4, dtype=np.uint8), np.zeros(4, dtype=np.uint32))
    mirror = mirrored(victoria, kind)
    catch_up(mirror, journal)
    victoria.settle()
    with closing(reader_of(victoria, kind)) as reader:
        assert reader.history(KEYS[0], from_us=0, to_us=2**62, limit=9).value.tolist() == [1.0, 3.0]
    assert mirror.word().refused == {"precision": 1}
    assert differences(victoria, journal, KEYS, kind=kind) == []


def test_a_server_that_is_killed_and_comes_back_is_sent_what_it_lost(
    server: Server, journal: DuckStore, mirrored: Make
) -> None:
    """VictoriaMetrics loses the last seconds that it has acknowledged; InfluxDB does not."""
    kind = unused_kind()
    mirror = mirrored(server, kind)
    for death in range(DEATHS):
        put(journal, levels(ROWS // DEATHS, death))
        catch_up(mirror, journal)
        life = mirror.progress.life
        server.kill()
        server.start()
        if isinstance(server, VictoriaMetrics):
            assert differences(server, journal, KEYS, kind=kind), "it lost nothing: this proves nothing"
        put(journal, levels(8, death))
        deadline_s = time.monotonic() + PATIENCE_S
        while mirror.progress.life == life:
            assert time.monotonic() < deadline_s, "the other life was not noticed"
            time.sleep(min(0.05, mirror.turn()))
        catch_up(mirror, journal)
        until(lambda: differences(server, journal, KEYS, kind=kind) == [], "the same rows")


def test_rows_wait_while_the_server_is_down_and_we_die_with_it(
    server: Server, journal: DuckStore, mirrored: Make
) -> None:
    kind = unused_kind()
    put(journal, levels(6_000, 1))
    first = mirrored(server, kind)
    while not first.progress.sent:  # some of it is sent
        time.sleep(min(0.05, first.turn()))
    server.kill()
    put(journal, levels(ROWS, 2))
    until(lambda: first.turn() > 0 and bool(first.reason), "a failure")
    assert first.word().waiting_us is not None
    server.start()
    second = mirrored(server, kind)  # what the first one knew died with it
    catch_up(second, journal)
    assert differences(server, journal, KEYS, kind=kind) == []


def test_the_lines_that_a_server_refuses_are_found_and_the_others_are_there(influxdb: InfluxDB) -> None:
    influxdb.make("short")
    influxdb.ask('CREATE RETENTION POLICY "day" ON "short" DURATION 24h REPLICATION 1 DEFAULT')
    now_ns, kind = time.time_ns(), unused_kind()
    lines = [
        f"reading,kind={kind},sensor=stage_m,station=A value={i}.5,flag=1.0 {now_ns - i * 1_000_000}".encode()
        for i in range(700)
    ]
    lines[7] = lines[7].replace(b"value=7.5", b"value=oops")
    lines[350] = lines[350].replace(b" value", b",value")
    for i in range(500, 560):
        lines[i] = b"%s %d" % (lines[i].rpartition(b" ")[0], now_ns - 3 * 86_400 * 10**9 - i)  # behind its retention
    destination = Destination(name="i", kind="influxdb", url=influxdb.url, bucket="short")
    writer = Writer(destination)
    refused = writer.write(lines)
    writer.close()
    assert [i for i, _ in refused] == [7, 350, *range(500, 560)]
    assert "oops" in dict(refused)[7]
    assert "beyond retention policy" in dict(refused)[500]
    with closing(InfluxReader(destination, kind=kind)) as reader:
        held = reader.history("A/stage_m", from_us=0, to_us=2**62, limit=10_000)
    assert len(held.time_us) == len(lines) - len(refused)


def test_a_server_that_refuses_everything_costs_no_reading(
    influxdb: InfluxDB, tmp_path: Path, journal: DuckStore
) -> None:
    destination = Destination(name="i", kind="influxdb", url=influxdb.url, bucket="there-is-none")
    kind, writer = unused_kind(), Writer(destination)
    put(journal, levels(10, 1))
    with closing(writer):
        mirror = mirror_of(influxdb, JournalFeed(journal, KEYS), tmp_path / "m.json", kind=kind, target=writer)
        mirror.turn()
        assert mirror.progress.sent == 0
        assert "database not found" in mirror.reason
        assert mirror.word().refused == {}


def test_readers_say_who_is_away(server: Server) -> None:
    server.kill()
    try:
        with closing(reader_of(server, "actual")) as reader:
            with pytest.raises(Away):
                reader.history(KEYS[0], from_us=0, to_us=1, limit=1)
            with pytest.raises(Away):
                reader.latest(KEYS)
    finally:
        server.start()
