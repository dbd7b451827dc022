"""Export and import: the same readings come back, once, and nobody is warned of what is over."""

import csv
import math
import struct
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from alerts.cells import Cells
from alerts.episode import Kind
from alerts.judge import Judge
from alerts.ledger.memory import MemoryLedger
from alerts.ledger.sql import open_ledger
from alerts.route import Routes
from sensors.store import Away, State, TooSlow
from sensors.store.memory import MemoryStore
from takean import (
    cli,
    closed_days,
    configuration,
    exchange,
    exchange_export,
    exchange_files,
    exchange_import,
    exchange_rows,
    local,
    places,
)
from takean.configuration import World
from takean.exchange import ExchangeError, Wanted
from takean.exchange_import import Imported
from takean.exchange_rows import Rows, opened
from takean.local import LateAnswer, LateAsk
from takean.local_client import LocalOwner
from takean.settings import SAMPLE
from takean.worker_part import worker_part
from tests.builders import MINUTE_US, T0_US, batch, registry, rule_set, station, thorough

HEADER = ["station", "reading", "time_utc", "value", "unit"]
HOSTILE = [b"WL-01,stage_m,2026-01-01T00:00:00Z,1.5,m\n", b'"', b",", b"\n", b"\r", b"\0", b"\xff", b"WL-01,stage_m,",
           b"0001-01-01T00:00:00+14:00", b"9999-12-31T23:59:59-14:00", b",1e999,m\n", b",-0,cm\n"]  # fmt: skip
OLD_US = 1_790_000_000_000_000
"""Two months before the builders' day."""
Row = tuple[str, str, int, float]


def world_of(state: Path) -> World:
    state.mkdir(exist_ok=True)
    return replace(configuration.load(SAMPLE, state, {}), mqtt=("127.0.0.1", 0), broker=None)


@contextmanager
def running(world: World) -> Iterator[LocalOwner]:
    """Its worker, and a line to it."""

    def failed(error: BaseException) -> None:
        pytest.fail(str(error))

    with ExitStack() as stack:
        worker_part(stack, world, failed=failed, serve=True)
        yield stack.enter_context(closing(LocalOwner(places.local_socket(world.state, world.kind))))


@contextmanager
def rows_of(world: World) -> Iterator[Rows]:
    with opened(
        socket=places.local_socket(world.state, world.kind),
        journal=world.state / f"journal.{world.kind}.duckdb",
        days=places.days_folder(world.state, world.kind),
    ) as rows:
        yield rows


def written(world: World, path: Path, wanted: Wanted | None = None, *, page_rows: int = 20_000) -> Path:
    with rows_of(world) as rows:
        form = exchange.SUFFIXES[path.suffix]
        exchange_export.export(rows, wanted or Wanted(), path, format=form, page_rows=page_rows)
    return path


