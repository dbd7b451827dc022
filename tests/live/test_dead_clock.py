"""Power cut, no network, the box's clock at 1970, and the river rises (contract 5.14)."""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from bench.mqtt_load import publish
from takean import clock
from tests.live.installation import Clocked

pytestmark = pytest.mark.live

STATIONS = ("S-1", "S-2", "S-3")
PATIENCE_S = 60.0
SETTLE_S = 1.1
"""Two turns of the judge, in which what must not happen would."""
TOLD_S_MAX = 60.0
OUTAGE_S = 3 * 3600
YEAR_S = 365 * 86_400
SHOWN_OFF_S_MAX = 600.0


@dataclass
class Box(Clocked):
    """A box whose rules tell at once."""

    ahead_s: int = 0
    """The truth minus the clock of the machine that runs this test."""
    sent: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        rules = (self.config / "rules.toml").read_text(encoding="utf-8")
        (self.config / "rules.toml").write_text(rules.replace("up_for_s = 120", "up_for_s = 0"), encoding="utf-8")

    def lose_power(self, *, for_s: int, wall_s: int) -> None:
        """All processes die at once; so long afterwards it starts again, with `wall_s` on its wall clock."""
        self.pull_the_plug()
        course = clock.kept(self.clock_file)
        assert course is not None
        file = os.open(self.clock_file, os.O_RDWR)
        clock.keep(file, course._replace(boot=uuid4()))  # the machine has started anew since
        os.close(file)
        self.ahead_s += for_s
        self.set_wall(wall_s - int(time.time()))
        self.start()

    def leap(self, *, off_s: int) -> None:
        """The wall clock is set that far from the truth while the box runs, and it has seen so."""
        self.set_wall(self.ahead_s + off_s)
        until(lambda: abs(self.metric("takean_clock_off_seconds") - off_s) < SHOWN_OFF_S_MAX)
        time.sleep(SETTLE_S)

    def settle(self) -> None:
        """All that was sent is judged, and the clock alone has had its say."""
        until(lambda: self.metric("takean_judged_seq") == self.sent)
        time.sleep(SETTLE_S)

    @property
    def clock_file(self) -> Path:
        return self.state / "clock.exercise"

    @property
    def true_s(self) -> float:
        return time.time() + self.ahead_s

    def send(self, stage_m: float, stations: tuple[str, ...] = STATIONS) -> None:
        """Each station measures and reports at once; their clocks are right."""
        for station in stations:
            self.sent += 1
            payload = b'{"ts": %d, "values": {"stage_m": %.3f}}' % (self.true_s * 1000, stage_m + 0.001 * self.sent)
            topic = f"takean/drill/v1/{station}/data"
            done = publish("127.0.0.1", self.mqtt_port, station, self.secrets[station], topic, [payload], attempts=400)
            assert len(done.acked) == 1

    def rise(self, stage_m: float, *, to_level: int) -> None:
        """Each measures again and again, until each river is told at that level: within a minute."""
        began_s = time.monotonic()
        while [e["judged_level"] for e in self.floods()] != [to_level] * len(STATIONS):
            assert time.monotonic() - began_s < TOLD_S_MAX, self.floods()
            self.send(stage_m)
            time.sleep(0.1)

    def ask(self, what: str) -> Any:
        return self.get(f"api/v1/{what}").raise_for_status().json()

    def floods(self) -> list[dict[str, Any]]:
        return [e for e in self.ask("episodes") if e["hazard"] == "flood"]

    def told(self) -> list[tuple[Any, ...]]:
        """Everything that stories say, as it stands."""
        columns = ("id", "version", "judged_level", "public_level", "closed_at")
        return sorted(tuple(e[c] for c in columns) for e in self.ask("episodes"))

    def notices(self) -> list[str]:
        return [n["code"] for n in self.ask("notices")]


def until(condition: Callable[[], object], seconds: float = PATIENCE_S) -> None:
    deadline_s = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline_s, "not in time"
        time.sleep(0.05)


def seconds_of(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    made = Box(tmp_path_factory.mktemp("clock") / "box", STATIONS)
    made.start()
    yield made
    made.pull_the_plug()  # libfaketime spoils the sleeps of an orderly stop


def test_a_river_that_rises_after_a_power_cut_is_told_in_time_by_a_box_at_1970(box: Box) -> None:
    box.send(1.0)
    until(lambda: box.metric("takean_judged_seq") == len(STATIONS))

    box.lose_power(for_s=OUTAGE_S, wall_s=20)
    box.send(1.1)
    until(lambda: "box_clock" in box.notices())
    box.rise(3.6, to_level=2)
    for story in box.floods():
        assert abs(seconds_of(story["opened_at"]) - box.true_s) < SHOWN_OFF_S_MAX
        assert story["known"]
    assert {e["hazard"] for e in box.ask("episodes")} == {"flood"}, "nobody is absent"
    assert not box.ask("quarantine")["rows"]
    newest = [s["time"] for station in box.ask("stations") for s in station["sensors"]]
    assert all(abs(seconds_of(t) - box.true_s) < SHOWN_OFF_S_MAX for t in newest)

    # A time server is found again: the wall clock leaps by half a century, and nobody notices.
    box.settle()
    before = box.told()
    box.leap(off_s=0)
    assert box.told() == before
    box.send(3.7)
    box.settle()
    assert [e[0] for e in box.told()] == [e[0] for e in before], "the same stories go on"
    assert all(e["judged_level"] == 2 and e["known"] for e in box.floods())
    assert {e["hazard"] for e in box.ask("episodes")} == {"flood"}
    assert box.metric("takean_stored_seq") == box.sent, "nothing lost, nothing twice"


def test_a_wall_clock_that_leaps_years_ahead_and_comes_back_pages_nobody(box: Box) -> None:
    box.rise(3.6, to_level=2)
    box.settle()
    before = box.told()

    box.leap(off_s=5 * YEAR_S)
    assert box.told() == before
    box.rise(4.2, to_level=3)  # it still warns
    box.settle()
    before = box.told()

    assert "box_clock" in box.notices()

    box.leap(off_s=0)
    assert box.told() == before
    box.send(4.2)
    box.settle()
    assert [e[0] for e in box.told()] == [e[0] for e in before]
    assert {e["hazard"] for e in box.ask("episodes")} == {"flood"}, "nobody is absent"
    assert not box.ask("quarantine")["rows"]
