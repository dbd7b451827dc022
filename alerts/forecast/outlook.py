"""When the water is going to stand at a height, as far as that can be said now: by its trend, and by what was learned.

The trend is always asked: Theil-Sen over the shortest span that reaches as far as the height (`sensors.reach`). What
was learned speaks only for horizons that the forecaster was accepted for, and where it does, it goes first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from alerts.forecast.features import HORIZONS_US, Gauge, Layout, features
from alerts.forecast.forecaster import HORIZONS_H, Forecaster
from alerts.forecast.model import QUANTILES, predict
from sensors.batch import Bool, Float64, ReadingBatch
from sensors.reach import Reach, times
from sensors.trend import GAP_CADENCES, HOUR_US, POINTS, Trend, follow, slopes

SPANS_US = HORIZONS_US
"""How far back a slope looks: it says nothing further ahead."""


class Voice(StrEnum):
    """Who speaks."""

    LEARNED = "learned"
    TREND = "trend"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outlook:
    """What can be said of a gauge. Hours count from now; NaN where nothing is said."""

    at_us: int
    """Of the reading it rests on."""
    value: float
    rise: Float64
    """(3,) slope per hour over the shortest span with enough readings: low, itself, high; NaN where there is none."""
    trend: Reach
    """(heights, 1)"""
    speaks: Voice
    why_thai: str
    why_english: str
    stage: Float64
    """(horizons, quantiles) learned, HORIZONS_US after `at_us`; NaN where it is not accepted or not known."""
    learned: Reach
    """(heights, 1) out of these, as far as they reach without a hole."""


def is_old(own: Gauge, now_us: int) -> bool:
    """Whether nothing may be said of now: no reading, or none for GAP_CADENCES cadences."""
    return not len(own.time_us) or now_us - int(own.time_us[-1]) > GAP_CADENCES * own.cadence_us


def outlook(
    own: Gauge,
    upstream: Sequence[Gauge],
    heights: Float64,
    now_us: int,
    *,
    forecaster: Forecaster | None,
    layout: Layout,
) -> Outlook | None:
    """Say what can be said; None where the readings are too old.

    Parameters
    ----------
    own, upstream : readings of at least `layout.back_us`, none after now
    heights : (heights,) in the unit of the series
    forecaster : what was trained for the station, if anything
    layout : what the configuration has it hear now
    """
    if is_old(own, now_us):
        return None
    at_us = own.time_us[-1:]
    stage = np.full((len(HORIZONS_US), len(QUANTILES)), np.nan)
    thai, english = _why(forecaster, layout)
    if forecaster is not None and forecaster.layout == layout and forecaster.model is not None:
        rise = predict(forecaster.model, features(layout, own, upstream, at_us))[0]
        stage = np.where(forecaster.accepted[:, None], own.value[-1] + rise, np.nan)
        if np.isnan(stage).all():
            thai = "ข้อมูลช่วงก่อนหน้าของสถานีนี้หรือสถานีต้นน้ำไม่ครบ จึงใช้แนวโน้ม"
            english = "readings of the station or of one upstream are missing: the trend speaks"
    since_h = (now_us - int(at_us[0])) / HOUR_US
    rise, trend = _trend(own, heights, now_us)
    return Outlook(
        at_us=int(at_us[0]),
        value=float(own.value[-1]),
        rise=rise,
        trend=trend,
        speaks=Voice.TREND if np.isnan(stage).all() else Voice.LEARNED,
        why_thai=thai,
        why_english=english,
        stage=stage,
        learned=crossings(float(own.value[-1]), stage, heights, since_h),
    )


def _why(forecaster: Forecaster | None, layout: Layout) -> tuple[str, str]:
    if forecaster is None:
        return "ยังไม่มีแบบจำลองของสถานีนี้ จึงใช้แนวโน้ม", "nothing was trained for this station: the trend speaks"
    if forecaster.layout != layout:
        return (
            "แบบจำลองฝึกไว้กับการตั้งค่าเดิม ต้องฝึกใหม่ จึงใช้แนวโน้ม",
            "it was trained for another configuration, train it anew: the trend speaks",
        )
    thai = " · ".join(one.thai for one in forecaster.verdicts)
    return thai, "; ".join(one.english for one in forecaster.verdicts)


def crossings(value: float, stage: Float64, heights: Float64, since_h: float) -> Reach:
    """When quantiles of the stage come to heights, in straight lines from one horizon to the next.

    The lowest quantile comes there last: of ten rises, eight come there between `first_h` and `last_h`.

    Parameters
    ----------
    value : stage now
    stage : (horizons, quantiles); what lies behind a hole is not used
    since_h : age of `value`
    """
    whole = int(np.logical_and.accumulate(np.isfinite(stage).all(axis=1)).sum())
    hours = np.array([0.0, *HORIZONS_H[:whole]])
    path = np.vstack([np.full((1, len(QUANTILES)), value), stage[:whole]])
    over = path[None] >= np.asarray(heights)[:, None, None]
    reached = over.any(axis=1) & ~over[:, 0]
    at = np.maximum(over.argmax(axis=1), 1) if whole else np.zeros(reached.shape, dtype=np.intp)
    quantile = np.arange(len(QUANTILES))
    low, high = path[np.maximum(at - 1, 0), quantile], path[at, quantile]
    share = np.where(reached, (np.asarray(heights)[:, None] - low) / np.where(high > low, high - low, 1.0), np.nan)
    found = hours[np.maximum(at - 1, 0)] + share * (hours[at] - hours[np.maximum(at - 1, 0)])
    left = np.maximum(found - since_h, 0.0)
    return Reach(expected_h=left[:, 1:2], first_h=left[:, 2:3], last_h=left[:, 0:1])


def _trend(own: Gauge, heights: Float64, now_us: int) -> tuple[Float64, Reach]:
    """The slope of the shortest span that has one, and what the shortest says of each height that says anything."""
    cadence_us = np.array([own.cadence_us])
    silent = np.flatnonzero(np.diff(own.time_us) > GAP_CADENCES * own.cadence_us)
    begin = int(silent[-1]) + 1 if len(silent) else 0
    n = len(own.time_us) - begin
    batch = ReadingBatch.of(
        series=np.zeros(n), time_us=own.time_us[begin:], value=own.value[begin:], received_us=own.time_us[begin:]
    )
    rise = np.full(3, np.nan)
    found: list[Float64] = [np.full((len(heights), 1), np.nan) for _ in range(3)]
    for span in sorted({max(span, (POINTS - 1) * own.cadence_us) for span in SPANS_US}):
        if batch.time_us[-1] - batch.time_us[0] < span // 2:
            continue
        span_us = np.array([span])
        nobody, everyone = np.zeros(1, dtype=np.bool_), np.ones(n, dtype=np.bool_)
        _, state = follow(
            batch,
            everyone,
            Trend.empty(1),
            span_us=span_us,
            cadence_us=cadence_us,
            gate_per_h=np.full(1, -np.inf),
            wanted=nobody,
        )
        steep = slopes(state, np.array([0]), now_us, span_us=span_us)
        if np.isnan(rise[1]):
            rise = np.array([float(one[0]) for one in (steep.low_per_h, steep.rise_per_h, steep.high_per_h)])
        reach = times(
            steep, heights[:, None], now_us, window_us=span_us, young_us=np.array([GAP_CADENCES * own.cadence_us])
        )
        silent_yet: Bool = np.isnan(found[0])
        parts = (reach.expected_h, reach.first_h, reach.last_h)
        found = [np.where(silent_yet, new, old) for new, old in zip(parts, found, strict=True)]
    expected, first, last = found
    return rise, Reach(expected_h=expected, first_h=first, last_h=last)
