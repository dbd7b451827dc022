"""What the devices of a live test send: real rivers in flood, or floods of our own making."""

import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from firmware_sim.recording import recording
from firmware_sim.sites import Site
from firmware_sim.truth import Float64, Int64, flash_flood

STATIONS = ("S-1", "S-2", "S-3", "S-4")
MINUTE_US = 60_000_000
RIVERS = ("aire_armley_2015", "calder_mytholmroyd_2015")
FLOOD_US = 1_451_174_400_000_000
"""2015-12-27T00:00Z: the Calder had its highest stage ten hours before, the Aire two hours later (flood/events.csv)."""
STORM_MINUTES = 720
"""A storm of our own and its recession."""
SPAN_US = 22 * 60 * MINUTE_US
"""A whole stream told by a device in less than a day: a series begins with a reading no older than that."""


class Reading(NamedTuple):
    """One reading as the journal must hold it."""

    station: str
    time_us: int
    stage_m: float


class Stream(NamedTuple):
    """What one device sends, in order."""

    station: str
    time_us: NDArray[np.int64]
    stage_m: NDArray[np.float64]
    """As they are read back from a payload of three decimals."""

    def __len__(self) -> int:
        return len(self.time_us)

    def readings(self) -> list[Reading]:
        """Every reading."""
        return [Reading(self.station, t, v) for t, v in zip(self.time_us.tolist(), self.stage_m.tolist(), strict=True)]

    def payloads(self) -> list[bytes]:
        """One message for each reading."""
        return [payload(reading) for reading in self.readings()]


Sent = dict[str, Stream]
"""Station -> what its device sends."""


def payload(reading: Reading) -> bytes:
    """A message of one reading, as docs/wire.md has it."""
    return b'{"ts": %d, "values": {"stage_m": %.3f}}' % (reading.time_us // 1000, reading.stage_m)


def of_rivers(reference: Path, messages: int, end_us: int) -> Sent:
    """Aire and Calder around the Boxing Day flood of 2015, moved in time so that they end now.

    Two gauges read each river by turns, every 30 min.
    """
    sent: Sent = {}
    for number, river in enumerate(RIVERS):
        path = reference / f"data/flood/uk/{river}.csv.gz"
        course = recording(path, station=river, column="stage_m").course(river, "stage_m")
        count = messages // len(RIVERS)
        middle = int(np.searchsorted(course.time_us, FLOOD_US))
        first = min(max(0, middle - count // 2), len(course.time_us) - count)
        assert first >= 0, f"{river} has {len(course.time_us)} readings, not {count}"
        part = slice(first, first + count)
        time_us = course.time_us[part] + (end_us - int(course.time_us[part][-1]))
        for turn in range(2):
            station = STATIONS[2 * number + turn]
            sent[station] = _stream(station, time_us[turn::2], course.value[part][turn::2])
    return sent


def of_our_own(messages: int, end_us: int, *, seed: int) -> Sent:
    """One flash flood after the other on one stream, read every minute with the noise of an instrument."""
    count, rng = messages // len(STATIONS), np.random.default_rng(seed)
    sites = [
        Site(
            station=station,
            lat=14.9,
            lon=104.2,
            readings=("stage_m",),
            cadence_s=60.0,
            stream="one",
            river_km=5.0 + 2.0 * number,
            bankfull_m=4.0,
        )
        for number, station in enumerate(STATIONS)
    ]
    storms = [
        flash_flood(sites, start_us=0, hours=STORM_MINUTES / 60, seed=seed + storm)
        for storm in range(-(-count // STORM_MINUTES))
    ]
    time_us = end_us - MINUTE_US * np.arange(count, 0, -1, dtype=np.int64)
    return {
        station: _stream(
            station,
            time_us,
            np.concatenate([storm.course(station, "stage_m").value[:STORM_MINUTES] for storm in storms])[:count]
            + rng.normal(0, 0.004, count),
        )
        for station in STATIONS
    }


def within_a_day(sent: Sent, end_us: int) -> tuple[Sent, int]:
    """The same levels at an even step, the first within a day of now; and the step, in microseconds."""
    step_us = SPAN_US // max(map(len, sent.values())) // 1000 * 1000
    return {
        station: Stream(station, end_us - step_us * np.arange(len(stream), 0, -1, dtype=np.int64), stream.stage_m)
        for station, stream in sent.items()
    }, step_us


def _stream(station: str, time_us: Int64, stage_m: Float64) -> Stream:
    """Values as three decimals carry them: what is compared is what was sent."""
    sent = [float(f"{value:.3f}") for value in np.maximum(stage_m, 0.0)]
    return Stream(station, time_us // 1000 * 1000, np.array(sent))


def now_us() -> int:
    """The minute that began last."""
    return time.time_ns() // 1000 // MINUTE_US * MINUTE_US
