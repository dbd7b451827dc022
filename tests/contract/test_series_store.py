"""The contract of `SeriesStore`, for every implementation."""

import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import duckdb
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sensors.batch import Float64, Int64, ReadingBatch
from sensors.flags import Flag, Flags
from sensors.store import DAY_US, History, Journal, SeriesStore, State
from sensors.store.archive import Archive
from sensors.store.days import DayReader
from sensors.store.duck import DuckStore
from sensors.store.memory import MemoryStore
from sensors.store.retention import Retention
from sensors.store.retention_policy import Policy
from sensors.store.rollup import Rollups
from sensors.store.split import SplitReader
from takean.local_client import NOBODY, LocalOwner
from takean.local_server import LocalServer
from tests.builders import MINUTE_US, T0_US, batch
from tests.sensors.mirrored import Mirrored

KEYS = ["A/stage_m", "A/rain_mm", "B/stage_m"]


OWN = ["memory", "duck", "duck reopened", "asked from afar", "asked from afar, days closed", "days trimmed"]


@pytest.fixture(params=[*OWN, "mirrored to influxdb", "mirrored to victoria"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SeriesStore]:
    path = tmp_path / "journal.duckdb"
    makers: dict[str, Callable[[], SeriesStore]] = {
        "memory": lambda: MemoryStore(KEYS),
        "duck": lambda: DuckStore(path, KEYS),
        "duck reopened": lambda: Reopening(path, KEYS),
        "asked from afar": lambda: FromAfar(path, now_us=T0_US),
        "asked from afar, days closed": lambda: FromAfar(path, now_us=T0_US + 3 * DAY_US),
        "days trimmed": lambda: FromAfar(path, now_us=T0_US + 40 * DAY_US, journal_days=1),
        "mirrored to influxdb": lambda: Mirrored(request.getfixturevalue("influxdb"), tmp_path, KEYS),
        "mirrored to victoria": lambda: Mirrored(request.getfixturevalue("victoria"), tmp_path, KEYS),
    }
    made = makers[request.param]()
    yield made
    made.close()


class Reopening(DuckStore):
    """A store that is closed and opened again before every batch."""

    def __init__(self, path: Path, keys: list[str]) -> None:
        self._path = path
        super().__init__(path, keys)

    def recognise(self, batch: ReadingBatch) -> NDArray[np.uint8]:
        super().close()
        super().__init__(self._path, KEYS)
        return super().recognise(batch)


class FromAfar:
    """A store whose questions are answered as those of another process are: over its socket, and from the files of
    closed days, which are brought up to date before each one; rows of days older than `journal_days` leave the journal.
    """

    def __init__(self, path: Path, *, now_us: int, journal_days: int = 1000) -> None:
        folder, address = path.parent / "days", path.parent / "worker.socket"
        self._store = DuckStore(path, KEYS, days=folder)
        self.recognise, self.append = self._store.recognise, self._store.append
        self.scan, self.last_seq, self.check = self._store.scan, self._store.last_seq, self._store.check
        self.revise = self._store.revise
        self.archive = Archive(self._store, folder, now_us=lambda: now_us)
        self._retention = Retention(
            store=self._store,
            archive=self.archive,
            rollups=Rollups(path.parent / "hours", folder),
            policy=Policy(journal_days=journal_days),
            now_us=lambda: now_us,
            needed_from_seq=lambda: self.last_seq() + 1,
        )
        self._server = LocalServer(address, store=self._store, status=lambda: NOBODY, sealed=self.archive.sealed)
        self._server.start()
        self._owner = LocalOwner(address)
        self._reader = SplitReader(self._owner, DayReader(folder))

    def history(self, key: str, *, from_us: int, to_us: int, limit: int) -> History:
        self._retention.turn()
        return self._reader.history(key, from_us=from_us, to_us=to_us, limit=limit)

    def latest(self, keys: list[str]) -> tuple[Int64, Float64, Flags]:
        return self._reader.latest(keys)

    def totals(self, keys: list[str], *, from_us: int, to_us: int) -> tuple[Float64, Int64]:
        self._retention.turn()
        return self._reader.totals(keys, from_us=from_us, to_us=to_us)

    def close(self) -> None:
        self._reader.close()
        self._owner.close()
        self._server.stop()
        self._store.close()


class Put(NamedTuple):
    """What became of offered rows: state and number of each, 0 for repeats."""

    state: list[int]
    seq: list[int]


def put(store: SeriesStore, readings: ReadingBatch, flag: int = Flag.GOOD) -> Put:
    """Offer rows as the judge does: recognise, then append what is new."""
    state = store.recognise(readings)
    new = state != State.REPEAT
    n = int(new.sum())
    numbers = np.zeros(len(readings), dtype=np.int64)
    numbers[new] = store.append(
        readings[new],
        state[new] == State.CONFLICT,
        np.full(n, flag, dtype=np.uint8),
        np.full(n, 0x11111, dtype=np.uint32),
    )
    return Put(state.tolist(), numbers.tolist())


def journal(store: SeriesStore, after_seq: int = 0, rows: int = 1000) -> list[tuple[int, int, int, float, int]]:
    out = []
    for chunk in store.scan(after_seq=after_seq, rows=rows):
        out += list(
            zip(
                chunk.seq.tolist(),
                chunk.batch.series.tolist(),
                chunk.batch.time_us.tolist(),
                chunk.batch.value.tolist(),
                chunk.flag.tolist(),
                strict=True,
            )
        )
    return out


def test_arrival_numbers_rise_without_holes(store: SeriesStore) -> None:
    first = put(store, batch([1.0, 1.1]))
    second = put(store, batch([2.0], series=2))
    assert first.seq == [1, 2]
    assert second.seq == [3]
    assert store.last_seq() == 3


def test_a_repeat_changes_nothing(store: SeriesStore) -> None:
    put(store, batch([1.0, 1.1, float("nan")]))
    again = put(store, batch([1.0, 1.1, float("nan")]))
    assert again.state == [State.REPEAT] * 3
    assert again.seq == [0, 0, 0]
    assert len(journal(store)) == 3


def test_a_repeat_inside_the_batch_is_found(store: SeriesStore) -> None:
    done = put(store, batch([1.0, 1.0, 1.2], times_us=[T0_US, T0_US, T0_US + 1]))
    assert done.state == [State.STORED, State.REPEAT, State.STORED]
    assert done.seq == [1, 0, 2]


def test_another_value_at_the_same_time_is_kept_as_a_revision(store: SeriesStore) -> None:
    put(store, batch([1.0]))
    done = put(store, batch([1.4, 1.4], times_us=[T0_US, T0_US]))
    assert done.state == [State.CONFLICT, State.REPEAT]
    (chunk,) = store.scan(after_seq=0, rows=10)
    assert chunk.batch.value.tolist() == [1.0, 1.4]
    assert chunk.conflict.tolist() == [False, True]
    shown = store.history("A/stage_m", from_us=0, to_us=T0_US + 1, limit=10)
    assert shown.value.tolist() == [1.0], "screens show what came first"


def test_recognising_writes_nothing(store: SeriesStore) -> None:
    store.recognise(batch([1.0, 2.0]))
    assert store.last_seq() == 0
    assert store.recognise(batch([1.0])).tolist() == [State.STORED]


def test_late_rows_find_their_place_in_time(store: SeriesStore) -> None:
    put(store, batch([1.0, 3.0], times_us=[T0_US, T0_US + 2 * MINUTE_US]))
    put(store, batch([2.0], times_us=[T0_US + MINUTE_US]))
    shown = store.history("A/stage_m", from_us=0, to_us=T0_US + 3 * MINUTE_US, limit=10)
    assert shown.value.tolist() == [1.0, 2.0, 3.0]
    assert [row[3] for row in journal(store)] == [1.0, 3.0, 2.0], "the journal keeps the order of arrival"


def test_the_journal_can_be_read_from_any_number_in_any_chunks(store: SeriesStore) -> None:
    put(store, batch(list(np.arange(25.0))))
    assert journal(store, rows=7) == journal(store)
    assert [row[0] for row in journal(store, after_seq=20, rows=2)] == [21, 22, 23, 24, 25]


def test_history_gives_the_newest_up_to_its_limit(store: SeriesStore) -> None:
    put(store, batch(list(np.arange(10.0))))
    newest = store.history("A/stage_m", from_us=0, to_us=T0_US + 8 * MINUTE_US, limit=3)
    assert newest.value.tolist() == [5.0, 6.0, 7.0]
    assert len(store.history("nobody/stage_m", from_us=0, to_us=T0_US, limit=3).time_us) == 0


def test_latest_says_missing_for_what_was_never_heard(store: SeriesStore) -> None:
    put(store, batch([1.0, 2.0]))
    time, value, flag = store.latest(["A/stage_m", "B/stage_m", "nobody/x"])
    assert time.tolist() == [T0_US + MINUTE_US, 0, 0]
    assert value[0] == 2.0
    assert np.isnan(value[1:]).all()
    assert flag.tolist() == [Flag.GOOD, Flag.MISSING, Flag.MISSING]


def test_history_crosses_days_and_takes_in_what_came_late(store: SeriesStore) -> None:
    day = DAY_US // 4
    put(store, batch(list(np.arange(12.0)), step_us=day))
    assert len(store.history("A/stage_m", from_us=0, to_us=T0_US + 20 * day, limit=100).time_us) == 12
    put(store, batch([20.0, 21.0], times_us=[T0_US + day + MINUTE_US, T0_US + 9 * day + MINUTE_US]))
    shown = store.history("A/stage_m", from_us=T0_US + day, to_us=T0_US + 10 * day, limit=100)
    assert shown.value.tolist() == [1.0, 20.0, *np.arange(2.0, 10.0).tolist(), 21.0]
    assert shown.flag.tolist() == [Flag.GOOD] * 11
    few = store.history("A/stage_m", from_us=0, to_us=T0_US + 10 * day, limit=4)
    assert few.value.tolist() == [7.0, 8.0, 9.0, 21.0]
    total, count = store.totals(["A/stage_m"], from_us=T0_US, to_us=T0_US + 3 * day)
    assert (total.tolist(), count.tolist()) == ([26.0], [4])


def test_totals_count_usable_values_once(store: SeriesStore) -> None:
    put(store, batch([0.2, 0.4, float("nan"), 0.8], series=1))
    put(store, batch([99.0], series=1))
    put(store, batch([50.0], series=1, start_us=T0_US + 9 * MINUTE_US), Flag.SUSPECT)
    total, count = store.totals(["A/rain_mm", "B/stage_m"], from_us=T0_US, to_us=T0_US + 9 * MINUTE_US)
    assert total.tolist() == pytest.approx([1.2, 0.0])
    assert count.tolist() == [2, 0]


@pytest.fixture
def own(store: SeriesStore) -> SeriesStore:
    """A journal, not a mirror of one: a mirror holds the flags that rows were judged with."""
    return store


@pytest.mark.parametrize("store", OWN, indirect=True)
def test_the_newest_flag_of_a_reading_is_shown_and_the_first_one_is_judged(own: SeriesStore) -> None:
    put(own, batch([1.0, 2.0, 3.0]))
    put(own, batch([9.0], start_us=T0_US + 2 * MINUTE_US))
    for flag in (Flag.FAIL, Flag.SUSPECT):
        own.revise(KEYS[0], T0_US + 2 * MINUTE_US, flag, 7, by="somebody", at_us=T0_US)
    own.revise(KEYS[0], T0_US, Flag.FAIL, 7, by="somebody", at_us=T0_US)
    shown = own.history(KEYS[0], from_us=0, to_us=T0_US + DAY_US, limit=10)
    assert shown.flag.tolist() == [Flag.FAIL, Flag.GOOD, Flag.SUSPECT]
    assert shown.value.tolist() == [1.0, 2.0, 3.0]
    assert own.latest([KEYS[0]])[2].tolist() == [Flag.SUSPECT]
    total, count = own.totals([KEYS[0]], from_us=0, to_us=T0_US + DAY_US)
    assert (total.tolist(), count.tolist()) == ([2.0], [1])
    assert [row[4] for row in journal(own)] == [Flag.GOOD] * 4


@pytest.mark.parametrize("store", OWN, indirect=True)
def test_a_flag_of_nothing_is_not_revised(own: SeriesStore) -> None:
    put(own, batch([1.0]))
    for key, time_us in ((KEYS[0], T0_US + 1), (KEYS[1], T0_US), ("nobody", T0_US)):
        with pytest.raises(KeyError, match="nothing was measured"):
            own.revise(key, time_us, Flag.FAIL, 0, by="somebody", at_us=T0_US)


def test_an_empty_batch_is_fine(store: SeriesStore) -> None:
    assert put(store, batch([])) == ([], [])
    assert store.last_seq() == 0


def test_a_sound_store_says_nothing(store: SeriesStore) -> None:
    put(store, batch([1.0]))
    store.check()


def test_a_journal_that_a_full_disk_broke_says_so_until_it_is_opened_anew(tmp_path: Path) -> None:
    path = tmp_path / "j.duckdb"
    broken = DuckStore(path, KEYS)
    put(broken, batch([1.0] * 10))
    broken._db.execute("set checkpoint_threshold = '1KB'")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size, hard))
    try:
        with pytest.raises(duckdb.FatalException):
            put(broken, batch([2.0], start_us=T0_US + DAY_US))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    with pytest.raises(duckdb.FatalException):
        broken.check()
    broken.close()
    with closing(DuckStore(path, KEYS)) as again:
        again.check()
        assert again.last_seq() == 11, "what was committed is there"