def file_with(path: Path, rows: Sequence[Row]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(HEADER)
        for name, reading, time_us, value in rows:
            shown = "" if math.isnan(value) else repr(value)
            out.writerow([name, reading, *exchange.iso(np.array([time_us])), shown, exchange.unit_of(reading)])
    return path


def taken_in(world: World, owner: exchange_import.Taker, *paths: Path, dry: bool = False) -> tuple[Imported, list[str]]:
    told: list[str] = []

    def tell(path: Path, line: int, text: str) -> None:
        told.append(f"{path.name}:{line}: {text}")

    def unseen(path: Path, done: int, of: int) -> None:
        assert 0 <= done <= of

    found = exchange_import.bring_in(
        paths, world.registry, owner, dry=dry, tell=tell, progress=unseen, rest=lambda seconds: None
    )
    return found, told


def some_rows(many: int = 40, *, start_us: int = OLD_US, step_us: int = 3 * 3_600_000_000) -> list[Row]:
    """Five days of two stations, with values that a careless text would lose."""
    odd = [0.1 + 0.2, 1 / 3, -0.0, 5e-324, math.nan, 1.0, 2.0000000000000004]
    rows = []
    for at in range(many):
        rows.append(("WL-01", "stage_m", start_us + at * step_us + at % 2, odd[at % len(odd)]))
        rows.append(("RF-01", "rain_mm", start_us + at * step_us, float(at % 3)))
    return rows


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def told_of(rows: Sequence[dict[str, str]]) -> list[tuple[str, ...]]:
    names = ("station", "reading", "time_utc", "value", "unit", "revision")
    return [tuple(row[name] for name in names) for row in rows]


# ---- there and back


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_what_an_empty_installation_imports_it_exports_again(tmp_path: Path, suffix: str) -> None:
    rows = [*some_rows(), ("WL-01", "stage_m", OLD_US, 3.25)]
    first, second = world_of(tmp_path / "first"), world_of(tmp_path / "second")
    with running(first) as owner:
        found, told = taken_in(first, owner, file_with(tmp_path / "in.csv", rows))
        assert found == Imported(stored=80, conflict=1)
        assert told == [
            "in.csv:82: WL-01/stage_m has another value at this time; this one is kept beside it, flag 3",
        ]
        file = written(first, tmp_path / f"out{suffix}")
        shown = read(written(first, tmp_path / "shown.csv"))
    with running(second) as owner:
        assert taken_in(second, owner, file)[0] == Imported(stored=80, conflict=1)
        again = read(written(second, tmp_path / "again.csv"))
    assert told_of(again) == told_of(shown)
    kept = {(r["station"], r["time_utc"], r["value"]) for r in shown}
    assert kept == {
        (name, *exchange.iso(np.array([t])), "" if math.isnan(value) else repr(value)) for name, _, t, value in rows
    }
    assert [r["flag"] for r in shown if r["revision"] == "true"] == ["3"]
    assert {r["flag"] for r in shown if r["value"] == ""} == {"9"}


def test_a_repeat_changes_nothing(tmp_path: Path) -> None:
    world, rows = world_of(tmp_path / "box"), some_rows()
    file = file_with(tmp_path / "in.csv", [*rows, rows[0]])
    with running(world) as owner:
        assert taken_in(world, owner, file)[0] == Imported(stored=80, repeat=1)
        before = written(world, tmp_path / "before.csv").read_bytes()
        assert taken_in(world, owner, file, file)[0] == Imported(repeat=162)
        assert owner.status().stored_seq == 80
        assert written(world, tmp_path / "after.csv").read_bytes() == before
        assert taken_in(world, owner, tmp_path / "after.csv") == (Imported(repeat=80), [])


def test_a_dry_run_says_the_same_and_stores_nothing(tmp_path: Path) -> None:
    world = world_of(tmp_path / "box")
    file = file_with(tmp_path / "in.csv", [*some_rows(), ("WL-01", "stage_m", OLD_US, 9.0), ("XX-1", "a", OLD_US, 1.0)])
    with running(world) as owner:
        dry = taken_in(world, owner, file, dry=True)
        assert owner.status().stored_seq == 0
        assert taken_in(world, owner, file) == dry
        assert dry[0] == Imported(stored=80, conflict=1, refused=1)


def test_pages_of_any_size_sealed_days_and_a_box_at_rest_give_one_and_the_same_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closed_days, "FIRST_S", 0.3)
    world = world_of(tmp_path / "box")
    with running(world) as owner:
        taken_in(world, owner, file_with(tmp_path / "in.csv", some_rows()))
        assert not owner.contents().sealed
        files = [written(world, tmp_path / f"{rows}.csv", page_rows=rows) for rows in (1, 7, 20_000)]
        end_s = time.monotonic() + 60
        while len((told := owner.contents()).sealed) < len(told.contents.days):
            assert time.monotonic() < end_s
            time.sleep(0.02)
        files += [written(world, tmp_path / f"sealed{rows}.csv", page_rows=rows) for rows in (3, 20_000)]
    files.append(written(world, tmp_path / "rest.csv"))
    assert len(read(files[0])) == 80
    assert len({file.read_bytes() for file in files}) == 1


