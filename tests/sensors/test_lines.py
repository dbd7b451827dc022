"""What a mirror is sent, and from where again: text, fitting and progress, without any server."""

from collections import deque
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.store import Away, TooSlow
from sensors.store.arrivals import STRANGE_CHUNKS, Arrivals, arrivals
from sensors.store.cursor import load
from sensors.store.destination import INFLUX, VICTORIA
from sensors.store.duck import DuckStore
from sensors.store.fitting import Fitting
from sensors.store.lines import head, lines
from sensors.store.memory import MemoryStore
from sensors.store.mirror import ROWS, Mirror
from sensors.store.resend import OVERLAP_S, Progress
from sensors.store.writer import Busy, Life
from tests.builders import T0_US, batch, thorough
from tests.sensors.mirrored import JournalFeed, same_rows

KEYS = ["A/stage_m", "B/rain_mm"]


def line(value: float, *, key: str = "A/stage_m", time_us: int = T0_US, flag: int = 1) -> str:
    (made,) = lines(
        [head(key, "actual")],
        [0],
        time_us=np.array([time_us]),
        value=np.array([value]),
        flag=np.array([flag], dtype=np.uint8),
        valued=np.isfinite([value]),
    )
    return made.decode()


def test_a_reading_is_one_line_with_float_fields_and_nanoseconds() -> None:
    assert line(2.31) == f"reading,kind=actual,sensor=stage_m,station=A value=2.31,flag=1 {T0_US}000"
    assert line(2.0).split()[1] == "value=2.0,flag=1", "never an integer field: it would refuse every fraction later"


def test_a_reading_without_a_value_keeps_its_flag() -> None:
    assert line(float("nan"), flag=9).split()[1] == "flag=9"


def test_an_infinite_value_has_no_text() -> None:
    with pytest.raises(AssertionError):
        lines(
            [""],
            [0],
            time_us=np.array([1]),
            value=np.array([np.inf]),
            flag=np.array([1], dtype=np.uint8),
            valued=np.array([True]),
        )


@given(st.floats(allow_nan=False, allow_infinity=False))
@thorough(200)
def test_the_text_of_a_value_is_read_back_as_the_same_float(value: float) -> None:
    text = line(value).split()[1].removeprefix("value=").partition(",")[0]
    assert float(text) == value


@given(st.text(min_size=1, max_size=12), st.text(min_size=1, max_size=12).filter(lambda t: "/" not in t))
@thorough(300)
def test_a_name_is_escaped_or_refused_and_never_ends_a_tag_early(sensor: str, station: str) -> None:
    try:
        text = head(f"{station}/{sensor}", "actual")
    except ValueError:
        return
    assert "\n" not in text
    parts, escaped = deque([""]), False
    for letter in text.removesuffix(" "):
        if letter == "," and not escaped:
            parts.append("")
        else:
            assert letter != " " or escaped
            parts[-1] += letter
        escaped = letter == "\\"
    assert len(parts) == 4, "measurement and three tags"


def test_names_that_no_line_can_hold_are_refused() -> None:
    for key in ("A/", "A\n/stage_m", "A\\/stage_m"):
        with pytest.raises(ValueError, match="cannot be a tag"):
            head(key, "actual")


# ---- what a server can hold


def chunk(times_us: list[int], values: list[float], *, keys: list[str] | None = None, first_seq: int = 1) -> Arrivals:
    n = len(times_us)
    named = keys or ["A/stage_m"] * n
    distinct = sorted(set(named))
    return Arrivals(
        keys=distinct,
        seq=np.arange(first_seq, first_seq + n),
        series=np.array([distinct.index(key) for key in named], dtype=np.int32),
        time_us=np.array(times_us, dtype=np.int64),
        value=np.array(values),
        received_us=np.array(times_us, dtype=np.int64),
        flag=np.ones(n, dtype=np.uint8),
        revision=np.zeros(n, dtype=np.bool_),
        through_seq=first_seq + n - 1,
        mark="",
        last_seq=first_seq + n - 1,
    )


