"""A world whose rules listen to every kind of input, and composite rules over them."""

from datetime import date

import numpy as np
from hypothesis import strategies as st

from alerts.inputs.ahead import AheadRule
from alerts.inputs.band import BandRule
from alerts.inputs.jump import JumpRule
from alerts.inputs.rain_sum import SumRule
from alerts.inputs.stuck import StuckRule
from alerts.rules import CompositeRule, Rule
from sensors.batch import ReadingBatch
from sensors.stations import Sensor
from tests.builders import MINUTE_US, T0_US, level_rule, registry, station

SAID: dict[str, object] = {"version": "1", "source": "test", "author": "test", "date": date(2026, 11, 22)}
HELD: dict[str, object] = {"up_for_s": 0.0, "down_for_s": 120.0, **SAID}

REG = registry(
    station(
        "A",
        Sensor(quantity="stage_m", spike=0.0, flat_suspect_s=300.0, flat_fail_s=600.0),
        Sensor(quantity="rain_mm"),
        Sensor(quantity="battery_v"),
    ),
    station("P", Sensor(quantity="pm2_5_ug_m3"), Sensor(quantity="humidity_pct")),
    station("Q", Sensor(quantity="pm2_5_ug_m3")),
)
STAGE, RAIN, BATTERY, DUST, HUMIDITY, DUST_TOO = range(6)


def made(kind: type[Rule], **values: object) -> Rule:
    """A rule with what every one must say."""
    return kind(**{**HELD, **values})  # type: ignore[arg-type]


def composite(id: str, level: int, **changes: object) -> CompositeRule:
    """A rule of smoke over other rules."""
    values: dict[str, object] = {"id": id, "hazard": "smoke", "level": level, **SAID, **changes}
    return CompositeRule(**values)  # type: ignore[arg-type]


def jump_rule(level: int, **changes: object) -> JumpRule:
    """Three times the median of half an hour, and above 50."""
    values: dict[str, object] = {"id": f"jump.{level}", "hazard": "smoke", "level": level, "quantity": "pm2_5_ug_m3"}
    values |= {"unit": "ratio", "over_s": 1800.0, "floor": 16.7, "enter": 3.0, "leave": 1.5}
    return JumpRule(**{**values, **HELD, **changes})  # type: ignore[arg-type]


def sum_rule(level: int, enter: float, over_h: float = 1.0, **changes: object) -> SumRule:
    """Rain of some hours."""
    values: dict[str, object] = {"id": f"rain.{over_h:g}.{level}", "hazard": "flash_flood", "level": level}
    values |= {"quantity": "rain_mm", "unit": "mm", "over_h": over_h, "enter": enter, "leave": enter / 2}
    return SumRule(**{**values, **HELD, **changes})  # type: ignore[arg-type]


RULES: tuple[Rule, ...] = (
    level_rule(1, 2.0),
    made(
        AheadRule,
        id="soon",
        hazard="flood",
        level=2,
        quantity="stage_m",
        unit="m",
        enter=3.0,
        leave=2.8,
        horizon_s=3600.0,
        reach=0.5,
    ),
    made(
        StuckRule, id="stuck", hazard="stuck", level=1, quantity="stage_m", unit="h", enter=0.1, leave=0.05, eps=0.001
    ),
    sum_rule(1, 10.0),
    sum_rule(2, 30.0),
    sum_rule(2, 50.0, over_h=3.0),
    made(BandRule, id="orange", hazard="air", level=1, quantity="pm2_5_ug_m3", unit="AQI", enter=101.0, leave=100.5),
    level_rule(1, 11.0, id="battery", hazard="battery", quantity="battery_v", unit="V", leave=12.0, below=True),
    jump_rule(0),
    level_rule(0, 90.0, id="fog", hazard="smoke", quantity="humidity_pct", unit="%RH", leave=85.0, up_for_s=0.0),
    composite("two", 0, any=("jump.0",), at_least=2, each_sensor=True),
    composite("suspected", 1, all=("jump.0",), none=("fog",)),
    composite("burning", 2, all=("jump.0", "two")),
)

VALUES: tuple[tuple[float, ...], ...] = (
    (0.5, 1.9, 2.1, 2.9, 3.1),
    (0.0, 0.2, 4.0, 12.0),
    (10.5, 11.5, 12.5),
    (15.0, 40.0, 80.0, 300.0),
    (40.0, 88.0, 95.0),
    (15.0, 40.0, 80.0, 300.0),
)


@st.composite
def readings(draw: st.DrawFn, max_pieces: int = 12) -> ReadingBatch:
    """Stretches of readings of all series in order of time, long enough for medians, with gaps and what is missing."""
    series, times, values, clock = [], [], [], [T0_US] * len(VALUES)
    for _ in range(draw(st.integers(1, max_pieces))):
        which, count = draw(st.integers(0, len(VALUES) - 1)), draw(st.sampled_from([1, 3, 8, 20, 40]))
        value, slope = draw(st.sampled_from(VALUES[which])), draw(st.sampled_from([0.0, 0.01, -0.01]))
        clock[which] += draw(st.sampled_from([0, 0, 0, 1, 3, 5, 70])) * MINUTE_US
        hole = draw(st.integers(-1, count))
        for k in range(count):
            clock[which] += MINUTE_US
            series.append(which)
            times.append(clock[which])
            values.append(float("nan") if k == hole else value + slope * (k % 7))
    order = np.argsort(times, kind="stable")
    return ReadingBatch.of(
        series=np.array(series)[order],
        time_us=np.array(times)[order],
        value=np.array(values)[order],
        received_us=np.array(times)[order],
    )