def test_only_what_is_wanted_is_exported(tmp_path: Path) -> None:
    world = world_of(tmp_path / "box")
    with running(world) as owner:
        taken_in(world, owner, file_with(tmp_path / "in.csv", some_rows()))
    day_us = 86_400_000_000
    wanted = Wanted(stations=["WL-01"], readings=["stage_m"], from_us=OLD_US + day_us, to_us=OLD_US + 2 * day_us)
    shown = read(written(world, tmp_path / "some.csv", wanted))
    assert {(row["station"], row["reading"]) for row in shown} == {("WL-01", "stage_m")}
    times = [exchange.moment(row["time_utc"]) for row in shown]
    assert len(times) == 8
    assert times == sorted(times)
    assert min(times) >= wanted.from_us
    assert max(times) < wanted.to_us
    assert read(written(world, tmp_path / "none.csv", Wanted(to_us=OLD_US))) == []
    for wrong in (Wanted(stations=["WL-77"]), Wanted(readings=["snow_m"])):
        with pytest.raises(ExchangeError, match=r"WL-77|snow_m"):
            written(world, tmp_path / "wrong.csv", wrong)
    assert not (tmp_path / "wrong.csv").exists()


def test_a_parquet_file_says_what_its_columns_are(tmp_path: Path) -> None:
    world = world_of(tmp_path / "box")
    with running(world) as owner:
        taken_in(world, owner, file_with(tmp_path / "in.csv", some_rows()))
    with rows_of(world) as rows:
        exchange_export.export(rows, Wanted(), tmp_path / "out.parquet", format="parquet", thai=True)
    table = parquet.read_table(tmp_path / "out.parquet")
    assert table.schema.equals(exchange.schema(thai=True))
    assert table.schema.field("time_thai").type == pa.timestamp("us", "Asia/Bangkok")
    assert table.num_rows == 80
    assert table.column("value").null_count == sum(math.isnan(value) for *_, value in some_rows())
    assert set(table.column("unit").to_pylist()) == {"m", "mm"}


def test_an_export_that_fails_leaves_the_file_that_was_there(tmp_path: Path) -> None:
    class Broken:
        def __init__(self, rows: Rows) -> None:
            self.contents = rows.contents

        def day(self, first: object) -> Iterator[exchange.Columns]:
            raise ExchangeError("the worker went away")

    world = world_of(tmp_path / "box")
    with running(world) as owner:
        taken_in(world, owner, file_with(tmp_path / "in.csv", some_rows()))
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "o.csv").write_text("before")
    with rows_of(world) as rows, pytest.raises(ExchangeError, match="went away"):
        exchange_export.export(Broken(rows), Wanted(), folder / "o.csv", format="csv")
    assert [(path.name, path.read_text()) for path in folder.iterdir()] == [("o.csv", "before")]


# ---- nobody is warned of what is over


STEP_US = 2 * MINUTE_US
FLOOD_M = [1.0] * 480 + [1.0 + 0.1 * at for at in range(25)]
"""The last readings, of four minutes, stand above the first level of WL-01; no check doubts how they came there."""


def releasing(world: World) -> World:
    """The same where no officer is asked: whatever is believed is sent."""
    return replace(world, routes=world.routes.automatic())


def warned(world: World) -> tuple[bool, bool]:
    """Whether a flood is told, and whether anybody was or will be."""
    with closing(open_ledger(world.state / "ledger.sqlite")) as ledger:
        stories = ledger.episodes(world.kind)
        sent = any(ledger.delivery_counts(world.kind).values()) or any(ledger.deliveries(s.id) for s in stories)
        return any(s.hazard == "flood" for s in stories), sent or any(s.public_level for s in stories)


def ticked(owner: LocalOwner) -> None:
    """Time has passed for the judge at least once."""
    before_s, end_s = owner.status().heartbeat_age_s, time.monotonic() + 20
    while owner.status().heartbeat_age_s >= before_s:
        assert time.monotonic() < end_s


def test_a_flood_out_of_a_file_sends_nothing_however_it_ends(tmp_path: Path) -> None:
    world = releasing(world_of(tmp_path / "box"))
    end_us = time.time_ns() // 1000 - 11 * MINUTE_US  # just beyond the bound
    rows = [
        (name, "stage_m", end_us - (len(FLOOD_M) - 1 - at) * STEP_US, value)
        for name in ("WL-01", "WL-02")
        for at, value in enumerate(FLOOD_M)
    ]
    file = file_with(tmp_path / "flood.csv", rows)
    for _ in range(2):  # and after a restart
        with running(world) as owner:
            taken_in(world, owner, file)
            ticked(owner)
            assert owner.status().judged_seq == 2 * len(FLOOD_M)
            assert warned(world) == (True, False)


