"""Closed days: files that hold what the journal holds, and answers without the worker."""

import shutil
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import numpy as np
import pytest
from pyarrow import parquet

from alerts.episode import Kind
from alerts.ledger import Record
from alerts.ledger.memory import MemoryLedger
from sensors.batch import ReadingBatch
from sensors.flags import Flag
from sensors.store import DAY_US, Away, State
from sensors.store.archive import CLOSE_AFTER_US, Archive
from sensors.store.cursor import Kept
from sensors.store.days import DayReader, days_in, file_of
from sensors.store.duck import DuckStore
from sensors.store.split import ROWS_KEPT, TOTALS_OLD_US, SplitReader
from takean import places
from takean.closed_days import needed_from_seq
from takean.local_client import NOBODY, LocalOwner
from takean.local_server import LocalServer
from tests.builders import T0_US, batch

KEYS = ["A/stage_m", "B/stage_m"]
HOUR_US = 3_600_000_000
DAY = T0_US // DAY_US
START_US = DAY * DAY_US
KEY = KEYS[0]


class Box:
    """A journal with its archive and its socket, and a clock moved by hand."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.address = folder / "days", folder / "worker.socket"
        self.now_us = START_US + 3 * DAY_US
        self.store = DuckStore(folder / "journal.duckdb", KEYS)
        self.archive = Archive(self.store, self.folder, now_us=lambda: self.now_us)
        self.server = LocalServer(self.address, store=self.store, status=lambda: NOBODY, sealed=self.archive.sealed)
        self.server.start()

    def put(self, readings: ReadingBatch) -> None:
        state = self.store.recognise(readings)
        new, n = state != State.REPEAT, int((state != State.REPEAT).sum())
        flag = np.full(n, Flag.GOOD, dtype=np.uint8)
        self.store.append(readings[new], state[new] == State.CONFLICT, flag, np.zeros(n, dtype=np.uint32))

    def die(self) -> None:
        self.server.stop()
        self.store.close()


@contextmanager
def reader_of(box: Box) -> Iterator[SplitReader]:
    with closing(LocalOwner(box.address)) as owner, closing(SplitReader(owner, DayReader(box.folder))) as reader:
        yield reader


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    made = Box(tmp_path)
    made.put(batch(list(np.arange(48.0)), start_us=START_US, step_us=HOUR_US))
    yield made
    made.die()


def test_a_day_is_written_whole_and_sorted_and_for_its_owner_only(box: Box) -> None:
    box.put(batch([7.0], series=1, start_us=START_US))
    box.put(batch([9.0], start_us=START_US))
    assert box.archive.write_due() == 2
    path = file_of(box.folder, DAY)
    assert path.name == "2026-11-22.parquet"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    rows = parquet.read_table(path).to_pylist()
    assert [(r["series"], r["time_us"]) for r in rows] == sorted((r["series"], r["time_us"]) for r in rows)
    assert [(r["value"], r["revision"]) for r in rows[:2]] == [(0.0, False), (9.0, True)], "revisions are kept beside"
    assert [r["series"] for r in rows].count("B/stage_m") == 1
    assert not list(box.folder.glob("*.new"))


def test_an_open_day_has_no_file_until_its_readings_had_time_to_come(box: Box) -> None:
    box.now_us = START_US + DAY_US + CLOSE_AFTER_US - 1
    assert box.archive.write_due() == 0
    box.now_us += 1
    assert box.archive.write_due() == 1
    assert days_in(box.folder) == [DAY]


def test_a_late_row_opens_its_day_until_the_file_holds_it(box: Box) -> None:
    box.archive.write_due()
    assert set(box.archive.sealed()) == {DAY, DAY + 1}
    box.put(batch([99.0], start_us=START_US + 1))
    assert set(box.archive.sealed()) == {DAY + 1}
    assert box.archive.write_due() == 1
    assert set(box.archive.sealed()) == {DAY, DAY + 1}
    with closing(DayReader(box.folder)) as files:
        shown = files.history(KEY, [DAY], from_us=0, to_us=START_US + DAY_US, limit=100)
    assert shown.value.tolist()[:2] == [0.0, 99.0]


def test_a_restart_writes_only_what_is_missing_or_damaged(box: Box) -> None:
    box.archive.write_due()
    first, second = (file_of(box.folder, day) for day in (DAY, DAY + 1))
    first.write_bytes(first.read_bytes()[:-20])
    before = second.stat().st_ino
    (box.folder / "2026-11-01.new").write_bytes(b"half")
    again = Archive(box.store, box.folder, now_us=lambda: box.now_us)
    again.write_due()
    assert parquet.read_metadata(first).num_rows == 24
    assert second.stat().st_ino == before
    assert days_in(box.folder) == [DAY, DAY + 1]
    assert not list(box.folder.glob("*.new"))


def test_a_file_that_was_deleted_is_written_again(box: Box) -> None:
    box.archive.write_due()
    file_of(box.folder, DAY).unlink()
    assert box.archive.write_due() == 1
    assert days_in(box.folder) == [DAY, DAY + 1]


@pytest.mark.parametrize("rows", [10, 48, 60], ids=["fewer rows", "as many", "more"])
def test_files_of_another_journal_are_never_shown(box: Box, tmp_path: Path, rows: int) -> None:
    box.archive.write_due()
    (tmp_path / "new").mkdir()
    with closing(DuckStore(tmp_path / "new" / "journal.duckdb", KEYS)) as other:
        values = batch([5.0] * rows, start_us=START_US, step_us=HOUR_US // 2)
        other.append(values, np.zeros(rows, bool), np.ones(rows, np.uint8), np.zeros(rows, np.uint32))
        archive = Archive(other, box.folder, now_us=lambda: box.now_us)
        assert not archive.sealed()
        archive.write_due()
        assert set(parquet.read_table(file_of(box.folder, DAY))["value"].to_pylist()) == {5.0}


def test_files_written_after_the_backup_that_was_brought_back_are_never_shown(box: Box, tmp_path: Path) -> None:
    """Also when the restored journal has come further than the file by the time anybody looks."""
    (tmp_path / "backup").mkdir()
    box.store.close()
    shutil.copy(tmp_path / "journal.duckdb", tmp_path / "backup")
    box.store = DuckStore(tmp_path / "journal.duckdb", KEYS)
    box.put(batch([77.0] * 5, start_us=START_US + 1))
    later = Archive(box.store, box.folder, now_us=lambda: box.now_us)
    later.write_due()
    with closing(DuckStore(tmp_path / "backup" / "journal.duckdb", KEYS)) as restored:
        n = 6
        values = batch([5.0] * n, start_us=START_US + 1, step_us=2)
        restored.append(values, np.zeros(n, bool), np.ones(n, np.uint8), np.zeros(n, np.uint32))
        Archive(restored, box.folder, now_us=lambda: box.now_us).write_due()
        held = parquet.read_table(file_of(box.folder, DAY))["value"].to_pylist()
    assert 77.0 not in held
    assert held.count(5.0) == n + 1  # and the one of the fixture


def test_a_clock_gone_astray_makes_no_files_without_end(box: Box) -> None:
    box.put(batch([1.0] * 50, series=1, start_us=0, step_us=DAY_US))
    assert box.archive.write_due() == 2


def test_the_worker_is_asked_only_for_what_no_file_holds(box: Box) -> None:
    box.archive.write_due()
    with closing(LocalOwner(box.address)) as owner:
        span = {"from_us": START_US, "to_us": START_US + 3 * DAY_US, "limit": 100}
        rows, sealed = owner.history(KEY, **span, whole=False)
        assert (len(rows.time_us), list(sealed)) == (0, [DAY, DAY + 1])
        assert len(owner.history(KEY, **span, whole=True)[0].time_us) == 48


def test_a_file_that_is_gone_is_answered_by_the_worker(box: Box) -> None:
    box.archive.write_due()
    file_of(box.folder, DAY).unlink()
    with reader_of(box) as reader:
        shown = reader.history(KEY, from_us=START_US, to_us=START_US + 3 * DAY_US, limit=100)
        total, count = reader.totals([KEY], from_us=START_US - 1, to_us=START_US + 3 * DAY_US)
    assert shown.value.tolist() == list(np.arange(48.0))
    assert (total[0], count[0]) == (sum(range(48)), 48)


def test_without_the_worker_files_and_memory_answer(box: Box) -> None:
    box.now_us = START_US + DAY_US + HOUR_US
    box.archive.write_due()
    assert days_in(box.folder) == [DAY]
    with reader_of(box) as reader:
        recent = {"from_us": START_US + 40 * HOUR_US, "to_us": START_US + 48 * HOUR_US}
        known = reader.history(KEY, **recent, limit=100)
        latest = reader.latest(KEYS)
        rain = reader.totals([KEY], from_us=START_US, to_us=START_US + 24 * HOUR_US)
        box.die()
        assert reader.history(KEY, **recent, limit=100).value.tolist() == known.value.tolist()
        whole = reader.history(KEY, from_us=0, to_us=START_US + 48 * HOUR_US, limit=100)
        assert whole.value.tolist() == [*np.arange(24.0), *np.arange(40.0, 48.0)], "what nobody asked for is not known"
        np.testing.assert_equal(reader.latest(KEYS), latest)
        assert reader.totals([KEY], from_us=START_US + 1, to_us=START_US + 24 * HOUR_US + 1) == rain
        late_us = START_US + 24 * HOUR_US + TOTALS_OLD_US + 1
        assert reader.totals([KEY], from_us=late_us - 24 * HOUR_US, to_us=late_us)[1].tolist() == [0], "too old to say"


def test_a_reader_that_starts_without_the_worker_shows_the_newest_closed_day(box: Box) -> None:
    box.archive.write_due()
    box.die()
    with reader_of(box) as reader:
        time_us, value, flag = reader.latest(KEYS)
    assert (time_us.tolist(), value[0]) == ([START_US + 47 * HOUR_US, 0], 47.0)
    assert flag.tolist() == [Flag.GOOD, Flag.MISSING]


def test_every_screen_keeps_what_any_of_them_heard_last(box: Box) -> None:
    with reader_of(box) as reader:
        both, one = reader.latest(KEYS), reader.latest(KEYS[:1])
        box.die()
        np.testing.assert_equal(reader.latest(KEYS[:1]), one)
        np.testing.assert_equal(reader.latest(KEYS), both)
        np.testing.assert_equal(reader.latest(KEYS), both)


def test_what_is_remembered_of_a_series_is_bounded(box: Box) -> None:
    box.put(batch(list(np.arange(3.0 * ROWS_KEPT)), series=1, start_us=START_US, step_us=1_000_000))
    with reader_of(box) as reader:
        span = {"from_us": 0, "to_us": START_US + DAY_US, "limit": 5 * ROWS_KEPT}
        assert len(reader.history(KEYS[1], **span).time_us) == 3 * ROWS_KEPT
        box.die()
        assert len(reader.history(KEYS[1], **span).time_us) == ROWS_KEPT


def test_nobody_to_ask_is_said_at_once(tmp_path: Path) -> None:
    with closing(LocalOwner(tmp_path / "worker.socket")) as owner:
        assert not owner.status().alive
        with pytest.raises(Away):
            owner.latest(KEYS)


def test_nothing_leaves_the_journal_before_judge_and_mirrors_have_it(tmp_path: Path) -> None:
    mirror = SimpleNamespace(name="influx")
    world = cast("Any", SimpleNamespace(state=tmp_path, kind=Kind.ACTUAL, mirrors=[mirror]))
    ledger = cast("Any", MemoryLedger())
    ledger.record(Record(kind=Kind.ACTUAL, judged_through=90))
    cursor = places.cursor_file(tmp_path, Kind.ACTUAL, "influx")
    snapshot = tmp_path / "judge.actual.npz"
    assert needed_from_seq(world, ledger) == 1, "a judge without a snapshot begins at the beginning"
    np.savez(snapshot, seq=np.array(80))
    assert needed_from_seq(world, ledger) == 1, "a mirror that has not begun needs all"
    cursor.write_bytes(msgspec.json.encode(Kept(settled=70, mark="")))
    assert needed_from_seq(world, ledger) == 71
    cursor.write_bytes(msgspec.json.encode(Kept(settled=95, mark="")))
    assert needed_from_seq(world, ledger) == 81
    np.savez(snapshot, seq=np.array(100))
    assert needed_from_seq(world, ledger) == 91
    snapshot.write_bytes(b"half")
    assert needed_from_seq(world, ledger) == 1