def test_keys_of_another_registry_stay_readable(tmp_path: Path) -> None:
    first = DuckStore(tmp_path / "j.duckdb", KEYS)
    put(first, batch([1.0, 2.0], series=[0, 2]))
    first.close()
    second = DuckStore(tmp_path / "j.duckdb", ["C/stage_m", "B/stage_m"])
    try:
        assert [(row[0], row[1]) for row in journal(second)] == [(2, 1)], "a series out of the registry is left out"
        assert second.history("A/stage_m", from_us=0, to_us=T0_US + 1, limit=1).value.tolist() == [1.0]
        assert put(second, batch([2.0], series=1, start_us=T0_US + MINUTE_US)).state == [State.REPEAT]
    finally:
        second.close()


def test_a_second_process_is_told_that_the_journal_is_taken(tmp_path: Path) -> None:
    held = DuckStore(tmp_path / "j.duckdb", KEYS)
    code = "import sys; from sensors.store.duck import DuckStore; DuckStore(sys.argv[1], [])"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "j.duckdb")],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    held.close()
    assert done.returncode == 1
    assert "OSError" in done.stderr
    assert "one process may have it" in done.stderr


rows_strategy = st.lists(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 6), st.sampled_from([1.0, 2.0, float("nan")])), max_size=8),
    max_size=6,
)


@given(rows_strategy)
@settings(derandomize=True, deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_both_stores_tell_the_same_story(batches: list[list[tuple[int, int, float]]]) -> None:
    plain, fast = MemoryStore(KEYS), DuckStore(":memory:", KEYS)
    try:
        for rows in batches:
            readings = ReadingBatch.of(
                series=[r[0] for r in rows],
                time_us=[T0_US + r[1] * MINUTE_US for r in rows],
                value=[r[2] for r in rows],
                received_us=[T0_US] * len(rows),
            )
            one, two = put(plain, readings), put(fast, readings)
            assert one.seq == two.seq
            assert one.state == two.state
        np.testing.assert_equal(_columns(plain), _columns(fast))
    finally:
        fast.close()


def _columns(store: SeriesStore) -> list[tuple[list[object], ...]]:
    def plain(chunk: Journal) -> tuple[list[object], ...]:
        return (chunk.seq.tolist(), chunk.batch.time_us.tolist(), chunk.batch.value.tolist(), chunk.checks.tolist())

    return [plain(chunk) for chunk in store.scan(after_seq=0, rows=1000)]