def test_the_same_flood_sent_by_its_station_does_warn(tmp_path: Path) -> None:
    """Otherwise the test above would hold of a world that can warn nobody."""
    world = releasing(world_of(tmp_path / "box"))
    with ExitStack() as stack:
        part = worker_part(stack, world, failed=lambda error: pytest.fail(str(error)))
        index, now_us = world.registry.index["WL-01", "stage_m"], time.time_ns() // 1000
        start_us = now_us - (len(FLOOD_M) - 1) * STEP_US
        part.worker._pipeline.take(batch(FLOOD_M, series=index, start_us=start_us, step_us=STEP_US))
        assert warned(world) == (True, True)


def test_what_is_young_belongs_to_the_devices_unless_it_is_there(tmp_path: Path) -> None:
    world, now_us = world_of(tmp_path / "box"), time.time_ns() // 1000
    rows = [
        ("WL-01", "stage_m", now_us - 2 * 86_400_000_000, 1.0),
        ("WL-01", "stage_m", now_us - MINUTE_US, 6.0),
        ("WL-01", "stage_m", now_us + 86_400_000_000, 6.0),
    ]
    with running(world) as owner:
        found, told = taken_in(world, owner, file_with(tmp_path / "in.csv", rows))
        assert found == Imported(stored=1, refused=2)
        assert [line.split(" too")[0] for line in told] == ["in.csv:3:", "in.csv:4:"]


def test_readings_out_of_a_file_end_nobodys_silence_and_say_nothing_of_clocks() -> None:
    """A technician who was called to a silent station is not sent away by a file."""
    for heard in (True, False):
        reg, now = registry(station("A")), [T0_US]
        ledger = MemoryLedger()
        judge = Judge(
            cells=Cells.of(Kind.TEST, reg, rule_set(reg), Routes(by={})),
            plan=lambda *_, **__: (),
            store=MemoryStore(reg.keys()),
            ledger=ledger,
            snapshot_path=None,
            now_us=lambda now=now: now[0],  # type: ignore[misc]
            real_us=lambda now=now: now[0],  # type: ignore[misc]
        )
        judge.start()
        now[0] += 60 * MINUTE_US
        judge.tick()
        assert is_silent(ledger)
        old = batch([1.0, 1.1], start_us=T0_US - 3_000 * MINUTE_US)
        before = judge.clocks
        judge.take(replace(old, received_us=np.full(2, now[0])), heard=heard)
        assert (judge.clocks.heard_us == before.heard_us).all() == (not heard)
        now[0] += 1_000_000
        judge.tick()
        assert is_silent(ledger) is not heard


def is_silent(ledger: MemoryLedger) -> bool:
    return any(e.hazard == "station" and e.judged_level and e.closed_us is None for e in ledger.episodes(Kind.TEST))


# ---- what cannot be read


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("XX-01,stage_m,2026-01-01T00:00:00Z,1.0,m", "station 'XX-01' is not in stations.toml"),
        ("WL-01,snow_m,2026-01-01T00:00:00Z,1.0,m", "station WL-01 has no reading 'snow_m'"),
        ("WL-01,stage_m,2026-01-01T00:00:00Z,1.0,Cel", "unit 'Cel' is none of stage_m, which is kept in m"),
        ("WL-01,stage_m,2026-01-01T00:00:00,1.0,m", "no ISO 8601 time with its zone"),
        ("WL-01,stage_m,yesterday,1.0,m", "no ISO 8601 time with its zone"),
        ("WL-01,stage_m,,1.0,m", "no ISO 8601 time with its zone"),
        ("WL-01,stage_m,2026-01-01T00:00:00Z,high,m", "value 'high' is no number"),
        ("WL-01,stage_m,2026-01-01T00:00:00Z,inf,m", "value 'inf' is no number"),
        ("WL-01,stage_m,2026-01-01T00:00:00Z,1_5,m", "value '1_5' is no number"),
        ("WL-01,stage_m,2026-01-01T00:00:00Z,1,5,m", "6 fields under 5 names"),
        ("WL-01,stage_m", "2 fields under 5 names"),
    ],
)
def test_a_bad_row_is_refused_with_its_line_and_the_others_are_read(tmp_path: Path, row: str, why: str) -> None:
    good = "WL-01,stage_m,2026-01-01T00:0{}:00Z,{}.5,m"
    path = tmp_path / "in.csv"
    path.write_text("\n".join([",".join(HEADER), good.format(1, 1), row, "", good.format(2, 2)]), encoding="utf-8")
    refused: list[tuple[int, str]] = []
    reg = configuration.load(SAMPLE, tmp_path, {}).registry
    chunks = list(exchange_files.chunks(path, reg, lambda line, text: refused.append((line, text))))
    assert [chunk.value.tolist() for chunk in chunks] == [[1.5, 2.5]]
    assert [chunk.line.tolist() for chunk in chunks] == [[2, 5]]
    assert [line for line, _ in refused] == [3]
    assert why in refused[0][1]


