"""Small worlds for tests: stations, rules and batches built step by step."""

import os
from collections.abc import Sequence
from datetime import date
from itertools import pairwise

import numpy as np
from hypothesis import settings

from alerts.rules import AbsenceRule, LevelRule, Rule, RuleSet, compile_rules
from sensors.batch import ReadingBatch
from sensors.stations import Area, Banks, Place, Registry, Sensor, Station, build

SOAK = bool(os.environ.get("TAKEAN_SOAK"))
"""`make soak`: the full counts, drawn anew at each run."""
SOAK_FACTOR = 20

MINUTE_US = 60_000_000
T0_US = 1_795_330_200_000_000
"""2026-11-22T06:50:00Z"""

PLACE = Place(name="อบต.ตัวอย่าง", long="อ.ตัวอย่าง", english="Sample", phone="1784")


def thorough(examples: int) -> settings:
    """So many drawn examples in `make test`, always the same; SOAK_FACTOR times as many in `make soak`, new ones."""
    return settings(derandomize=not SOAK, deadline=None, max_examples=examples * (SOAK_FACTOR if SOAK else 1))


TIMED = """chain = [{ role = "officer", minutes = 15 }]
unanswered = "release"
council = { resolution = "of these tests", date = 2026-01-01 }
"""


def fit_for_actual(routes_toml: str) -> str:
    """Routes in which every critical level has the timed release that lets an actual world go live."""
    assert "\nlevel = 3\n" in routes_toml
    return routes_toml.replace("\nlevel = 3\n", f"\nlevel = 3\n{TIMED}")


def station(
    id: str, *sensors: Sensor, areas: Sequence[str] = ("village",), cadence_s: float = 60.0, bank_m: float | None = 4.0
) -> Station:
    """A station with a stage sensor unless told otherwise."""
    banks = None
    if bank_m is not None:
        banks = Banks(left_m=bank_m, right_m=bank_m + 0.1, bed_m=0.0, surveyed=True, source="test")
    return Station(
        id=id,
        name=f"สถานี {id}",
        english=id,
        lat=14.9,
        lon=104.2,
        areas=tuple(areas),
        cadence_s=cadence_s,
        sensor=sensors or (Sensor(quantity="stage_m", rise_suspect_per_h=600.0, spike=0.0),),
        banks=banks,
    )


def registry(*stations: Station) -> Registry:
    """A registry with a sub-district, two reaches and a village in each."""
    areas = (
        Area(id="tambon", name="ตำบล", english="Tambon"),
        Area(id="village", name="หมู่ 1", english="Village 1", parent="tambon"),
        Area(id="other", name="หมู่ 2", english="Village 2", parent="tambon"),
    )
    return build(place=PLACE, areas=areas, stations=stations or (station("A"), station("B", areas=("other",))))


def level_rule(level: int, enter: float, **changes: object) -> LevelRule:
    """A flood rule in metres."""
    values: dict[str, object] = {
        "id": f"flood.{level}",
        "version": "1",
        "hazard": "flood",
        "level": level,
        "quantity": "stage_m",
        "unit": "m",
        "enter": enter,
        "leave": enter - 0.2,
        "up_for_s": 60.0,
        "down_for_s": 300.0,
        "source": "test",
        "author": "test",
        "date": date(2026, 11, 22),
    }
    return LevelRule(**{**values, **changes})  # type: ignore[arg-type]


def absence_rule(after: float = 3.0) -> AbsenceRule:
    """The technician's rule."""
    return AbsenceRule(
        id="station.silent",
        version="1",
        hazard="station",
        level=1,
        after=after,
        source="test",
        author="test",
        date=date(2026, 11, 22),
    )


def rule_set(reg: Registry, *rules: Rule) -> RuleSet:
    """Three levels at 2, 3 and 4 m and the absence rule, unless told otherwise."""
    return compile_rules(
        rules or (level_rule(1, 2.0), level_rule(2, 3.0), level_rule(3, 4.0), absence_rule()),
        reg,
    )


def batch(
    values: Sequence[float],
    *,
    series: int | Sequence[int] = 0,
    start_us: int = T0_US,
    step_us: int = MINUTE_US,
    times_us: Sequence[int] | None = None,
    delay_us: int = 0,
) -> ReadingBatch:
    """Readings one step apart, arriving `delay_us` after they were taken."""
    n = len(values)
    time = np.asarray(times_us if times_us is not None else start_us + step_us * np.arange(n), dtype=np.int64)
    return ReadingBatch.of(
        series=np.broadcast_to(np.asarray(series), n), time_us=time, value=values, received_us=time + delay_us
    )


def cut(whole: ReadingBatch, at: Sequence[int]) -> list[ReadingBatch]:
    """A batch in pieces."""
    edges = [0, *sorted({min(a, len(whole)) for a in at}), len(whole)]
    return [whole[a:b] for a, b in pairwise(edges)]
