"""The judgement clock of a box whose wall clock cannot be trusted: it goes on, and the devices say where it belongs."""

from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID, uuid4

import numpy as np
import pytest

from sensors.batch import ReadingBatch
from sensors.clocks import FUTURE_US, ClockState, place
from sensors.store.memory import MemoryStore
from takean import clock as clocks
from takean.box_clock import WRITTEN_US, BoxClock, newest_arrival_us
from tests.builders import MINUTE_US, T0_US, batch

SECOND_US = 1_000_000
HOUR_US = 60 * MINUTE_US
YEAR_US = 8766 * HOUR_US
BOOTED_1970_US = 20 * SECOND_US
STEP_S = 5
ALL = range(1_000)


@dataclass
class Machine:
    """A box, the true time, and stations that know it; leads are errors of their clocks."""

    folder: Path
    stations: int = 4
    leads_us: dict[int, int] = field(default_factory=dict)
    dumb: Container[int] = ()
    """Stations that do not speak."""
    synchronised: bool = False
    true_us: int = T0_US
    wall_us: int = T0_US
    steady_us: int = 7 * HOUR_US
    boot: UUID = field(default_factory=uuid4)
    floor_us: int = 0

    def __post_init__(self) -> None:
        self.path = self.folder / "clock"
        self.devices = ClockState.empty(self.stations)
        self.clock = self._started()

    def _started(self) -> BoxClock:
        return BoxClock(
            self.path,
            floor_us=self.floor_us,
            real_us=lambda: self.wall_us,
            steady_us=lambda: self.steady_us,
            boot=lambda: self.boot,
            synchronised=lambda: self.synchronised,
        )

    def restart(self) -> None:
        """The worker dies and comes back."""
        self.clock.close()
        self.clock = self._started()

    def power_cut(self, *, hours: float, wall_us: int) -> None:
        """Off for some hours; the wall clock then begins at `wall_us`."""
        self.floor_us = max(int(self.devices.heard_us.max()), 0)
        self.true_us += round(hours * HOUR_US)
        self.wall_us, self.steady_us, self.boot = wall_us, 40 * SECOND_US, uuid4()
        self.restart()

    def run(self, minutes: float) -> None:
        """Time passes; each station speaks once a minute, and the clock is looked at every few seconds."""
        for _ in range(round(minutes * 60 / STEP_S)):
            self.go_on()
            second = self.true_us // SECOND_US % 60
            self.speak([i for i in range(self.stations) if second // STEP_S == i % 12 and i not in self.dumb])

    def go_on(self) -> None:
        """Some seconds pass on all clocks."""
        for name in ("true_us", "wall_us", "steady_us"):
            setattr(self, name, getattr(self, name) + STEP_S * SECOND_US)

    def speak(self, speak: Sequence[int]) -> None:
        """Some stations report, and the clock is looked at."""
        if speak:
            now_us = self.clock.now_us()
            heard = ReadingBatch.of(
                series=speak,
                time_us=[self.true_us + self.leads_us.get(i, 0) for i in speak],
                value=[1.0] * len(speak),
                received_us=[now_us] * len(speak),
            )
            self.devices = place(heard, self.devices).state
        self.clock.look(self.devices, np.arange(self.stations))

    @property
    def off_us(self) -> int:
        """How far the judgement clock is off the truth."""
        return self.clock.now_us() - self.true_us


@contextmanager
def leaping(machine: Machine) -> Iterator[list[int]]:
    """How far the clock is moved while the block lasts."""
    moved: list[int] = []
    before = machine.clock.leapt_us
    yield moved
    moved.append(machine.clock.leapt_us - before)


def test_a_clock_that_goes_right_is_shown_as_it_is(tmp_path: Path) -> None:
    box = Machine(tmp_path)
    box.run(30)
    assert box.off_us == 0 == box.clock.leapt_us == box.clock.off_us


def test_a_time_server_that_corrects_seconds_is_followed_and_nothing_ever_goes_back(tmp_path: Path) -> None:
    box = Machine(tmp_path)
    box.run(5)
    box.wall_us += 40 * SECOND_US
    box.run(1)
    assert box.clock.now_us() == box.wall_us
    box.wall_us -= 40 * SECOND_US
    shown = []
    for _ in range(20):
        shown.append(box.clock.now_us())
        box.go_on()
        shown.append(box.clock.now_us())
        box.speak([])
    assert shown == sorted(shown)
    assert box.clock.now_us() == box.wall_us


@pytest.mark.parametrize("hours", [0.01, 3.0, 40.0])
def test_after_a_power_cut_a_box_at_1970_goes_on_from_what_it_judged_and_the_devices_bring_it_to_now(
    tmp_path: Path, hours: float
) -> None:
    box = Machine(tmp_path)
    box.run(30)
    before = box.clock.now_us()
    box.power_cut(hours=hours, wall_us=BOOTED_1970_US)
    assert before - MINUTE_US <= box.clock.now_us() <= before
    box.run(1)
    assert abs(box.off_us) <= MINUTE_US
    assert box.clock.off_us < -50 * YEAR_US, "an alarm"
    box.run(90)
    assert abs(box.off_us) <= MINUTE_US


def test_a_wall_clock_that_is_set_right_takes_over_without_a_leap(tmp_path: Path) -> None:
    box = Machine(tmp_path)
    box.run(30)
    box.power_cut(hours=3, wall_us=BOOTED_1970_US)
    box.run(20)
    with leaping(box) as moved:
        box.wall_us = box.true_us
        box.run(5)
    assert abs(moved[0]) <= MINUTE_US
    assert box.off_us == 0 == box.clock.off_us


def test_a_wall_clock_that_is_set_right_before_any_device_spoke_is_followed_at_once(tmp_path: Path) -> None:
    box = Machine(tmp_path)
    box.run(30)
    box.power_cut(hours=3, wall_us=BOOTED_1970_US)
    box.dumb = ALL
    box.run(2)
    box.wall_us = box.true_us
    box.run(1)
    assert box.off_us == 0 == box.clock.off_us


def test_one_station_alone_brings_a_box_at_1970_to_now(tmp_path: Path) -> None:
    box = Machine(tmp_path, stations=1)
    box.run(30)
    box.power_cut(hours=3, wall_us=BOOTED_1970_US)
    box.run(1)
    assert abs(box.off_us) <= MINUTE_US


def test_of_many_stations_one_with_a_wrong_clock_does_not_lead_a_box_at_1970(tmp_path: Path) -> None:
    box = Machine(tmp_path, leads_us={0: 7 * HOUR_US})
    box.run(30)
    box.power_cut(hours=3, wall_us=BOOTED_1970_US)
    box.run(30)
    assert abs(box.off_us) <= MINUTE_US


def test_queues_that_drain_after_a_power_cut_never_lead_ahead_of_the_truth(tmp_path: Path) -> None:
    """Three hours were kept; the stations send three minutes of them a minute, each from somewhere else."""
    box = Machine(tmp_path)
    box.run(30)
    box.power_cut(hours=3, wall_us=BOOTED_1970_US)
    for minute in range(200):
        box.leads_us = {i: -max(0, 180 - 10 * i - 2 * minute) * MINUTE_US for i in range(4)}
        box.run(1)
        assert box.off_us <= MINUTE_US
    assert abs(box.off_us) <= FUTURE_US


def test_a_first_start_at_1970_begins_no_earlier_than_the_program_was_written(tmp_path: Path) -> None:
    box = Machine(tmp_path, wall_us=BOOTED_1970_US)
    assert box.clock.now_us() == WRITTEN_US
    box.run(1)
    assert abs(box.off_us) <= MINUTE_US


@pytest.mark.parametrize("leap_us", [-YEAR_US, -7 * HOUR_US, 7 * HOUR_US, 5 * YEAR_US])
@pytest.mark.parametrize("stations", [1, 4])
def test_a_wall_clock_that_leaps_and_comes_back_moves_nothing(tmp_path: Path, leap_us: int, stations: int) -> None:
    box = Machine(tmp_path, stations=stations)
    box.run(30)
    with leaping(box) as moved:
        box.wall_us += leap_us
        box.run(90)
        assert box.clock.off_us == leap_us
        box.wall_us -= leap_us
        box.run(30)
    assert moved == [0]
    assert box.off_us == 0 == box.clock.off_us


@pytest.mark.parametrize("wrong_us", [-3 * HOUR_US, 3 * HOUR_US])
def test_a_wall_clock_that_was_wrong_and_is_set_right_is_followed_once_the_devices_confirm_it(
    tmp_path: Path, wrong_us: int
) -> None:
    box = Machine(tmp_path, wall_us=T0_US + wrong_us, synchronised=True)
    box.run(30)
    assert box.off_us == wrong_us, "a time server vouches for it"
    box.wall_us = box.true_us
    box.run(2)
    assert box.off_us == 0


def test_a_leap_that_no_device_contradicts_is_believed_after_an_hour(tmp_path: Path) -> None:
    box = Machine(tmp_path, dumb=ALL)
    box.run(30)
    box.wall_us += 5 * HOUR_US
    box.run(55)
    assert box.off_us == 0
    box.run(10)
    assert box.off_us == 5 * HOUR_US


def test_a_box_that_was_off_and_goes_on_from_its_last_shutdown_is_brought_to_now(tmp_path: Path) -> None:
    """fake-hwclock: the wall clock is hours behind and after everything judged."""
    box = Machine(tmp_path)
    box.run(30)
    box.power_cut(hours=3, wall_us=box.wall_us + MINUTE_US)
    box.run(2)
    assert abs(box.off_us) <= MINUTE_US


def test_a_box_that_starts_years_ahead_comes_back_when_the_devices_have_agreed_for_ten_minutes(tmp_path: Path) -> None:
    box = Machine(tmp_path, wall_us=T0_US + 5 * YEAR_US)
    box.run(9)
    assert box.off_us == 5 * YEAR_US
    box.run(5)
    assert abs(box.off_us) <= MINUTE_US
    box.run(60)
    assert abs(box.off_us) <= MINUTE_US


@pytest.mark.parametrize("lead_us", [-7 * HOUR_US, 7 * HOUR_US])
def test_a_fleet_in_a_wrong_zone_does_not_move_a_box_that_a_time_server_sets(tmp_path: Path, lead_us: int) -> None:
    box = Machine(tmp_path, leads_us=dict.fromkeys(range(4), lead_us), synchronised=True)
    box.run(60)
    assert box.off_us == 0 == box.clock.leapt_us


@pytest.mark.parametrize("lead_us", [-7 * HOUR_US, 7 * HOUR_US])
def test_two_stations_accuse_no_box(tmp_path: Path, lead_us: int) -> None:
    box = Machine(tmp_path, stations=2, leads_us=dict.fromkeys(range(2), lead_us))
    box.run(60)
    assert box.off_us == 0 == box.clock.leapt_us


@pytest.mark.parametrize("hours", [0, 3])
def test_three_quick_liars_of_thirty_move_no_box_that_starts(tmp_path: Path, hours: int) -> None:
    box = Machine(tmp_path, stations=30)
    box.run(30)
    box.leads_us = dict.fromkeys(range(3), 7 * HOUR_US)
    box.power_cut(hours=hours, wall_us=BOOTED_1970_US if hours else box.wall_us)
    before_us = box.off_us
    for _ in range(6):
        box.go_on()
        box.speak(range(3))
        assert box.off_us == before_us
    box.run(30)
    assert abs(box.off_us) <= MINUTE_US


def test_of_thirty_the_ten_that_outlived_a_power_cut_bring_a_box_at_1970_to_now_in_ten_minutes(tmp_path: Path) -> None:
    box = Machine(tmp_path, stations=30)
    box.run(30)
    box.power_cut(hours=3, wall_us=BOOTED_1970_US)
    box.dumb = range(10, 30)
    box.run(12)
    assert abs(box.off_us) <= MINUTE_US


def test_an_outage_of_the_network_that_ends_with_what_was_queued_moves_no_box(tmp_path: Path) -> None:
    """The oldest readings come first: every station is late by the outage, all by the same."""
    box = Machine(tmp_path)
    box.run(30)
    box.dumb = ALL
    box.run(40)
    box.dumb, box.leads_us = (), dict.fromkeys(range(4), -40 * MINUTE_US)
    box.run(8)
    assert box.off_us == 0
    box.leads_us = {}
    box.run(30)
    assert box.off_us == 0 == box.clock.leapt_us


@pytest.mark.parametrize("restarted", [False, True])
def test_the_last_words_of_the_dead_are_no_votes_on_a_clock_that_was_moved_since(
    tmp_path: Path, restarted: bool
) -> None:
    box = Machine(tmp_path, stations=10, wall_us=T0_US + 3 * HOUR_US)
    while abs(box.off_us) > MINUTE_US:
        box.run(0.1)  # it is ahead and is brought back
    box.dumb = range(6)
    if restarted:
        box.restart()
    box.wall_us = box.true_us
    with leaping(box) as moved:
        box.run(4 * 60)
    assert abs(moved[0]) <= MINUTE_US


def test_a_time_server_that_is_found_after_a_fleet_in_a_wrong_zone_moved_the_box_is_believed(tmp_path: Path) -> None:
    box = Machine(tmp_path, leads_us=dict.fromkeys(range(4), 7 * HOUR_US))
    box.run(20)
    assert abs(box.off_us - 7 * HOUR_US) <= MINUTE_US, "nobody else tells the time"
    box.synchronised = True
    box.run(60)
    assert box.off_us == 0


def test_a_journal_of_a_box_that_was_years_ahead_does_not_hold_one_that_a_time_server_sets(tmp_path: Path) -> None:
    box = Machine(tmp_path, stations=1, floor_us=T0_US + 5 * YEAR_US, synchronised=True)
    assert box.off_us == 5 * YEAR_US
    box.run(1)
    assert box.off_us == 0


def test_a_steady_clock_that_went_back_is_not_that_of_the_course(tmp_path: Path) -> None:
    """A container that was thawed elsewhere: the same start of the machine, another count."""
    box = Machine(tmp_path)
    box.run(5)
    box.steady_us -= 5 * HOUR_US
    box.restart()
    assert box.off_us == 0


def test_a_worker_that_comes_back_goes_on_as_if_it_had_not_been_away(tmp_path: Path) -> None:
    box = Machine(tmp_path)
    box.run(30)
    box.power_cut(hours=3, wall_us=BOOTED_1970_US)
    box.run(10)
    before = box.off_us
    box.true_us, box.steady_us = box.true_us + HOUR_US, box.steady_us + HOUR_US
    box.restart()
    assert box.off_us == before


def test_other_processes_see_the_same_clock(tmp_path: Path) -> None:
    path = tmp_path / "clock"
    assert abs(clocks.Followed(path=path, boot=uuid4()).now_us() - clocks.real_us()) < SECOND_US, "no owner yet"
    ahead_us = clocks.real_us() + YEAR_US
    own = BoxClock(path, floor_us=ahead_us)
    here, elsewhere = clocks.Followed(path=path, boot=clocks.boot_id()), clocks.Followed(path=path, boot=uuid4())
    before, seen, after = own.now_us(), here.now_us(), own.now_us()
    assert before <= seen <= after
    assert ahead_us <= elsewhere.now_us() <= own.now_us(), "after a start of the machine, no earlier than before"
    own.close()


@pytest.mark.parametrize("spoilt", [b"", b"x", b"\0" * 38, b"\xff" * 200])
def test_a_course_that_a_power_cut_left_half_written_is_none(tmp_path: Path, spoilt: bytes) -> None:
    path = tmp_path / "clock"
    path.write_bytes(spoilt)
    assert clocks.kept(path) is None
    own = BoxClock(path, floor_us=0)
    assert abs(own.now_us() - clocks.real_us()) < SECOND_US
    own.close()
    course = clocks.kept(path)
    assert course is not None
    assert course.boot == clocks.boot_id()


def test_the_newest_arrival_of_a_journal_is_the_last_one_and_not_the_latest() -> None:
    store = MemoryStore(["A/stage_m"])
    assert newest_arrival_us(store) == 0
    for start_us in (T0_US + 5 * YEAR_US, T0_US):
        rows = batch([1.0, 1.1], start_us=start_us, delay_us=MINUTE_US)
        none = np.zeros(2, dtype=np.bool_)
        store.append(rows, none, np.ones(2, dtype=np.uint8), np.zeros(2, dtype=np.uint32))
    assert newest_arrival_us(store) == T0_US + 2 * MINUTE_US
