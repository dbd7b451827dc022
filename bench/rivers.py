"""Five years of a district that never was: rivers with floods, rain and dust, and the faults that sensors have."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from sensors.batch import Bool, Float64, ReadingBatch
from sensors.stations import Registry, Sensor, Station
from tests.builders import T0_US, registry, station

SEED = 5
CADENCE_S = 600
HOUR = 6
DAY = 24 * HOUR
YEAR = 365 * DAY
WORLDS = {
    "rivers": ("stage_m",),
    "rivers, rain and dust": ("stage_m", "stage_m", "stage_m", "rain_mm", "pm2_5_ug_m3"),
}
"""What the stations measure, in turn."""
ALIKE = 200
"""Of many stations some are alike."""
BANK_M = 4.0
START_US = T0_US - T0_US % (86_400 * 1_000_000) - 5 * YEAR * CADENCE_S * 1_000_000
ROW_GROUP = 262_144


def district(stations: int, *, kinds: str) -> Registry:
    """So many stations of one series each, the limits of a careful operator set."""
    return registry(*(_station(k, quantity_of(k, kinds)) for k in range(stations)))


def quantity_of(k: int, kinds: str) -> str:
    """What station k measures."""
    return WORLDS[kinds][k % len(WORLDS[kinds])]


def _station(k: int, quantity: str) -> Station:
    sensor = Sensor(quantity=quantity)
    if quantity == "stage_m":
        sensor = Sensor(quantity=quantity, suspect=(-0.5, 9.0), rise_suspect_per_h=5.0)
    area = ("village", "other")[k % 2]
    return station(f"S-{k:06}", sensor, areas=(area,), cadence_s=CADENCE_S, bank_m=BANK_M)


def values(k: int, readings: int, *, kinds: str) -> Float64:
    """(readings,) what station k measured every ten minutes; NaN where it measured nothing."""
    draw = np.random.default_rng((SEED, k))
    make = {"stage_m": _stage_m, "rain_mm": _rain_mm, "pm2_5_ug_m3": _dust_ug_m3}[quantity_of(k, kinds)]
    found = make(draw, readings)
    _spoil(draw, found)
    return found


def sent(k: int, readings: int) -> Bool:
    """(readings,) which of them arrived at all: in an outage of hours none do."""
    draw = np.random.default_rng((SEED, k, 1))
    there = np.ones(readings, dtype=np.bool_)
    for begin in draw.integers(0, readings, size=1 + 4 * readings // YEAR).tolist():
        there[begin : begin + int(draw.integers(1, 3 * HOUR))] = False
    return there


def write(path: Path, stations: int, readings: int, *, kinds: str) -> int:
    """A Parquet file as `takean export` names its columns, by station and then by time; how many rows it has."""
    reg = district(stations, kinds=kinds)
    rows = 0
    text = pa.dictionary(pa.int32(), pa.string())
    schema = pa.schema(
        [("station", text), ("reading", text), ("time_utc", pa.timestamp("us", "UTC")), ("value", pa.float64())]
    )
    names = pa.array([one.id for one in reg.stations.values()]), pa.array(sorted(set(WORLDS[kinds])))
    with parquet.ParquetWriter(path, schema, compression="zstd", use_dictionary=["station", "reading"]) as file:
        for k, one in enumerate(reg.series):
            there = sent(k, readings)
            many = int(there.sum())
            of = names[1].to_pylist().index(one.quantity)
            columns = [
                pa.DictionaryArray.from_arrays(pa.array(np.full(many, k, dtype=np.int32)), names[0]),
                pa.DictionaryArray.from_arrays(pa.array(np.full(many, of, dtype=np.int32)), names[1]),
                pa.array(times_us(readings)[there], pa.timestamp("us", "UTC")),
                pa.array(values(k, readings, kinds=kinds)[there], from_pandas=True),
            ]
            file.write_table(pa.Table.from_arrays(columns, schema=schema), row_group_size=ROW_GROUP)
            rows += many
    return rows


def blocks(stations: int, readings: int, *, kinds: str, together: int, turn: bool = False) -> Iterator[ReadingBatch]:
    """Blocks of so many readings of every station: one station after the other, or one reading of each in turn."""
    few = min(stations, ALIKE)
    columns = np.stack([values(k, YEAR, kinds=kinds) for k in range(few)])[:, YEAR // 2 : YEAR // 2 + readings]
    series, time_us = np.arange(stations, dtype=np.int32), times_us(readings)
    for begin in range(0, readings, together):
        at_us = time_us[begin : begin + together]
        shape = stations, len(at_us)
        made = [
            np.broadcast_to(series[:, None], shape),
            np.broadcast_to(at_us, shape),
            columns[series % few, begin : begin + together],
        ]
        flat = [(column.T if turn else column).ravel() for column in made]
        yield ReadingBatch(series=flat[0], time_us=flat[1], value=flat[2], received_us=flat[1])


def times_us(readings: int) -> np.ndarray:
    """Every ten minutes."""
    return START_US + np.arange(readings, dtype=np.int64) * CADENCE_S * 1_000_000


def _wet(readings: int) -> Float64:
    """0 in the dry season to 1 in September."""
    share: Float64 = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(readings) / YEAR + 0.25))
    return share


def _stage_m(draw: np.random.Generator, readings: int) -> Float64:
    wet = _wet(readings)
    stage = 0.4 + 0.8 * wet
    floods = np.flatnonzero(draw.random(readings) < wet * 16 / YEAR)
    for begin in floods.tolist():
        behind = np.arange(min(readings - begin, 14 * DAY))
        up, down = draw.uniform(1, 8) * HOUR, draw.uniform(12, 60) * HOUR
        height = draw.lognormal(-0.3, 0.8)
        stage[begin : begin + len(behind)] += height * (np.exp(-behind / down) - np.exp(-behind / up))
    stage += 0.004 * draw.standard_normal(readings)
    return np.round(stage, 3)


def _rain_mm(draw: np.random.Generator, readings: int) -> Float64:
    rain = np.zeros(readings)
    for begin in np.flatnonzero(draw.random(readings) < _wet(readings) * 200 / YEAR).tolist():
        long = min(int(draw.integers(1, 4 * HOUR)), readings - begin)
        rain[begin : begin + long] += draw.gamma(0.6, 2.5, size=long)
    tips: Float64 = np.round(rain / 0.2)
    return tips * 0.2


def _dust_ug_m3(draw: np.random.Generator, readings: int) -> Float64:
    dust = 12 + 35 * (1 - _wet(readings)) ** 2 + 6 * np.cos(2 * np.pi * np.arange(readings) / DAY)
    for begin in np.flatnonzero(draw.random(readings) < (1 - _wet(readings)) * 40 / YEAR).tolist():
        behind = np.arange(min(readings - begin, DAY))
        dust[begin : begin + len(behind)] += draw.uniform(40, 200) * np.exp(-behind / draw.uniform(6, 30))
    dust *= 1 + 0.04 * draw.standard_normal(readings)
    found: Float64 = np.round(np.maximum(dust, 0.5), 1)
    return found


def _spoil(draw: np.random.Generator, found: Float64) -> None:
    """Spikes, spells in which the sensor hangs, and some in which it measures nothing."""
    readings, often = len(found), 1 + 4 * len(found) // YEAR
    at = draw.integers(0, readings, size=3 * often)
    found[at] += draw.uniform(1.5, 30.0, size=len(at))
    for begin in draw.integers(0, readings, size=often).tolist():
        found[begin : begin + int(draw.integers(2 * HOUR, 2 * DAY))] = found[begin]
    found[draw.integers(0, readings, size=20 * often)] = np.nan
