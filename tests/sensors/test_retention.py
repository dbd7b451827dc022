"""What is kept how long: whatever is written, repeated, late, trimmed and killed, a reading is there once."""

import os
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from sensors.batch import ReadingBatch
from sensors.flags import Flag
from sensors.store import DAY_US, History, PageOf, SeriesReader, State, retention
from sensors.store.archive import Archive
from sensors.store.days import DayReader, days_in, file_of
from sensors.store.duck import DuckStore
from sensors.store.retention import Retention
from sensors.store.retention_policy import Policy
from sensors.store.retention_rows import TrimmedDays
from sensors.store.rollup import HOUR_US, HourReader, Rollups
from sensors.store.split import SplitReader
from takean.exchange_rows import opened
from takean.local_client import NOBODY, LocalOwner
from takean.local_server import LocalServer
from tests.builders import T0_US, batch, thorough

KEYS = ["A/stage_m", "B/stage_m"]
KEY = KEYS[0]
DAY = T0_US // DAY_US
START_US = DAY * DAY_US
FOREVER_US = START_US + 1000 * DAY_US


def everything(reader: SeriesReader, key: str) -> History:
    return reader.history(key, from_us=0, to_us=FOREVER_US, limit=100_000)


class Box:
    """A store with its folders, and a clock moved by hand."""

    def __init__(self, folder: Path, *, journal_days: int = 3, days: int = 400) -> None:
        self.folder = folder
        self.policy = Policy(journal_days=journal_days, days=days)
        self.now_us = START_US
        self.needed_from: Callable[[], int] = lambda: 1 << 62
        self.open()

    def open(self) -> None:
        """As after a start."""
        self.store = DuckStore(self.folder / "journal.duckdb", KEYS, days=self.days)
        self.archive = Archive(self.store, self.days, now_us=lambda: self.now_us, days_kept=self.policy.days)
        self.rollups = Rollups(self.folder / "hours", self.days)
        self.retention = Retention(
            store=self.store,
            archive=self.archive,
            rollups=self.rollups,
            policy=self.policy,
            now_us=lambda: self.now_us,
            needed_from_seq=lambda: min(self.needed_from(), 1 << 62),
        )

    @property
    def days(self) -> Path:
        return self.folder / "days"

    def put(self, readings: ReadingBatch) -> list[int]:
        """Offer rows as the judge does; what became of each."""
        state = self.store.recognise(readings)
        new, n = state != State.REPEAT, int((state != State.REPEAT).sum())
        flag = np.full(n, Flag.GOOD, dtype=np.uint8)
        self.store.append(readings[new], state[new] == State.CONFLICT, flag, np.zeros(n, dtype=np.uint32))
        return list(state.tolist())

    def killed(self, folder: Path) -> "Box":
        """Another one that begins with the files as they are at this moment."""
        shutil.copytree(self.folder, folder, ignore=shutil.ignore_patterns("*.socket"))
        other = Box.__new__(Box)
        other.folder, other.policy = folder, self.policy
        other.now_us, other.needed_from = self.now_us, self.needed_from
        other.open()
        return other

    def in_journal(self) -> int:
        return sum(len(chunk.seq) for chunk in self.store.scan(after_seq=0, rows=1000))

    def at(self, day: int) -> None:
        """The day number so many after the first is over, and what is due is done."""
        self.now_us = START_US + (day + 1) * DAY_US + 2 * HOUR_US
        self.retention.turn()


@pytest.fixture(autouse=True)
def _few_rows_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "KEEP_ROWS", 1)


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    (tmp_path / "box").mkdir()
    made = Box(tmp_path / "box")
    made.put(batch(list(np.arange(240.0)), start_us=START_US, step_us=HOUR_US))
    yield made
    made.store.close()


def shown(box: Box) -> list[tuple[int, float]]:
    found = everything(box.store, KEY)
    return list(zip(found.time_us.tolist(), found.value.tolist(), strict=True))


def test_rows_leave_the_journal_once_their_day_lies_in_a_file(box: Box) -> None:
    box.at(9)
    assert box.in_journal() == 72
    assert len(days_in(box.days)) == 10
    assert [value for _, value in shown(box)] == list(np.arange(240.0))
    total, count = box.store.totals([KEY], from_us=0, to_us=FOREVER_US)
    assert (total[0], count[0]) == (sum(range(240)), 240)


def test_nothing_leaves_that_somebody_still_needs(box: Box) -> None:
    box.needed_from = lambda: 49
    box.at(9)
    assert box.in_journal() == 240 - 48
    box.needed_from = lambda: 1 << 62
    box.at(9)
    assert box.in_journal() == 72


