"""From raw readings to physical ones: rain from counters, stages from distances and depths, dust put right. Pure.

The raw reading is stored as it came; what is computed from it is a row of its own, at the same times, in the same
commit. A stage comes from one reading alone. An amount comes from two: each reading of a counter, and the newest in
judged time that came before it. So what is late, repeated or out of order is never counted twice, any cutting of a
stream gives the same, and amounts never sum up to more than what was counted, unless what the bucket missed is asked
for. Dust comes from a reading and the humidity that arrived before it.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from sensors.air.dust import Corrections, humidity_of
from sensors.batch import Bool, Float64, Int64, ReadingBatch
from sensors.clocks import FUTURE_US, PAST_US, ClockState, Placed, place
from sensors.flags import SUSPECT
from sensors.groups import Groups
from sensors.origin import DUST, HEIGHTS, UNDERCATCH
from sensors.quantities import QUANTITIES
from sensors.rain.undercatch import factor
from sensors.stations import Registry, Sensor, Station
from sensors.window import NEVER

HOUR_US = 3_600_000_000
BANGKOK = timedelta(hours=7)
COUNTS_MM_PER_H = 1_600.0
"""No bucket counts faster: 0.2 mm in the 0.45 s of a tip (Duchon et al. 2014, J. Atmos. Oceanic Technol.)."""
RAINS_MM_PER_H = 436.0
"""No rain of an hour or so was heavier: 305 mm in 42 min (WMO record). A counter that fell has wrapped only if less has
fallen since: it wraps once in ten years, and begins anew with each battery."""
RAINS_MM = 305.0
"""What is believed of a wrap after any gap: beyond it the reading fails the gross range of rain."""
TIP_MM = 1.0
"""The largest bucket on the market: one tip may come at any moment."""
TIP_H = 0.45 / 3600
"""The time of a tip: no intensity is reckoned over less."""
DECIMALS = 6
"""A difference of decimal numbers is one: the rest is of their binary form."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CounterState:
    """Where each counter stood, and for dust the newest humidity; one element for each derivation, used or not."""

    last_us: Int64
    """Judged time of its newest believable reading; of a humidity its device's; NEVER before the first."""
    last_value: Float64

    @classmethod
    def empty(cls, derivations: int) -> Self:
        """Nothing counted yet."""
        return cls(last_us=np.full(derivations, NEVER, dtype=np.int64), last_value=np.full(derivations, np.nan))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Calibration:
    """All derivations of a registry, as columns."""

    of_raw: Int64
    """(series,) number of the derivation from it, or which remembers it where it is a humidity; -1 for none."""
    humidity: Bool
    """(series,) whether it serves corrections of dust."""
    raw: Int64
    """(d,) series it comes from."""
    out: Int64
    """(d,) series it goes to."""
    counter: Bool
    """(d,)"""
    undercatch: Bool
    """(d,) whether what the bucket missed is added."""
    dust: Corrections
    low: Float64
    high: Float64
    """(series,) gross range."""
    wraps_at: Float64
    """(d,) NaN where it never wraps."""
    sign: Float64
    """(d,) see `origin.HEIGHTS`; NaN where it is no height."""
    since_us: Int64
    """(d, mounts) first moment of each mount; the largest number where there are fewer."""
    height_m: Float64
    """(d, mounts)"""

    @classmethod
    def of(cls, registry: Registry) -> Self:
        """Lay out once, at the start."""
        found = [(station, s) for station in registry.stations.values() for s in station.sensor if s.from_ is not None]
        many = max((len(s.from_.mount) for _, s in found if s.from_), default=0)
        d = len(found)
        of_raw = np.full(len(registry.series), -1, dtype=np.int64)
        raw, out = np.empty(d, dtype=np.int64), np.empty(d, dtype=np.int64)
        counter, undercatch = np.zeros(d, dtype=np.bool_), np.zeros(d, dtype=np.bool_)
        wraps_at, sign = np.full(d, np.nan), np.full(d, np.nan)
        dust, humidity = [], np.zeros(len(registry.series), dtype=np.bool_)
        since_us, height_m = np.full((d, many), np.iinfo(np.int64).max), np.full((d, many), np.nan)
        for k, (station, sensor) in enumerate(found):
            origin, quantity = sensor.from_, _raw_quantity(station, sensor)
            assert origin is not None
            raw[k], out[k] = registry.index[station.id, origin.reading], registry.index[station.id, sensor.name]
            of_raw[raw[k]] = k
            wraps_at[k] = origin.wraps_at or np.nan
            sign[k] = HEIGHTS.get((sensor.quantity, quantity), np.nan)
            undercatch[k] = origin.correction == UNDERCATCH
            if (sensor.quantity, quantity) in DUST:
                damp = registry.index[station.id, origin.humidity] if origin.needs_humidity else -1
                dust.append((k, damp, origin, quantity))
            else:
                counter[k] = np.isnan(sign[k])
            for m, mount in enumerate(origin.mount):
                begins = datetime.combine(mount.since, time(), UTC) - BANGKOK
                since_us[k, m], height_m[k, m] = round(begins.timestamp()) * 1_000_000, mount.height_m
        corrections = Corrections.of(dust, d)
        for k, damp, _, _ in dust:
            if damp >= 0:
                of_raw[damp], humidity[damp] = corrections.keeper[k], True
        ranges = [QUANTITIES[one.quantity].fail for one in registry.series]
        return cls(
            of_raw=of_raw,
            humidity=humidity,
            raw=raw,
            out=out,
            counter=counter,
            undercatch=undercatch,
            dust=corrections,
            low=np.array([low for low, _ in ranges]),
            high=np.array([high for _, high in ranges]),
            wraps_at=wraps_at,
            sign=sign,
            since_us=since_us,
            height_m=height_m,
        )

    def __len__(self) -> int:
        return len(self.raw)

    def derive(self, batch: ReadingBatch, conflict: Bool, clocks: ClockState, state: CounterState) -> ReadingBatch:
        """Put behind each raw reading of a batch what is computed from it.

        A counter gives the amount since its newest reading before. It gives nothing with its first reading, with one
        that is late, contradicts another, or has a clock in doubt: the amount comes with the next one. It gives NaN,
        once, where it fell and has not wrapped, or rose by more than a bucket counts: what fell since is not known. A
        distance or depth gives a stage; NaN where it is NaN, outside its instrument's range, or before its first mount.
        Raw dust gives dust; NaN where it is NaN, outside its range, or where the correction needs a humidity and none
        of the hour around it arrived before.

        Parameters
        ----------
        batch : n readings in order of arrival at their devices' times, none of them a repeat
        conflict : (n,) rows that contradict a stored one
        clocks, state : what was remembered before this batch; not modified
        """
        at = np.flatnonzero(self.of_raw[batch.series] >= 0)
        if not len(at):
            return batch
        rows = batch[at]
        kind, inside = self._inside(rows)
        value, gives = np.full(len(at), np.nan), np.zeros(len(at), dtype=np.bool_)
        heights, counters = np.isfinite(self.sign[kind]), self.counter[kind]
        if heights.any():
            value[heights], gives[heights] = self._heights(rows[heights], kind[heights], inside[heights]), True
        if not (heights | counters).all():
            corrected = self._correct(rows, kind, inside, ~conflict[at], state)
            value[corrected.at], gives[corrected.at] = corrected.value, True
        if counters.any():
            counted = self._count(rows, kind, inside & ~conflict[at], place(rows, clocks), state)
            value[counted.at], gives[counted.at] = counted.value, True
        if not gives.any():
            return batch
        order = np.argsort(np.concatenate([np.arange(len(batch)), at[gives]]), kind="stable")

        def joined(column: NDArray[Any], more: NDArray[Any]) -> NDArray[Any]:
            whole: NDArray[Any] = np.concatenate([column, more[gives]])[order]
            return whole

        return ReadingBatch.of(
            series=joined(batch.series, self.out[kind]),
            time_us=joined(batch.time_us, rows.time_us),
            value=joined(batch.value, value),
            received_us=joined(batch.received_us, rows.received_us),
        )

    def after(self, batch: ReadingBatch, conflict: Bool, placed: Placed, state: CounterState) -> CounterState:
        """Where the counters stand and what the newest humidity is after a batch; see `derive`.

        Parameters
        ----------
        placed : of the same batch
        """
        at = np.flatnonzero(self.of_raw[batch.series] >= 0)
        if not len(at):
            return state
        rows = batch[at]
        kind, inside = self._inside(rows)
        own = Placed(judged_us=placed.judged_us[at], flag=placed.flag[at], state=placed.state)
        counted = self._count(rows, kind, inside & ~conflict[at], own, state).state
        return self._correct(rows, kind, inside, ~conflict[at], counted).state

    def _inside(self, rows: ReadingBatch) -> tuple[Int64, Bool]:
        """Derivation of each row, and whether its instrument can have measured it."""
        inside = (rows.value >= self.low[rows.series]) & (rows.value <= self.high[rows.series])
        return self.of_raw[rows.series], inside

    def _heights(self, rows: ReadingBatch, kind: Int64, inside: Bool) -> Float64:
        lead_us = rows.time_us - rows.received_us
        sure = (lead_us <= FUTURE_US) & (lead_us >= -PAST_US)
        at_us = np.where(sure, rows.time_us, rows.received_us)
        mount = (self.since_us[kind] <= at_us[:, None]).sum(axis=1) - 1
        height_m = np.where(mount >= 0, self.height_m[kind, mount], np.nan)
        stage_m: Float64 = np.where(inside, height_m + self.sign[kind] * rows.value, np.nan)
        return stage_m.round(DECIMALS)

    def _correct(self, rows: ReadingBatch, kind: Int64, inside: Bool, agreed: Bool, state: CounterState) -> "_Computed":
        at = np.flatnonzero(self.dust.form[kind] >= 0)
        if not len(at):
            return _Computed(at=at, value=np.empty(0), state=state)
        rows, kind, inside = rows[at], kind[at], inside[at]
        damp, keeper = self.humidity[rows.series], self.dust.keeper[kind]
        found = humidity_of(rows, keeper, damp & inside & agreed[at], state.last_us, state.last_value)
        raw = np.where(inside, rows.value, np.nan)[~damp]
        value = self.dust.correct(kind[~damp], raw, found.humidity_pct[~damp]).round(DECIMALS)
        after = CounterState(last_us=found.last_us, last_value=found.last_value)
        return _Computed(at=at[~damp], value=value, state=after)

    def _count(self, rows: ReadingBatch, kind: Int64, sound: Bool, placed: Placed, state: CounterState) -> "_Computed":
        groups = Groups.of(kind.astype(np.int32))
        series, judged_us = groups.series, placed.judged_us[groups.order]
        sound = (sound & self.counter[kind] & (placed.flag < SUSPECT))[groups.order]
        fresh = sound & (judged_us > _newest(groups, np.where(sound, judged_us, NEVER), state.last_us))
        at = groups.order[fresh]
        if not len(at):
            return _Computed(at=at, value=np.empty(0), state=state)
        some = Groups.adjacent(series[fresh])
        time_us, value = placed.judged_us[at], rows.value[at]
        before_us, before = some.before(time_us, state.last_us), some.before(value, state.last_value)
        again = before_us != NEVER
        hours = np.where(again, time_us - np.where(again, before_us, 0), 0) / HOUR_US
        rose = np.round(value - before, DECIMALS)
        wrapped = np.round(rose + self.wraps_at[some.series], DECIMALS)
        wraps = (rose < 0) & (wrapped >= 0) & (wrapped <= np.minimum(RAINS_MM_PER_H * hours + TIP_MM, RAINS_MM))
        rain_mm = np.where(wraps, wrapped, rose)
        rain_mm[(rain_mm < 0) | (rain_mm > COUNTS_MM_PER_H * hours + TIP_MM)] = np.nan
        added = self.undercatch[some.series] & again
        if added.any():
            rain_mm = np.where(added, rain_mm * factor(rain_mm / np.maximum(hours, TIP_H)), rain_mm).round(DECIMALS)
        last_us, last_value = state.last_us.copy(), state.last_value.copy()
        last_us[some.series[some.ends]], last_value[some.series[some.ends]] = time_us[some.ends], value[some.ends]
        return _Computed(at=at[again], value=rain_mm[again], state=CounterState(last_us=last_us, last_value=last_value))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Computed:
    at: Int64
    """Rows that give something."""
    value: Float64
    state: CounterState


def _newest(rows: Groups, time_us: Int64, last_us: Int64) -> Int64:
    """(n,) newest time of its series before each row: a running maximum that does not cross series."""
    before = rows.before(time_us, last_us)
    values, ranks = np.unique(before, return_inverse=True)
    lift = rows.group * len(values)
    newest: Int64 = values[np.maximum.accumulate(ranks + lift) - lift]
    return newest


def _raw_quantity(station: Station, sensor: Sensor) -> str:
    assert sensor.from_ is not None
    return next(s.quantity for s in station.sensor if s.name == sensor.from_.reading)
