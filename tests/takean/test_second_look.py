"""The second look follows a real journal: what it finds is shown, kept over a restart, and never against a person."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from sensors.batch import ReadingBatch
from sensors.checks import flag
from sensors.checks.second import SecondLook
from sensors.flags import Check, Flag, pack, unpack
from sensors.sensor import Sensor
from sensors.store import BY_CHECKS, DAY_US
from sensors.store.duck import DuckStore
from sensors.window import Window
from takean import cli, configuration, second_look
from takean.second_look import Follower
from takean.settings import SAMPLE
from takean.worker_part import worker_part
from tests.builders import MINUTE_US, T0_US, batch, registry, station

REG = registry(
    station("A", Sensor(quantity="stage_m")),
    station("Q", Sensor(quantity="pm2_5_ug_m3", id="a"), Sensor(quantity="pm2_5_ug_m3", id="b")),
)
KEY = "A/stage_m"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckStore]:
    with closing(DuckStore(tmp_path / "journal.duckdb", REG.keys())) as made:
        yield made


class Box:
    """A journal that is written as the worker writes it."""

    def __init__(self, store: DuckStore, folder: Path) -> None:
        self.store, self.folder = store, folder
        self.window = Window.empty(len(REG.series))
        self.follower = self.follow()

    def follow(self) -> Follower:
        return Follower(self.store, REG, self.folder / "second_look.npz", now_us=lambda: T0_US + DAY_US)

    def put(self, rows: ReadingBatch) -> None:
        none, clock = np.zeros(len(rows), dtype=np.bool_), np.ones(len(rows), dtype=np.uint8)
        found = flag(rows, none, clock, self.window, REG.limits)
        self.window = found.window
        self.store.append(rows, none, found.flag, pack(found.per_check))

    def stages(self, values: list[float], minute: int = 0) -> None:
        self.put(batch(values, start_us=T0_US + minute * MINUTE_US))

    def look(self) -> int:
        return self.follower.turn(threading.Event())

    def shown(self, key: str = KEY) -> list[int]:
        found: list[int] = self.store.history(key, from_us=0, to_us=T0_US + DAY_US, limit=100).flag.tolist()
        return found


@pytest.fixture
def box(store: DuckStore, tmp_path: Path) -> Box:
    return Box(store, tmp_path)


def test_a_spike_is_shown_as_suspect_and_a_front_as_good_once_the_next_reading_is_there(box: Box) -> None:
    box.stages([1, 1, 3])
    assert box.look() == 0
    assert box.shown() == [2, 1, 2]
    box.stages([1, 1, 2, 2.2], minute=3)
    assert box.look() == 2
    assert box.shown() == [2, 1, 3, 1, 1, 1, 1]
    assert [chunk.flag.tolist() for chunk in box.store.scan(after_seq=0, rows=99)] == [[2, 1, 2, 1, 1, 2, 1]]
    spike = box.store.reviews.revisions(KEY, from_us=0, to_us=T0_US + 3 * MINUTE_US, limit=9)
    assert [(one.flag_before, one.flag, one.by, one.reason) for one in spike] == [(2, 3, BY_CHECKS, "")]
    said = unpack(np.array([spike[0].checks], dtype=np.uint32))[:, 0]
    assert said[Check.SPIKE] == Flag.SUSPECT
    assert said[Check.GAP] == Flag.GOOD


def test_the_newest_reading_is_shown_with_its_newest_flag(box: Box) -> None:
    times = [T0_US, T0_US]
    box.put(batch([20.0, 300.0], series=[1, 2], times_us=times))
    assert box.look() == 2
    assert box.store.latest(["Q/pm2_5_ug_m3@a", "Q/pm2_5_ug_m3@b"])[2].tolist() == [3, 3]


def test_what_a_person_said_stands(box: Box) -> None:
    box.stages([1, 1, 3])
    kept = box.store.reviews.review(
        KEY, from_us=T0_US + 2 * MINUTE_US, to_us=T0_US + 3 * MINUTE_US, flag=1, by="nok", reason="a lorry", at_us=T0_US
    )
    assert kept == 1
    box.stages([1, 1], minute=3)
    assert box.look() == 0
    assert box.shown() == [2, 1, 1, 1, 1]


def test_a_person_reviews_a_span_and_every_flag_is_kept(box: Box) -> None:
    box.stages([1, 1, 3, 1, 1])
    box.look()
    low, high = T0_US + MINUTE_US, T0_US + 4 * MINUTE_US
    for given, reason in ((4, "ice"), (1, "no ice after all")):
        reviews = box.store.reviews
        assert reviews.review(KEY, from_us=low, to_us=high, flag=given, by="nok", reason=reason, at_us=high) == 3
    assert box.shown() == [2, 1, 1, 1, 1]
    found = box.store.reviews.revisions(KEY, from_us=low + MINUTE_US, to_us=low + 2 * MINUTE_US, limit=9)
    assert [(one.flag_before, one.flag, one.by, one.reason) for one in found] == [
        (4, 1, "nok", "no ice after all"),
        (3, 4, "nok", "ice"),
        (2, 3, BY_CHECKS, ""),
    ]
    assert len({one.number for one in found}) == 3


def test_nothing_is_reviewed_where_nothing_was_measured_or_nobody_measures(box: Box) -> None:
    box.stages([1.0])
    for key, at_us in ((KEY, T0_US + 1), ("nobody", T0_US)):
        assert box.store.reviews.review(key, from_us=at_us, to_us=at_us + 1, flag=4, by="n", reason="r", at_us=0) == 0


def test_a_restart_goes_on_where_it_was_and_one_without_its_file_says_the_same(box: Box) -> None:
    box.stages([1, 1, 3])
    box.look()
    box.follower.save()
    box.follower = box.follow()
    box.stages([1, 1], minute=3)
    assert box.look() == 1
    whole = box.store.reviews.revisions(KEY, from_us=0, to_us=T0_US + DAY_US, limit=9)
    (box.folder / "second_look.npz").unlink()
    box.follower = box.follow()
    assert box.look() == 0
    assert box.store.reviews.revisions(KEY, from_us=0, to_us=T0_US + DAY_US, limit=9) == whole


def test_rows_that_cannot_be_looked_at_hold_up_none_that_come_behind_them(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ValueError("a defect of ours")

    box.stages([1, 1, 1])
    with monkeypatch.context() as defect:
        defect.setattr(SecondLook, "take", broken)
        assert box.look() == 0
    box.stages([1, 3, 1, 1], minute=3)
    assert box.look() == 1
    assert box.shown() == [2, 1, 1, 1, 3, 1, 1]


def test_a_file_that_is_damaged_or_ahead_of_the_journal_is_not_believed(box: Box) -> None:
    box.stages([1, 1, 3, 1])
    (box.folder / "second_look.npz").write_bytes(b"no")
    box.follower = box.follow()
    assert box.look() == 1
    box.follower.save()
    with closing(DuckStore(box.folder / "older.duckdb", REG.keys())) as older:
        again = Box(older, box.folder)
        again.stages([1, 3, 1])
        assert again.look() == 1


def test_a_journal_of_before_takes_reasons(tmp_path: Path) -> None:
    path = tmp_path / "journal.duckdb"
    with closing(DuckStore(path, REG.keys())) as made:
        Box(made, tmp_path).stages([1.0])
        made.revise(KEY, T0_US, Flag.FAIL, 7, by="somebody", at_us=T0_US)
        made._db.execute("alter table revision_of_flag drop column reason")
    with closing(DuckStore(path, REG.keys())) as opened:
        opened.reviews.review(KEY, from_us=T0_US, to_us=T0_US + 1, flag=1, by="nok", reason="fine", at_us=T0_US)
        found = opened.reviews.revisions(KEY, from_us=0, to_us=T0_US + 1, limit=9)
        assert [(one.by, one.reason) for one in found] == [("nok", "fine"), ("somebody", "")]


def test_a_running_worker_looks_again_and_takes_a_review_from_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(second_look, "EVERY_S", 0.05)
    state = tmp_path / "state"
    state.mkdir()
    monkeypatch.setenv("TAKEAN_CONFIG", str(SAMPLE))
    monkeypatch.setenv("TAKEAN_STATE", str(state))
    world = replace(configuration.load(SAMPLE, state, {}), mqtt=("127.0.0.1", 0), broker=None)
    with ExitStack() as stack:
        part = worker_part(stack, world, failed=lambda error: pytest.fail(str(error)), serve=True)
        begin_us = time.time_ns() // 1_000_000_000 * 1_000_000 - 120 * MINUTE_US
        times_us, values = begin_us + 2 * MINUTE_US * np.arange(5), np.array([1, 1, 3.0, 1, 1])
        part.worker.late.take(["WL-01/stage_m"], np.zeros(5, dtype=np.int32), times_us, values, store=True)

        def shown() -> int:
            flag = part.store.history("WL-01/stage_m", from_us=0, to_us=2**60, limit=9).flag
            return int(flag[2])

        deadline_s = time.monotonic() + 20
        while shown() != Flag.SUSPECT:
            assert time.monotonic() < deadline_s
            time.sleep(0.02)
        moment = datetime.fromtimestamp(int(times_us[2]) / 1e6, tz=timezone(timedelta(hours=7)))
        said = ["--from", moment.strftime("%Y-%m-%dT%H:%M:%S"), "--flag", "1", "--reason", "a lorry's wave"]
        done = CliRunner().invoke(cli.app, ["station", "review", "WL-01/stage_m", *said])
        assert done.exit_code == 0, done.output
        assert shown() == Flag.GOOD
    assert (state / f"second_look.{world.kind}.npz").exists()