def test_numbers_go_on_and_the_newest_is_known_after_a_start_that_finds_little(box: Box) -> None:
    box.at(30)
    assert box.in_journal() == 24, "the newest row stays, and its day with it"
    box.store.close()
    box.open()
    assert box.store.last_seq() == 240
    assert box.store.latest(KEYS)[0].tolist() == [START_US + 239 * HOUR_US, 0]
    assert box.put(batch([1.0], start_us=START_US + 300 * HOUR_US)) == [State.STORED]
    assert [int(c.seq[-1]) for c in box.store.scan(after_seq=10, rows=50)] == [241]


def test_what_was_sent_before_is_recognised_though_it_has_left(box: Box) -> None:
    box.at(9)
    again = batch([0.0, 99.0, 5.0], times_us=[START_US, START_US + HOUR_US, START_US + 1])
    assert box.put(again) == [State.REPEAT, State.CONFLICT, State.STORED]
    assert box.put(again) == [State.REPEAT] * 3
    assert shown(box)[:3] == [(START_US, 0.0), (START_US + 1, 5.0), (START_US + HOUR_US, 1.0)]
    box.at(9)
    assert parquet.read_metadata(file_of(box.days, DAY)).num_rows == 26
    assert box.in_journal() == 74, "the newest row stays, and its day's rows with it"
    box.put(batch([1.0], start_us=START_US + 241 * HOUR_US))
    box.at(9)
    assert box.in_journal() == 73
    assert box.put(again) == [State.REPEAT] * 3


def test_a_start_writes_no_trimmed_day_again(box: Box) -> None:
    box.at(9)
    before = {path: path.stat().st_ino for path in box.days.iterdir()}
    box.store.close()
    box.open()
    box.at(9)
    assert {path: path.stat().st_ino for path in box.days.iterdir()} == before
    assert len(box.archive.sealed()) == 10


def test_a_backup_that_was_brought_back_keeps_what_had_left_it(box: Box, tmp_path: Path) -> None:
    """Its rows are in files that were written again in the time that never was."""
    box.at(9)
    box.store.close()
    shutil.copy(box.folder / "journal.duckdb", tmp_path / "backup")
    box.open()
    box.put(batch([777.0], start_us=START_US + 5))
    box.put(batch([1.0], start_us=START_US + 241 * HOUR_US))
    box.at(9)
    assert 777.0 in [v for _, v in shown(box)]
    box.store.close()
    shutil.copy(tmp_path / "backup", box.folder / "journal.duckdb")
    box.open()
    assert [value for _, value in shown(box)] == list(np.arange(240.0))
    assert box.put(batch([777.0], start_us=START_US + 5)) == [State.STORED]
    box.at(9)
    assert Counter(v for _, v in shown(box))[777.0] == 1
    assert parquet.read_table(file_of(box.days, DAY))["value"].to_pylist().count(777.0) == 1


@pytest.mark.parametrize("damage", [lambda p: p.unlink(), lambda p: p.write_bytes(p.read_bytes()[:-20])])
def test_a_file_that_is_lost_keeps_nothing_else_from_going_on(box: Box, damage: Callable[[Path], object]) -> None:
    box.at(9)
    damage(file_of(box.days, DAY))
    box.store.close()
    box.open()
    box.at(9)
    assert [value for _, value in shown(box)] == list(np.arange(24.0, 240.0))
    assert box.put(batch([5.0], start_us=START_US + 1)) == [State.STORED]
    box.at(9)
    assert DAY in box.archive.sealed()
    assert len(shown(box)) == 217


def test_a_file_damaged_under_a_running_box_holds_up_no_reading_for_long(box: Box) -> None:
    box.at(9)
    path = file_of(box.days, DAY)
    path.write_bytes(b"PAR1" + b"\0" * (path.stat().st_size - 4))
    late = batch([5.0], start_us=START_US + 1)
    with pytest.raises(Exception, match="2026"):
        box.put(late)
    assert box.put(late) == [State.STORED], "offered again, as the pump does"
    box.at(9)
    assert path.with_suffix(".damaged").exists()
    assert [v for _, v in shown(box)] == [5.0, *np.arange(24.0, 240.0)]


