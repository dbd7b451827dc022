"""What a reading's company says of it: the other channel of its instrument, and levels that should be alike.

A reading is compared with the newest usable values of the others that had arrived before it. So the answer follows from
the order of arrival alone, however the stream was cut.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from sensors.batch import Bool, Float64, Int64, ReadingBatch
from sensors.checks.middle import middle
from sensors.checks.reception import GAP_CADENCES, newer, put
from sensors.checks.verdicts import Verdicts
from sensors.flags import GOOD, SUSPECT, UNKNOWN, Check
from sensors.groups import Groups
from sensors.stations import Registry, Station
from sensors.window import NEVER

CHANNELS_UG_M3 = 5.0
CHANNELS_SHARE = 0.7
"""Two channels that differ by both are no pair: the cleaning of the US EPA's fire and smoke map."""
Index = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Company:
    """Who is compared with whom, laid out once."""

    mate: NDArray[np.int32]
    """(series,) the other channel of its instrument; -1 for none."""
    row: NDArray[np.int32]
    """(series,) its row below; -1 where it has no neighbours."""
    others: NDArray[np.int32]
    """(k, most) neighbours; -1 where there are fewer."""
    offset: Float64
    """(k, most) what is added to a neighbour's value: the zero of its gauge over ours."""
    within_us: Int64
    """(k, most) further apart in time are not compared."""
    differs: Float64
    """(k,)"""
    watched: Bool
    """(series,) whether it is compared, or compared with."""

    @classmethod
    def of(cls, registry: Registry) -> Self:
        """Two dust sensors of one quantity at a station are two channels; neighbours are as stations.toml says."""
        n = len(registry.series)
        mate, row, watched = np.full(n, -1, dtype=np.int32), np.full(n, -1, dtype=np.int32), np.zeros(n, dtype=np.bool_)
        kinds: dict[tuple[str, str], list[int]] = {}
        for i, one in enumerate(registry.series):
            if one.quantity.startswith("pm") and one.quantity.endswith("_ug_m3"):
                kinds.setdefault((one.station, one.quantity), []).append(i)
        for pair in kinds.values():
            if len(pair) == 2:
                mate[pair], watched[pair] = pair[::-1], True
        keys = {key: i for i, key in enumerate(registry.keys())}
        found = [(s, sensor) for s in registry.stations.values() for sensor in s.sensor if sensor.neighbours]
        shape = len(found), max((len(sensor.neighbours) for _, sensor in found), default=0)
        others, offset = np.full(shape, -1, dtype=np.int32), np.zeros(shape)
        within_us = np.zeros(shape, dtype=np.int64)
        for k, (station, sensor) in enumerate(found):
            own = keys[f"{station.id}/{sensor.name}"]
            row[own] = k
            for m, key in enumerate(sensor.neighbours):
                other = keys[key]
                others[k, m], watched[[own, other]] = other, True
                theirs = registry.stations[registry.series[other].station]
                if sensor.quantity == "stage_m" and theirs is not station:
                    offset[k, m] = _zero_m(theirs) - _zero_m(station)
                slower = max(registry.series[own].cadence_us, registry.series[other].cadence_us)
                within_us[k, m] = round(GAP_CADENCES * slower)
        return cls(
            mate=mate,
            row=row,
            others=others,
            offset=offset,
            within_us=within_us,
            differs=np.array([sensor.neighbour_differs for _, sensor in found], dtype=np.float64),
            watched=watched,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Around:
    """The newest usable reading of each series."""

    last_us: Int64
    last_value: Float64

    @classmethod
    def empty(cls, series: int) -> Self:
        """Nothing heard yet."""
        return cls(last_us=np.full(series, NEVER, dtype=np.int64), last_value=np.full(series, np.nan))


def compare(batch: ReadingBatch, sound: Bool, around: Around, company: Company) -> tuple[Verdicts, Around]:
    """Judge every reading that has company.

    Parameters
    ----------
    batch : n stored readings in order of arrival
    sound : (n,) usable, and their clocks are not in doubt
    around : what was heard before

    Returns
    -------
    verdicts : GOOD, SUSPECT, or UNKNOWN where nobody can be compared with. Of two channels that differ both are
        SUSPECT: which of them lies is not known.
    """
    at = np.flatnonzero(company.watched[batch.series] & sound)
    if not len(at):
        return Verdicts.of(Check.COMPANY, batch.series[:0], batch.time_us[:0], np.empty(0, dtype=np.uint8)), around
    rows = batch[at]
    groups = Groups.of(rows.series)
    fresh = np.zeros(len(at), dtype=np.bool_)
    fresh[groups.order] = newer(groups, rows.time_us[groups.order], sound[at][groups.order], around.last_us)
    seen = _Seen.of(rows, fresh, around)
    found = [_channels(rows, seen, company), _neighbours(rows, seen, company)]
    newest = seen.places[np.append(seen.series[1:] != seen.series[:-1], True)] if len(seen.series) else seen.places
    last = rows.series[newest]
    after = Around(
        last_us=put(around.last_us, last, rows.time_us[newest]),
        last_value=put(around.last_value, last, rows.value[newest]),
    )
    return Verdicts.joined(found), after


def channels_differ(a: Float64, b: Float64) -> Bool:
    """(n,) whether two channels of one dust sensor, ug/m3, contradict each other; False where either is NaN."""
    apart = np.abs(a - b)
    differ: Bool = (apart >= CHANNELS_UG_M3) & (apart >= CHANNELS_SHARE * (a + b) / 2)
    return differ


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """Looks up what any series last said before any row of a batch."""

    series: NDArray[np.int32]
    places: Index
    """(f,) fresh rows, by series and then by arrival."""
    _keys: Int64
    _rows: ReadingBatch
    _around: Around

    @classmethod
    def of(cls, rows: ReadingBatch, fresh: Bool, around: Around) -> "_Seen":
        places = np.flatnonzero(fresh)
        places = places[np.argsort(rows.series[places], kind="stable")]
        series = rows.series[places]
        return cls(series, places, series.astype(np.int64) * (len(rows) + 1) + places, rows, around)

    def before(self, place: Index, series: NDArray[np.int32]) -> tuple[Int64, Float64]:
        """Time and value; NEVER and NaN where it said nothing, or the series is -1."""
        time_us, value = self._around.last_us[series], self._around.last_value[series]
        if len(self._keys):
            k = np.searchsorted(self._keys, series.astype(np.int64) * (len(self._rows) + 1) + place) - 1
            here = (k >= 0) & (self.series[np.maximum(k, 0)] == series)
            at = self.places[np.maximum(k, 0)]
            time_us = np.where(here, self._rows.time_us[at], time_us)
            value = np.where(here, self._rows.value[at], value)
        nobody = series < 0
        return np.where(nobody, NEVER, time_us), np.where(nobody, np.nan, value)


def _channels(rows: ReadingBatch, seen: _Seen, company: Company) -> Verdicts:
    at = np.flatnonzero(company.mate[rows.series] >= 0)
    own, mate = rows[at], company.mate[rows.series[at]]
    time_us, value = seen.before(at, mate)
    both = time_us == own.time_us
    differ = both & channels_differ(own.value, value)
    flag = np.where(differ, SUSPECT, np.where(both, GOOD, UNKNOWN))
    first = np.flatnonzero(both)  # the channel that came first was alone: now it is judged too
    return Verdicts.of(
        Check.COMPANY,
        np.concatenate([own.series, mate[first]]),
        np.concatenate([own.time_us, own.time_us[first]]),
        np.concatenate([flag, flag[first]]),
    )


def _neighbours(rows: ReadingBatch, seen: _Seen, company: Company) -> Verdicts:
    at = np.flatnonzero(company.row[rows.series] >= 0)
    own, k = rows[at], company.row[rows.series[at]]
    many = company.others.shape[1]
    time_us, value = seen.before(np.repeat(at, many), company.others[k].ravel())
    apart_us = np.abs(np.where(time_us == NEVER, np.iinfo(np.int64).max, time_us - np.repeat(own.time_us, many)))
    there = apart_us.reshape(len(at), many) <= company.within_us[k]
    levels = np.where(there, value.reshape(len(at), many) + company.offset[k], np.nan)
    apart = np.abs(own.value - middle(levels))
    with np.errstate(invalid="ignore"):
        flag = np.where(apart > company.differs[k], SUSPECT, GOOD)
    flag[np.isnan(apart)] = UNKNOWN
    return Verdicts.of(Check.COMPANY, own.series, own.time_us, flag)


def _zero_m(station: Station) -> float:
    """Height of the gauge zero over the station's datum, by its newest survey."""
    return max(station.gauge_zero, key=lambda zero: zero.since).height_m if station.gauge_zero else 0.0
