"""A recording through the same devices: the story is the one that is in the recording."""

import contextlib
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from alerts.episode import Event, EventType, Kind
from takean import clock, demo
from takean.scenes import Options
from takean.wiring import Platform

pytestmark = pytest.mark.live

PLAY_S_MAX = 60.0
SPEED = 14_400.0
"""36 h in 9 s."""


@contextlib.contextmanager
def played(options: Options) -> Iterator[Platform]:
    """The platform after the recording has been played to its end."""
    with demo.running(options, failed=_fail) as (platform, _, playing):
        deadline_us = clock.real_us() + round(PLAY_S_MAX * 1e6)
        while playing.clock.now_us() < playing.end_us + 900 * 1_000_000 and clock.real_us() < deadline_us:
            assert platform.worker.status().alive
            time.sleep(0.05)
        yield platform


def _fail(error: BaseException) -> None:
    pytest.fail(str(error))


def judged(platform: Platform) -> list[Event]:
    stories = [e for e in platform.ledger.episodes(Kind.EXERCISE) if e.hazard == "flood"]
    return [e for s in reversed(stories) for e in platform.ledger.events(s.id) if e.type is EventType.JUDGED]


def test_the_december_flood_of_a_real_river_is_told_as_it_was(reference: Path) -> None:
    options = Options(
        record=reference / "data/flood/uk/calder_mytholmroyd_2015.csv.gz",
        thresholds=(("critical", 4.5),),
        start=datetime(2015, 12, 26, tzinfo=UTC),
        end=datetime(2015, 12, 27, 12, tzinfo=UTC),
        speed=SPEED,
        mqtt_port=0,
        web_port=0,
    )
    with played(options) as platform:
        events = judged(platform)
    first = events[0]
    assert (first.from_level, first.to_level) == (0, 3)
    assert datetime.fromtimestamp(first.event_us / 1e6, tz=UTC) == datetime(2015, 12, 26, 8, 15, tzinfo=UTC)
    assert first.used[0].value >= 4.5
    assert [e.to_level for e in events] == [3, 2, 1, 0]
    assert datetime.fromtimestamp(events[1].event_us / 1e6, tz=UTC) > datetime(2015, 12, 26, 16, 15, tzinfo=UTC)


def test_a_recording_of_our_own_is_told_as_it_is(tmp_path: Path) -> None:
    hours = np.arange(0, 36, 0.25)
    stage = np.round(1.0 + 4.0 * np.exp(-(((hours - 12.0) / 3.0) ** 2)), 3)
    rows = "".join(
        f"{datetime.fromtimestamp(1_700_000_000 + h * 3600, tz=UTC).isoformat()},{v}\n"
        for h, v in zip(hours, stage, strict=True)
    )
    path = tmp_path / "own.csv"
    path.write_text("time_utc,stage_m\n" + rows)
    options = Options(record=path, thresholds=(("watch", 2.0), ("critical", 4.0)), speed=SPEED, mqtt_port=0, web_port=0)
    with played(options) as platform:
        events = judged(platform)
        counts = platform.ledger.delivery_counts(Kind.EXERCISE)
    assert [e.to_level for e in events] == [1, 3, 2, 1, 0]
    crossed = 1_700_000_000 + hours[stage >= 4.0][0] * 3600
    assert events[1].event_us == round(crossed * 1e6)
    assert sum(counts.values()) == 3, "watch, critical and the all-clear reach the preview phone"