def test_day_files_leave_by_count_and_their_hours_stay(box: Box, tmp_path: Path) -> None:
    box.at(9)
    box.policy = Policy(journal_days=3, days=5)
    box.store.close()
    box.open()
    box.at(9)
    assert days_in(box.days) == list(range(DAY + 5, DAY + 10))
    assert [v for _, v in shown(box)] == list(np.arange(120.0, 240.0))
    with closing(HourReader(box.folder / "hours", box.store)) as hours:
        found = hours.hourly(KEY, from_us=START_US, to_us=START_US + 10 * DAY_US)
    assert found.mean.tolist() == list(np.arange(240.0))
    stray = batch([3.0], start_us=START_US + 3, delay_us=box.now_us - START_US)
    assert box.put(stray) == [State.STORED], "nobody can tell any more"
    box.at(9)
    assert box.in_journal() == 73
    box.put(batch([1.0], start_us=START_US + 400 * HOUR_US))
    box.at(40)
    assert START_US + 3 not in [t for t, _ in shown(box)]
    assert len(days_in(box.days)) == 5


def test_a_clock_that_leaps_a_century_empties_nothing(box: Box) -> None:
    box.at(9)
    box.at(36_500)
    assert len(days_in(box.days)) == 10
    assert len(shown(box)) == 240


def test_hours_hold_what_can_be_trusted_and_are_made_anew_with_their_day(box: Box, tmp_path: Path) -> None:
    quarter_us = HOUR_US // 4
    box.put(batch([1.0, float("nan"), 5.0, 3.0], series=1, start_us=START_US, step_us=quarter_us))
    box.at(9)
    with closing(HourReader(box.folder / "hours", box.store)) as hours:
        span = {"from_us": START_US, "to_us": START_US + DAY_US}
        found = hours.hourly(KEYS[1], **span)
        assert (found.usable.tolist(), found.mean.tolist()) == ([3], [3.0])
        assert (found.min.tolist(), found.max.tolist(), found.flag.tolist()) == ([1.0], [5.0], [Flag.GOOD])
        box.put(batch([11.0], series=1, start_us=START_US + 1))
        box.store.revise(KEYS[1], START_US, Flag.FAIL, 0, by="somebody", at_us=START_US)
        box.at(9)
        found = hours.hourly(KEYS[1], **span)
        assert (found.usable.tolist(), found.max.tolist(), found.flag.tolist()) == ([3], [11.0], [Flag.FAIL])
        open_us = START_US + 240 * HOUR_US
        box.put(batch([8.0, 10.0], start_us=open_us, step_us=quarter_us))
        assert hours.hourly(KEY, from_us=open_us - HOUR_US, to_us=FOREVER_US).mean.tolist() == [239.0, 9.0]


def test_a_flag_that_was_revised_is_shown_wherever_the_row_lies(box: Box) -> None:
    box.at(9)
    box.store.revise(KEY, START_US, Flag.FAIL, 7, by="somebody", at_us=START_US)
    assert DAY not in box.archive.sealed(), "its file must be written again"
    assert everything(box.store, KEY).flag.tolist()[:2] == [Flag.FAIL, Flag.GOOD]
    box.at(9)
    assert parquet.read_table(file_of(box.days, DAY))["flag"].to_pylist()[:2] == [Flag.FAIL, Flag.GOOD]
    box.store.close()
    with opened(socket=box.folder / "no.socket", journal=box.folder / "journal.duckdb", days=box.days) as rows:
        page = next(rows.day(page_of(DAY, rows.contents.last_seq)))
    assert (page["flag"][0], page["checks"][0], page["checks"][1]) == (Flag.FAIL, 7, 0)
    box.open()


def test_whoever_asks_while_rows_leave_sees_each_of_them_once(box: Box) -> None:
    """Two readers and a device that repeats itself, while days are trimmed one after the other."""
    wrong: list[object] = []
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            total, count = box.store.totals([KEY], from_us=0, to_us=FOREVER_US)
            if (total[0], count[0], len(shown(box))) != (sum(range(240)), 240, 240):
                wrong.append((total[0], count[0]))

    def repeat() -> None:
        again = batch(list(np.arange(240.0)), start_us=START_US, step_us=HOUR_US)
        while not stop.is_set():
            if set(box.put(again)) != {State.REPEAT}:
                wrong.append("stored twice")

    threads = [threading.Thread(target=work) for work in (look, look, repeat)]
    for thread in threads:
        thread.start()
    for day in range(4, 10):
        box.at(day)
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong
    assert box.in_journal() == 72