def test_of_two_readings_within_one_step_the_first_stays_and_the_other_is_counted() -> None:
    fitting = Fitting(VICTORIA)
    rows = chunk(
        [T0_US + 100, T0_US + 900, T0_US + 1_000, T0_US + 100], [1.0, 2.0, 3.0, 4.0], keys=["A/x"] * 3 + ["B/x"]
    )
    for _ in range(2):  # a chunk that comes again is judged alike
        fitted = fitting.fit(rows)
        assert fitted.send.tolist() == [True, False, True, True]
        assert fitted.refused["precision"].tolist() == [False, True, False, False]
    later = fitting.fit(chunk([T0_US + 500], [5.0], keys=["A/x"], first_seq=5))
    assert later.send.tolist() == [False], "also across chunks"
    assert Fitting(INFLUX).fit(rows).send.all(), "a finer clock holds them all"


def test_a_value_that_would_spoil_its_neighbours_is_not_sent_but_its_flag_is() -> None:
    fitted = Fitting(VICTORIA).fit(chunk([T0_US, T0_US + 1_000, T0_US + 2_000], [1e300, -1e300, 5.0]))
    assert fitted.send.tolist() == [True] * 3
    assert fitted.valued.tolist() == [False, False, True]
    assert fitted.refused["range"].tolist() == [True, True, False]


def test_a_moment_that_the_server_cannot_name_is_refused() -> None:
    rows = chunk([-1, T0_US, 2**62], [1.0, 1.0, 1.0])
    assert Fitting(VICTORIA).fit(rows).refused["time"].tolist() == [True, False, True]
    assert Fitting(INFLUX).fit(rows).refused["time"].tolist() == [False, False, True]


# ---- from where it is sent again


def test_what_was_acknowledged_within_the_overlap_is_sent_again_in_another_life() -> None:
    progress = Progress()
    assert not progress.alive("one", 0.0)
    for second in range(200):
        progress.acknowledged(second + 1, float(second))
        assert not progress.alive("one", float(second))
    assert progress.settled == 200 - OVERLAP_S
    assert progress.alive("two", 200.0)
    assert progress.sent == progress.settled == 200 - OVERLAP_S


def test_rows_of_a_month_that_were_acknowledged_in_a_minute_are_not_settled_in_it() -> None:
    progress = Progress()
    progress.alive("one", 0.0)
    for step in range(590):
        progress.acknowledged((step + 1) * 5_000, step / 10)
        progress.alive("one", step / 10)
    assert progress.settled == 0


def test_a_server_that_does_not_tell_its_lives_apart_is_sent_again_when_the_connection_breaks() -> None:
    told, silent = Progress(), Progress()
    for progress, life in ((told, "one"), (silent, "")):
        progress.alive(life, 0.0)
        progress.acknowledged(7, 1.0)
        progress.lost()
    assert (told.sent, silent.sent) == (7, 0), "the first is asked when it is back"


@given(
    st.lists(st.tuples(st.sampled_from(["send", "look", "die", "restart"]), st.floats(0.1, 40.0)), max_size=80),
    st.integers(0, 2**32),
)
@thorough(200)
def test_whenever_either_side_dies_the_server_holds_everything_in_the_end(
    steps: list[tuple[str, float]], seed: int
) -> None:
    """A server that loses, with -9, what it acknowledged less than OVERLAP_S before."""
    rng, now_s, life, rows = Random(seed), 0.0, 0, 0
    held: dict[int, float] = {}
    progress = Progress()
    progress.alive("0", now_s)

    def send() -> None:
        for seq in range(progress.sent + 1, rows + 1):
            held[seq] = now_s
        progress.acknowledged(max(rows, progress.sent), now_s)

    for what, wait_s in steps:
        now_s += wait_s
        rows += rng.randrange(3)
        if what == "send":
            send()
        elif what == "look":
            progress.alive(str(life), now_s)
        elif what == "die":
            life += 1
            held = {seq: at_s for seq, at_s in held.items() if at_s <= now_s - OVERLAP_S}
        else:
            progress = Progress(settled=progress.settled)
            progress.alive(str(life), now_s)
    progress.alive(str(life), now_s)
    send()
    assert sorted(held) == list(range(1, rows + 1))


# ---- one mirror, with a server and a clock moved by hand


class Hand:
    """A server that does what the test says."""

    def __init__(self) -> None:
        self.life, self.away, self.poison = "one", "", b"poison"
        self.held: list[bytes] = []
        self.looks = 0

    def look(self) -> Life:
        self.looks += 1
        if self.away:
            raise Busy(self.away)
        return Life(mark=self.life)

    def write(self, lines: Sequence[bytes]) -> Sequence[tuple[int, str]]:
        if self.away:
            raise Away(self.away)
        self.held += [text for text in lines if self.poison not in text]
        return [(i, "no") for i, text in enumerate(lines) if self.poison in text]

    def close(self) -> None:
        """Nothing to let go of."""


