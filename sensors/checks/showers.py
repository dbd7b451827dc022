"""What the rain gauges around say of one (PWSQC: de Vos et al. 2019, Geophysical Research Letters 46).

All gauges are summed over steps of 5 min. A step closes when any gauge has sent a reading that is ten minutes past it;
what comes later is not looked at. So a step is judged once, by what had arrived, however the stream was cut.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from sensors.batch import Bool, Float64, Int64, ReadingBatch
from sensors.checks.middle import middle
from sensors.checks.verdicts import Verdicts
from sensors.flags import GOOD, SUSPECT, UNKNOWN, Check, Flags
from sensors.stations import Registry
from sensors.window import NEVER

STEP_US = 300_000_000
CLOSES_US = 600_000_000
NEAR_KM = 10.0
GAUGES_MIN = 5
"""Fewer neighbours say nothing."""
ZERO_STEPS = 6
"""A gauge that stays at 0 for more steps than these, while half of those around have rain, is faulty."""
CALM_MM, BURST_MM = 0.4, 10.0
"""More than BURST_MM in a step is too much while the middle of the neighbours is below CALM_MM; above it, more than
BURST_MM / CALM_MM times that middle.
"""
DAY_STEPS = 288
RECORD_STEPS = 14 * DAY_STEPS
WET_STEPS_MIN = 100
ALIKE = 0.15
"""A gauge whose correlation with its neighbours over two weeks lies below this, in the middle, is an outlier."""
EARTH_KM = 6371.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Gauges:
    """The rain gauges of a registry that are fast enough to be compared: those of 5 min and less."""

    series: NDArray[np.int32]
    """(g,)"""
    number: NDArray[np.int32]
    """(series,) its gauge; -1 for none."""
    near: Bool
    """(g, g) who stands around whom; nobody where too few do."""

    @classmethod
    def of(cls, registry: Registry) -> Self:
        """Lay out once."""
        rain = [i for i, s in enumerate(registry.series) if s.quantity == "rain_mm" and s.cadence_us <= STEP_US]
        where = np.array(
            [
                (registry.stations[registry.series[i].station].lat, registry.stations[registry.series[i].station].lon)
                for i in rain
            ]
        ).reshape(-1, 2)
        near = distance_km(where) <= NEAR_KM
        np.fill_diagonal(near, val=False)
        near[near.sum(axis=1) < GAUGES_MIN] = False
        judged = near.any(axis=1) | near.any(axis=0)
        series = np.array(rain, dtype=np.int32)[judged]
        number = np.full(len(registry.series), -1, dtype=np.int32)
        number[series] = np.arange(len(series))
        return cls(series=series, number=number, near=near[np.ix_(judged, judged)])

    def __len__(self) -> int:
        return len(self.series)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sky:
    """What is remembered of the rain."""

    reached_us: Int64
    """() newest time of any gauge; NEVER before the first reading."""
    series: NDArray[np.int32]
    time_us: Int64
    value: Float64
    """(n,) readings of steps that have not closed."""
    step: Int64
    """() the newest closed step with a reading."""
    zeros: Int64
    """(g,) steps in a row in which it stood at 0 and those around it had rain."""
    record: NDArray[np.float32]
    """(RECORD_STEPS, g) by number of the step; NaN where nothing came."""
    outlier: Bool
    known: Bool
    """(g,) what the two weeks before the present day say, and whether they say anything."""

    @classmethod
    def empty(cls, gauges: int) -> Self:
        """Nothing heard yet."""
        return cls(
            reached_us=np.array(NEVER),
            series=np.empty(0, dtype=np.int32),
            time_us=np.empty(0, dtype=np.int64),
            value=np.empty(0),
            step=np.array(NEVER),
            zeros=np.zeros(gauges, dtype=np.int64),
            record=np.full((RECORD_STEPS if gauges else 0, gauges), np.nan, dtype=np.float32),
            outlier=np.zeros(gauges, dtype=np.bool_),
            known=np.zeros(gauges, dtype=np.bool_),
        )


def look_around(batch: ReadingBatch, sound: Bool, sky: Sky, gauges: Gauges) -> tuple[Verdicts, Sky]:
    """Judge the readings of the steps that close with a batch.

    Parameters
    ----------
    batch : n stored readings in order of arrival
    sound : (n,) usable, and their clocks are not in doubt

    Returns
    -------
    verdicts : SUSPECT for a faulty zero, a burst that nobody around has seen, and a gauge that goes its own way;
        UNKNOWN where fewer than GAUGES_MIN neighbours had a reading; else GOOD
    """
    at = np.flatnonzero((gauges.number[batch.series] >= 0) & sound)
    if not len(at):
        return _verdicts(sky.series[:0], sky.time_us[:0], np.empty(0, dtype=np.uint8)), sky
    rows = batch[at]
    reached_us = np.maximum.accumulate(np.maximum(rows.time_us, sky.reached_us))
    before_us = np.concatenate([[sky.reached_us], reached_us[:-1]])
    in_time = _step(rows.time_us) > _closed(before_us)
    series = np.concatenate([sky.series, rows.series[in_time]])
    time_us = np.concatenate([sky.time_us, rows.time_us[in_time]])
    value = np.concatenate([sky.value, rows.value[in_time]])
    step = _step(time_us)
    closes = step <= _closed(reached_us[-1:])[0]
    after = _Closing(sky, gauges)
    flag = after.judge(step[closes], gauges.number[series[closes]], value[closes])
    return _verdicts(series[closes], time_us[closes], flag), Sky(
        reached_us=np.array(reached_us[-1]),
        series=series[~closes],
        time_us=time_us[~closes],
        value=value[~closes],
        step=np.array(after.step),
        zeros=after.zeros,
        record=after.record,
        outlier=after.outlier,
        known=after.known,
    )


def distance_km(where: Float64) -> Float64:
    """(g, g) between points, (g, 2) latitude and longitude in degrees; flat, as over tens of kilometres it is."""
    lat, lon = np.radians(where).T
    east = (lon[:, None] - lon[None, :]) * np.cos((lat[:, None] + lat[None, :]) / 2)
    distance: Float64 = EARTH_KM * np.hypot(lat[:, None] - lat[None, :], east)
    return distance


class _Closing:
    """Takes closed steps one after the other; begins where the sky stands, which is not modified."""

    def __init__(self, sky: Sky, gauges: Gauges) -> None:
        self._near = gauges.near
        self.step, self.zeros = int(sky.step), sky.zeros.copy()
        self.record, self.outlier, self.known = sky.record, sky.outlier, sky.known

    def judge(self, step: Int64, gauge: NDArray[np.int32], value: Float64) -> Flags:
        """(n,) flags of the readings of closed steps."""
        if not len(step):
            return np.empty(0, dtype=np.uint8)
        self.record = self.record.copy()
        steps, at = np.unique(step, return_inverse=True)
        shape = len(steps), len(self.zeros)
        heard = np.zeros(shape, dtype=np.bool_)
        heard[at, gauge] = True
        mm = np.zeros(shape)
        np.add.at(mm, (at, gauge), value)
        mm[~heard] = np.nan
        around = _around(mm, self._near)
        with np.errstate(invalid="ignore"):
            burst = (mm > BURST_MM) & (mm > around * BURST_MM / CALM_MM) | (mm > BURST_MM) & (around < CALM_MM)
            dry = (mm == 0) & (around > 0)
        flag = np.full(shape, GOOD, dtype=np.uint8)
        flag[np.isnan(around)] = UNKNOWN
        flag[burst] = SUSPECT
        for row, one in enumerate(steps.tolist()):
            self._pass(one, mm[row], dry[row])
            flag[row, (self.zeros > ZERO_STEPS) | (self.known & self.outlier)] = SUSPECT
        return flag[at, gauge]

    def _pass(self, step: int, mm: Float64, dry: Bool) -> None:
        for one in _between(self.step, step):  # nobody spoke
            self.record[one % RECORD_STEPS] = np.nan
        if step // DAY_STEPS != self.step // DAY_STEPS:
            self.known, self.outlier = outliers(self.record, self._near)
        self.zeros = np.where(dry, np.where(step == self.step + 1, self.zeros, 0) + 1, 0)
        self.record[step % RECORD_STEPS] = mm
        self.step = step


def outliers(record: NDArray[np.float32], near: Bool) -> tuple[Bool, Bool]:
    """(g,) of which gauges a record says enough, and which go their own way.

    Parameters
    ----------
    record : (steps, g) mm, NaN where nothing came
    """
    known, outlier = np.zeros((2, len(near)), dtype=np.bool_)
    there = ~np.isnan(record)
    mm = np.where(there, record, 0).astype(np.float64)
    weight = there.astype(np.float64)
    n = _across(weight, weight)
    one, squares, both = _across(mm, weight), _across(mm * mm, weight), _across(mm, mm)
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = np.sqrt(np.maximum(n * squares - one * one, 0) * np.maximum(n * squares.T - one.T * one.T, 0))
        alike = np.where(spread > 0, (n * both - one * one.T) / spread, 0.0)
    wet = _across(weight, (mm > 0).astype(np.float64))  # steps in which the first spoke and the second had rain
    for g in range(len(near)):
        speak = near[g] & (wet[g] >= WET_STEPS_MIN)
        if speak.sum() >= GAUGES_MIN:
            known[g], outlier[g] = True, np.median(alike[g, speak]) < ALIKE
    return known, outlier


def _across(a: Float64, b: Float64) -> Float64:
    """(g, g) sums over the steps. Not `a.T @ b`: that calls threads of its own, and the rivers need the processor."""
    sums: Float64 = np.einsum("si,sj->ij", a, b)
    return sums


def _around(mm: Float64, near: Bool) -> Float64:
    """(steps, g) median of the neighbours that spoke; NaN where too few did."""
    found = np.full(mm.shape, np.nan)
    for g in range(mm.shape[1]):
        found[:, g] = middle(mm[:, near[g]], least=GAUGES_MIN)
    return found


def _between(before: int, step: int) -> Iterator[int]:
    """Steps between two, no more than a record holds."""
    yield from range(max(before + 1, step - RECORD_STEPS), step) if before != NEVER else ()


def _step(time_us: Int64) -> Int64:
    """Number of the step that a time ends or lies in: an amount is of the time before it."""
    return -(-time_us // STEP_US)


def _closed(reached_us: Int64) -> Int64:
    """Newest step that is closed; NEVER before the first reading."""
    return np.where(reached_us == NEVER, NEVER, (np.where(reached_us == NEVER, 0, reached_us) - CLOSES_US) // STEP_US)


def _verdicts(series: NDArray[np.int32], time_us: Int64, flag: Flags) -> Verdicts:
    return Verdicts.of(Check.COMPANY, series, time_us, flag)