@thorough(150)
@given(st.lists(st.one_of(st.binary(max_size=40), st.sampled_from(HOSTILE)), max_size=12), st.booleans())
def test_any_bytes_give_readings_or_a_reason(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes], header: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "hostile.csv"
    path.write_bytes((",".join(HEADER) + "\n").encode() * header + b"".join(pieces))
    reg = registry(station("WL-01"))
    refused: list[str] = []
    try:
        chunks = list(exchange_files.chunks(path, reg, lambda line, text: refused.append(text)))
    except ExchangeError as error:
        refused.append(str(error))
        chunks = []
    assert all(refused)
    for chunk in chunks:
        assert set(chunk.series.tolist()) == {0}
        assert not np.isinf(chunk.value).any()


def test_columns_stand_in_any_order_and_other_units_and_zones_are_converted(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text(
        "\ufeffunit,note,value,time_utc,reading,station\n"
        'cm,"two\nlines",231.4,2026-01-01T07:00:00+07:00,stage_m,WL-01\n'
        ",,1.5,2026-01-01T00:00:00.000001Z,stage_m,WL-01\n",
        encoding="utf-8",
    )
    reg = configuration.load(SAMPLE, tmp_path, {}).registry
    (chunk,) = exchange_files.chunks(path, reg, lambda line, text: pytest.fail(text))
    assert chunk.value.tolist() == [2.314, 1.5]
    assert np.diff(chunk.time_us).tolist() == [1]
    assert chunk.line.tolist() == [3, 4]


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+23:59", "1969-12-31T23:59:59Z", "9999-12-31T23:59:59-23:59"])
def test_a_time_that_no_screen_can_show_is_refused(tmp_path: Path, time: str) -> None:
    (tmp_path / "a.csv").write_text(f"station,reading,time_utc,value\nA,stage_m,{time},1\n")
    told: list[str] = []
    assert list(exchange_files.chunks(tmp_path / "a.csv", registry(), lambda _, why: told.append(why))) == []
    assert told == [f"time '{time}' lies outside 1970 to 2262"]


def test_a_file_without_an_end_of_line_fills_no_memory() -> None:
    with pytest.raises(ExchangeError, match="65536 characters"):
        list(exchange_files.chunks(Path("/dev/zero"), registry(), lambda *_: None))


def test_a_header_of_garbage_is_told_in_a_few_plain_characters(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(",".join(f"\x1b[31m{i}{'x' * 500}" for i in range(100)))
    with pytest.raises(ExchangeError) as refused:
        list(exchange_files.chunks(tmp_path / "a.csv", registry(), lambda *_: None))
    text = str(refused.value).removeprefix(str(tmp_path))
    assert text.isprintable()
    assert len(text) < 500


def test_what_is_no_file_of_readings_is_said_at_once(tmp_path: Path) -> None:
    reg = configuration.load(SAMPLE, tmp_path, {}).registry

    def refused(path: Path) -> str:
        with pytest.raises(ExchangeError) as said:
            list(exchange_files.chunks(path, reg, lambda line, text: None))
        return str(said.value)

    for name, content in (("a.csv", b"station,value\n"), ("b.csv", b""), ("c.parquet", b"PAR1 not")):
        (tmp_path / name).write_bytes(content)
    assert "no column reading, time_utc; it has station, value" in refused(tmp_path / "a.csv")
    assert "it has none" in refused(tmp_path / "b.csv")
    assert "cannot be read on" in refused(tmp_path / "c.parquet")
    naive = pa.table({"station": ["WL-01"], "reading": ["stage_m"], "value": [1.0],
                      "time_utc": pa.array([OLD_US], pa.timestamp("us"))})  # fmt: skip
    parquet.write_table(naive, tmp_path / "d.parquet")
    assert "expected times with a zone" in refused(tmp_path / "d.parquet")


@thorough(200)
@given(
    st.lists(
        st.tuples(
            st.floats(allow_infinity=False),
            st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999),
        ),
        min_size=1,
        max_size=20,
    )
)
def test_every_value_and_moment_is_read_back_as_it_was(pairs: list[tuple[float, int]]) -> None:
    n = len(pairs)
    stored = {name: np.zeros(n, dtype=np.int64) for name in exchange.STORED}
    stored |= {
        "series": np.full(n, "WL-01/stage_m", dtype=object),
        "value": np.array([value for value, _ in pairs]),
        "time_us": np.array([time_us for _, time_us in pairs], dtype=np.int64),
    }
    part = exchange.table(stored, thai=True)
    names = part.column_names
    for (value, time_us), line in zip(pairs, exchange.lines(part), strict=True):
        row = dict(zip(names, line, strict=True))
        assert exchange.moment(str(row["time_utc"])) == time_us
        if time_us < 253_402_300_799_999_999 - 7 * 3_600_000_000:
            assert exchange.moment(str(row["time_thai"])) == time_us
        if math.isnan(value):
            assert row["value"] is None
        else:
            assert struct.pack("d", float(repr(row["value"]))) == struct.pack("d", value)


# ---- a worker that is away, or asked for nonsense


class Flaky:
    """A worker that does not answer so many times."""

    def __init__(self, failures: int) -> None:
        self.failures, self.asked = failures, 0

    def take_late(self, ask: LateAsk) -> LateAnswer:
        self.asked += 1
        if self.asked <= self.failures:
            raise Away("nobody there")
        return LateAnswer(state=bytes([State.STORED] * (len(ask.time_us) // 8)))


def test_an_import_waits_for_a_worker_that_was_killed_but_not_for_ever(tmp_path: Path) -> None:
    world = world_of(tmp_path / "box")
    file = file_with(tmp_path / "in.csv", some_rows())
    assert taken_in(world, Flaky(5), file)[0] == Imported(stored=80)
    gone = Flaky(10**9)
    with pytest.raises(ExchangeError, match=r"in\.csv, line 2: nobody there.*nothing is stored twice"):
        taken_in(world, gone, file)
    assert gone.asked == exchange_import.ATTEMPTS


def test_what_the_worker_never_takes_is_said_at_once(tmp_path: Path) -> None:
    world = world_of(tmp_path / "box")
    newer = replace(world, registry=registry(station("WL-77")))
    file = file_with(tmp_path / "in.csv", [("WL-77", "stage_m", OLD_US, 1.0)])
    with running(world) as owner, pytest.raises(ExchangeError, match="does not know WL-77/stage_m"):
        exchange_import.bring_in(
            [file],
            newer.registry,
            owner,
            tell=lambda *_: None,
            progress=lambda *_: None,
            rest=lambda seconds: pytest.fail("it asked again"),
        )


def test_a_busy_worker_is_asked_for_its_rows_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange_rows, "RETRY_S", 0.0)
    world = world_of(tmp_path / "box")
    with running(world) as owner:
        taken_in(world, owner, file_with(tmp_path / "in.csv", some_rows()))
        busy = 0
        real = LocalOwner.page

        def page(self: LocalOwner, ask: local.PageAsk) -> local.PageAnswer:
            nonlocal busy
            busy += 1
            if busy % patience:
                raise TooSlow("too many questions at once")
            return real(self, ask)

        monkeypatch.setattr(LocalOwner, "page", page)
        patience = exchange_rows.ATTEMPTS
        assert len(read(written(world, tmp_path / "o.csv"))) == 80
        patience += 1
        busy = 0
        with pytest.raises(ExchangeError, match="too busy"):
            written(world, tmp_path / "o.csv")


def test_nonsense_over_the_socket_is_refused(tmp_path: Path) -> None:
    world = world_of(tmp_path / "box")

    def ask(**changes: object) -> LateAsk:
        fine = {
            "keys": ["WL-01/stage_m"],
            "series": local.packed(np.array([0]), np.int32),
            "time_us": local.packed(np.array([OLD_US]), np.int64),
            "value": local.packed(np.array([1.0]), np.float64),
            "store": True,
        }
        return LateAsk(**{**fine, **changes})  # type: ignore[arg-type]

    with running(world) as owner:
        wrong = [
            ask(keys=["WL-99/stage_m"]),
            ask(series=local.packed(np.array([1]), np.int32)),
            ask(series=local.packed(np.array([-1]), np.int32)),
            ask(value=local.packed(np.array([np.inf]), np.float64)),
            ask(value=b""),
            ask(time_us=b"1234567"),
            ask(
                series=local.packed(np.zeros(5_001), np.int32),
                time_us=local.packed(np.zeros(5_001), np.int64),
                value=local.packed(np.zeros(5_001), np.float64),
            ),
        ]
        for one in wrong:
            with pytest.raises(Away, match="refused"):
                owner.take_late(one)
        assert owner.status().stored_seq == 0
        assert owner.take_late(ask()).state == bytes([State.STORED])


# ---- at the keyboard


@pytest.fixture
def takean(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs one command as the shell would, in this process."""

    def run(*words: str, state: Path) -> tuple[int, str, str]:
        monkeypatch.setenv("TAKEAN_STATE", str(state))
        monkeypatch.setenv("TAKEAN_CONFIG", str(SAMPLE))
        monkeypatch.setattr(sys, "argv", ["takean", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        told = capfd.readouterr()
        return int(ended.value.code or 0), told.out, told.err

    return run


def test_at_the_keyboard_it_says_what_it_did_and_how_far_it_is(
    tmp_path: Path, takean: Callable[..., tuple[int, str, str]]
) -> None:
    world = world_of(tmp_path / "box")
    good = file_with(tmp_path / "good.csv", some_rows())
    bad = file_with(tmp_path / "bad.csv", [("XX", "stage_m", OLD_US + at, 1.0) for at in range(30)])
    code, _, err = takean("import", str(good), state=world.state)
    assert code == 1
    assert "must be running" in err
    with running(world):
        code, out, _ = takean("import", "--dry-run", str(good), state=world.state)
        assert (code, out) == (0, "80 would be new, 0 there before, 0 contradict what is there, 0 refused\n")
        code, out, err = takean("import", str(good), str(bad), state=world.state)
        assert (code, out) == (1, "80 stored, 0 there before, 0 contradict what is there, 30 refused\n")
        assert "bad.csv:2: station 'XX' is not in stations.toml" in err
        assert "and 10 more" in err
        assert "good.csv: 100 %" in err
        code, out, _ = takean("export", str(tmp_path / "o.csv"), state=world.state)
        assert (code, out) == (0, f"80 readings of 2 series on 6 days: {tmp_path / 'o.csv'}\n")
    words = ("--station", "WL-01", "--quantity", "stage_m", "--from", "2026-09-22", "--format", "csv", "--thai")
    code, out, err = takean("export", *words, str(tmp_path / "o.txt"), state=world.state)
    assert (code, "days: 100 %" in err) == (0, True)
    shown = read(tmp_path / "o.txt")
    assert shown[0]["time_thai"] >= "2026-09-22T00:00"
    assert shown[0]["time_thai"] < "2026-09-22T04:00"
    for wrong in (("o.txt",), ("o.csv", "--from", "soon"), ("o.csv", "--station", "XX")):
        assert takean("export", *wrong, state=world.state)[0] == 1
    assert takean("export", "o.csv", state=tmp_path / "nothing")[0] == 1
