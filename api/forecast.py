"""What is ahead of a gauge, for programs and for whoever asks at the command line."""

import math
from collections.abc import Callable

import numpy as np

from alerts.forecast.features import HORIZONS_US, Gauge
from alerts.forecast.forecaster import HORIZONS_H, Forecaster, layout_of, main_stage
from alerts.forecast.outlook import SPANS_US, Outlook, outlook
from alerts.rules import RuleSet
from api.forecast_schemas import ForecastOut, HeightOut, HorizonOut, ModelOut, ReachOut, VerdictOut
from api.schemas import iso
from api.screens.words import level_word
from sensors.flags import usable
from sensors.quantities import QUANTITIES
from sensors.reach import Reach
from sensors.stations import Registry
from sensors.store import SeriesReader

ROWS_MAX = 20_000
DAY_US = 86_400_000_000
STALE = "ข้อมูลเก่าเกินไป จึงไม่คาดการณ์", "the data is too old: nothing is said"
BANK = "ตลิ่ง"

Forecasters = Callable[[str], Forecaster | None]
"""Station -> what was trained for it."""


def forecast(
    registry: Registry,
    rules: RuleSet,
    reader: SeriesReader,
    station: str,
    *,
    forecaster: Forecaster | None,
    now_us: int,
) -> ForecastOut | None:
    """All that can be said of what is ahead; None for a station that measures no water level. Blocks."""
    layout, series = layout_of(registry, station), main_stage(registry, station)
    if layout is None or series is None:
        return None
    back_us = max(layout.back_us, *SPANS_US)

    def gauge(key: str, cadence_us: int) -> Gauge:
        held = reader.history(key, from_us=now_us - back_us, to_us=now_us + 1, limit=ROWS_MAX)
        good = usable(held.flag)
        return Gauge.of(held.time_us[good], held.value[good], cadence_us)

    own = gauge(layout.series, layout.cadence_us)
    upstream = [gauge(link.series, link.cadence_us) for link in layout.upstream]
    lines = _heights(registry, rules, station)
    heights = np.array([height for _, _, height in lines])
    found = outlook(own, upstream, heights, now_us, forecaster=forecaster, layout=layout)
    newest_us = int(own.time_us[-1]) if len(own.time_us) else None
    low, rise, high = found.rise.tolist() if found is not None else (math.nan,) * 3
    why, english = (found.why_thai, found.why_english) if found is not None else STALE
    return ForecastOut(
        station=station,
        name=series.name,
        unit=QUANTITIES[series.quantity].unit,
        at=iso(now_us),
        time=None if newest_us is None else iso(newest_us),
        age_s=None if newest_us is None else (now_us - newest_us) / 1e6,
        value=None if found is None else found.value,
        stale=found is None,
        speaks="nothing" if found is None else found.speaks.value,
        why=why,
        english=english,
        rise_per_h=_known(rise, 3),
        rise_low_per_h=_known(low, 3),
        rise_high_per_h=_known(high, 3),
        thresholds=[] if found is None else [_height(line, found, k) for k, line in enumerate(lines)],
        horizons=[] if found is None else _horizons(found),
        model=None if forecaster is None else _model(forecaster, now_us),
    )


def _heights(registry: Registry, rules: RuleSet, station: str) -> list[tuple[int, str, float]]:
    """(level, word, height) of its thresholds and of its lower bank, rising."""
    series = main_stage(registry, station)
    assert series is not None
    ladder = rules.ladders.by_level(registry.index[station, series.name])
    steps = rules.ladders.enter[:, ladder].tolist() if ladder >= 0 else []
    found = [(level, level_word(level), height) for level, height in enumerate(steps, start=1) if math.isfinite(height)]
    banks = registry.stations[station].banks
    if banks is not None:
        found.append((0, BANK, banks.lower_m))
    return sorted(found, key=lambda line: (line[2], line[0]))


def _height(line: tuple[int, str, float], found: Outlook, k: int) -> HeightOut:
    level, word, height = line
    return HeightOut(
        level=level,
        word=word,
        height=height,
        reached=found.value >= height,
        trend=_reach(found.trend, k),
        learned=_reach(found.learned, k),
    )


def _reach(reach: Reach, k: int) -> ReachOut | None:
    said = [_known(float(one[k, 0]), 2) for one in (reach.expected_h, reach.first_h, reach.last_h)]
    if all(one is None for one in said):
        return None
    return ReachOut(expected_h=said[0], first_h=said[1], last_h=said[2])


def _horizons(found: Outlook) -> list[HorizonOut]:
    return [
        HorizonOut(
            horizon_h=hours,
            time=iso(found.at_us + horizon_us),
            **{f"p{q}": round(float(value), 3) for q, value in zip((10, 50, 90), stage, strict=True)},
        )
        for hours, horizon_us, stage in zip(HORIZONS_H, HORIZONS_US, found.stage, strict=True)
        if np.isfinite(stage).all()
    ]


def _model(of: Forecaster, now_us: int) -> ModelOut:
    return ModelOut(
        trained=iso(of.trained_us),
        trained_from=iso(of.from_us),
        trained_until=iso(of.until_us),
        trained_rows=of.rows,
        age_days=round((now_us - of.trained_us) / DAY_US, 1),
        upstream=[link.series for link in of.layout.upstream],
        verdicts=[
            VerdictOut(horizon_h=one.horizon_h, accepted=one.accepted, why=one.thai, english=one.english)
            for one in of.verdicts
        ],
    )


def _known(value: float, decimals: int) -> float | None:
    return round(value, decimals) if math.isfinite(value) else None