class Bench:
    """A journal, a mirror and a clock."""

    def __init__(self, folder: Path) -> None:
        self.now_s, self.path, self.server = 0.0, folder / "mirror.json", Hand()
        self.store = DuckStore(folder / "journal.duckdb", KEYS)
        self.mirror = self.new()

    def new(self) -> Mirror:
        return Mirror(
            name="hand",
            kind="actual",
            limits=INFLUX,
            target=self.server,
            feed=JournalFeed(self.store, KEYS),
            path=self.path,
            clock=lambda: self.now_s,
            random=Random(1),
        )

    def store_rows(self, n: int, *, conflict: bool = False) -> None:
        rows = batch([float(i) for i in range(n)], start_us=T0_US + self.store.last_seq() * 60_000_000)
        self.store.append(rows, np.full(n, conflict), np.ones(n, dtype=np.uint8), np.zeros(n, dtype=np.uint32))

    def run(self, seconds: float) -> None:
        end_s = self.now_s + seconds
        while self.now_s < end_s:
            self.now_s += max(0.01, self.mirror.turn())


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_rows_are_sent_once_and_in_order_of_arrival(bench: Bench) -> None:
    bench.store_rows(2 * ROWS + 1)
    bench.run(90)
    values = [text.split()[1].decode() for text in bench.server.held]
    assert values == [f"value={float(i)!r},flag=1" for i in range(2 * ROWS + 1)]
    assert load(bench.path).settled == bench.store.last_seq()


def test_a_revision_is_not_sent(bench: Bench) -> None:
    bench.store_rows(2)
    bench.store_rows(1, conflict=True)
    bench.run(5)
    assert len(bench.server.held) == 2
    assert bench.mirror.progress.sent == 3
    assert bench.mirror.word().refused == {}


def test_a_mirror_that_is_away_is_asked_less_and_less_often_and_says_why(bench: Bench) -> None:
    bench.store_rows(3)
    bench.server.away = "cannot be reached"
    bench.run(10)
    assert bench.server.looks >= 4
    bench.run(290)
    assert 15 <= bench.server.looks <= 30, "every 15 to 30 s in the end"
    word = bench.mirror.word()
    assert (word.reason, word.sent_seq, word.waiting_us) == ("cannot be reached", 0, T0_US)
    bench.server.away = ""
    bench.run(40)
    assert len(bench.server.held) == 3
    assert bench.mirror.word().reason == ""


def test_a_line_that_is_refused_is_counted_once_however_often_it_is_sent(bench: Bench) -> None:
    bench.server.poison = b"value=1.0,"
    bench.store_rows(3)
    bench.run(5)
    bench.server.life = "two"
    bench.run(10)
    assert len(bench.server.held) == 4, "sent again"
    assert bench.mirror.word().refused == {"server": 1}
    bench.mirror.keep()
    bench.mirror = bench.new()
    bench.run(5)
    assert bench.mirror.word().refused == {"server": 1}, "also by another process of ours"


def test_a_journal_of_another_past_is_sent_from_its_beginning(bench: Bench, tmp_path: Path) -> None:
    bench.store_rows(5)
    bench.run(90)
    bench.mirror.keep()
    bench.store.close()
    (tmp_path / "journal.duckdb").unlink()
    bench.store = DuckStore(tmp_path / "journal.duckdb", KEYS)
    bench.store_rows(8)
    bench.server.held.clear()
    bench.mirror = bench.new()
    bench.run(5)
    assert len(bench.server.held) == 8


def test_an_unreadable_cursor_sends_everything_again(bench: Bench) -> None:
    bench.store_rows(4)
    bench.run(90)
    bench.path.write_bytes(b"\0" * 20)
    bench.mirror = bench.new()
    bench.run(5)
    assert len(bench.server.held) == 8


def test_a_cursor_that_is_taken_away_sends_everything_again_at_once(bench: Bench) -> None:
    bench.store_rows(4)
    bench.run(90)
    assert load(bench.path).settled == 4
    bench.path.unlink()
    bench.run(15)
    assert len(bench.server.held) == 8
    bench.run(90)
    assert load(bench.path).settled == 4
    assert len(bench.server.held) == 8