def test_a_row_that_comes_between_a_file_and_its_trim_stays_until_the_next_file(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    roll_up = box.rollups.update

    def interrupted(days: Mapping[int, str], stop: Callable[[], bool]) -> int:
        box.put(batch([555.0], start_us=START_US + 1))
        box.put(batch([1.0], start_us=START_US + 241 * HOUR_US))
        box.archive.sealed()  # a page asks, so the archive has seen the row
        return roll_up(days, stop)

    monkeypatch.setattr(box.rollups, "update", interrupted)
    box.at(9)
    assert shown(box)[1] == (START_US + 1, 555.0)
    box.store.close()
    box.open()
    assert shown(box)[1] == (START_US + 1, 555.0)


def page_of(day: int, through_seq: int) -> PageOf:
    return PageOf(day=day, keys=[], from_us=0, to_us=FOREVER_US, through_seq=through_seq, rows=7)


class Dead(Exception):
    """The process was killed here."""


@contextmanager
def dies_after(calls: int) -> Iterator[None]:
    """Nothing is done any more after so many steps that reach the disk."""
    left = [calls]

    def mortal(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            if left[0] <= 0:
                raise Dead
            left[0] -= 1
            return real(*arguments, **named)

        return call

    with ExitStack() as stack:
        for owner, name in (
            (os, "fsync"),
            (Path, "replace"),
            (Path, "unlink"),
            (TrimmedDays, "_commit"),
            (DuckStore, "remember_newest"),
            (DuckStore, "checkpoint"),
        ):
            stack.enter_context(patch.object(owner, name, mortal(getattr(owner, name))))
        yield


Step = tuple[str, int, list[tuple[int, int, float]]]
offered = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 19), st.sampled_from([1.0, 2.0])), max_size=6)
steps = st.lists(st.tuples(st.sampled_from(["put", "put", "turn", "die", "need"]), st.integers(0, 40), offered))
STEP_US = DAY_US // 4


@given(steps)
@settings(thorough(10), suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_every_row_that_was_stored_is_read_once_whatever_happens(
    tmp_path_factory: pytest.TempPathFactory, story: list[Step]
) -> None:
    """Rows, repeats, late ones, conflicts, closed days, trims, and deaths at any step of them, in any order: through
    the journal's own reader, the web's and the export.
    """
    root = tmp_path_factory.mktemp("story")
    (root / "0").mkdir()
    box, lives = Box(root / "0", journal_days=1), 0
    acknowledged: dict[tuple[str, int], list[float]] = {}
    try:
        for what, number, rows in story:
            if what == "turn":
                box.at(min(number, 9))
            elif what == "need":
                box.needed_from = lambda number=number: number + 1  # type: ignore[misc]
            elif what == "die":
                with suppress(Dead), dies_after(number):
                    box.at(7)
                lives += 1
                after = box.killed(root / str(lives))
                box.store.close()
                box = after
            for series, at, value in rows if what == "put" else ():
                time_us = START_US + at * STEP_US
                box.put(ReadingBatch.of(series=[series], time_us=[time_us], value=[value], received_us=[box.now_us]))
                held = acknowledged.setdefault((KEYS[series], time_us), [])
                if value not in held:
                    held.append(value)
        _compare(box, acknowledged)
    finally:
        box.store.close()


def _compare(box: Box, acknowledged: dict[tuple[str, int], list[float]]) -> None:
    address = box.folder / "w.socket"
    server = LocalServer(address, store=box.store, status=lambda: NOBODY, sealed=box.archive.sealed)
    server.start()
    try:
        with closing(LocalOwner(address)) as owner, closing(SplitReader(owner, DayReader(box.days))) as reader:
            for key in KEYS:
                first = {t: values[0] for (k, t), values in acknowledged.items() if k == key}
                found = everything(reader, key)
                assert dict(zip(found.time_us.tolist(), found.value.tolist(), strict=True)) == first
                total, count = reader.totals([key], from_us=0, to_us=FOREVER_US)
                assert (total[0], count[0]) == (sum(first.values()), len(first))
                newest = box.store.latest([key])
                assert (newest[0][0], newest[1][0]) == max(first.items()) if first else newest[0][0] == 0
    finally:
        server.stop()
        box.store.close()
    with opened(socket=address, journal=box.folder / "journal.duckdb", days=box.days) as rows:
        pages = [page for day in rows.contents.days for page in rows.day(page_of(day, rows.contents.last_seq))]
        stored = [
            row for p in pages for row in zip(p["series"], p["time_us"].tolist(), p["value"].tolist(), strict=True)
        ]
    wanted = [(key, t, value) for (key, t), values in acknowledged.items() for value in values]
    assert Counter(stored) == Counter(wanted)
    box.open()