class Slow:
    """A journal that takes its time, and may have none in the end."""

    def __init__(self, bench: Bench, answer_s: float) -> None:
        self.bench, self.answer_s, self.fails, self.busy_s = bench, answer_s, True, 0.0
        self.feed = JournalFeed(bench.store, KEYS)

    def after(self, seq: int, *, mark: str, rows: int) -> Arrivals:
        self.bench.now_s += self.answer_s
        self.busy_s += self.answer_s
        if self.fails:
            raise TooSlow("too many questions at once")
        return self.feed.after(seq, mark=mark, rows=rows)


@pytest.mark.parametrize("fails", [False, True])
def test_a_journal_that_is_slow_gives_a_twentieth_of_its_time_whether_it_answers_or_not(
    bench: Bench, fails: bool
) -> None:
    bench.store_rows(20 * ROWS)
    feed = Slow(bench, 2.0)
    bench.mirror.feed = feed
    feed.fails = fails
    longest_s = 0.0
    while bench.now_s < 600:
        wait_s = bench.mirror.turn()
        longest_s = max(longest_s, wait_s)
        bench.now_s += max(0.01, wait_s)
    assert 20 <= feed.busy_s <= 0.06 * 600
    assert longest_s <= 1.0, "whoever watches is told every second"


def test_rows_of_series_that_are_no_longer_registered_hold_nothing_up(bench: Bench, tmp_path: Path) -> None:
    bench.store_rows(4)
    bench.store.close()
    with_less = DuckStore(tmp_path / "journal.duckdb", KEYS[1:])
    found = arrivals(with_less, KEYS[1:], after_seq=0, mark="", rows=100)
    assert (len(found.seq), found.through_seq, found.last_seq) == (0, 4, 4)
    with_less.close()


def test_one_question_looks_through_so_many_rows_whoever_they_belong_to(bench: Bench, tmp_path: Path) -> None:
    bench.store_rows(100)
    bench.store.close()
    with closing(DuckStore(tmp_path / "journal.duckdb", KEYS[1:])) as with_less:
        at, asked = 0, 0
        while at < 100:
            found = arrivals(with_less, KEYS[1:], after_seq=at, mark=with_less.mark(at), rows=2)
            assert found.same
            assert 0 < found.through_seq - at <= 2 * STRANGE_CHUNKS
            at, asked = found.through_seq, asked + 1
    assert asked == -(-100 // (2 * STRANGE_CHUNKS))


def test_rows_that_are_gone_from_the_journal_hide_none_behind_them(bench: Bench) -> None:
    bench.store_rows(12)
    bench.store._db.execute("delete from reading where seq <= 9")
    at, seen = 0, list[int]()
    for _ in range(5):
        found = arrivals(bench.store, KEYS, after_seq=at, mark="", rows=4)
        at, seen = found.through_seq, [*seen, *found.seq.tolist()]
    assert (at, seen) == (12, [10, 11, 12])


def test_the_comparison_finds_a_row_that_is_missing_strange_or_changed() -> None:
    def held(values: list[float], flag: int = 1, *, start_us: int = T0_US) -> MemoryStore:
        made, n = MemoryStore(KEYS), len(values)
        flags = np.full(n, flag, dtype=np.uint8)
        made.append(batch(values, start_us=start_us), np.zeros(n, dtype=np.bool_), flags, np.zeros(n, dtype=np.uint32))
        return made

    journal, nan = held([1.0, float("nan"), 3.0]), float("nan")
    assert same_rows(journal, held([1.0, nan, 3.0]), KEYS) == []
    assert same_rows(journal, held([1.0, nan, 3.0 + 1e-12]), KEYS, within=1e-9) == []
    assert same_rows(journal, held([1.0, nan, 3.0], start_us=T0_US + 1), KEYS, step_us=1_000) == []
    for mirror, said in (
        (held([1.0, nan]), "1 of 3 rows are missing"),
        (held([1.0, nan, 3.0, 4.0]), "1 of 3 rows are not the journal's"),
        (held([1.0, nan, 3.0 + 1e-12]), "and not [(3.0, 1)]"),
        (held([1.0, 2.0, 3.0]), "2.0 with flag 1"),
        (held([1.0, nan, 3.0], flag=2), "with flag 2"),
    ):
        found = same_rows(journal, mirror, KEYS)
        assert found, said
        assert said in found[0]
