"""Readings from an InfluxDB, asked in InfluxQL: versions 1, 2 (with a DBRP mapping) and 3 answer to it. Never Flux."""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from sensors.batch import Float64, Int64
from sensors.flags import Flag, Flags
from sensors.store import Away, History
from sensors.store.asking import Asking
from sensors.store.destination import INFLUX, Destination
from sensors.store.lines import MEASUREMENT, named

KEYS_AT_ONCE = 100
"""Series of one question: it travels in the address."""


class _Series(msgspec.Struct, frozen=True):
    columns: list[str]
    values: list[list[Any]]
    tags: dict[str, str] = {}


class _Result(msgspec.Struct, frozen=True):
    series: list[_Series] = []
    error: str = ""


class _Answer(msgspec.Struct, frozen=True):
    results: list[_Result] = []
    error: str = ""


class InfluxReader:
    """A `SeriesReader` of what a mirror wrote there, exact to the microsecond and the last bit.

    Raises, whatever is asked
    -------------------------
    Away : nobody answers, or with an error
    TooSlow : it took longer than a screen may cost
    """

    def __init__(self, destination: Destination, *, kind: str) -> None:
        self._bucket = destination.bucket
        self._kind = kind
        self._server = Asking(destination)

    def history(self, key: str, *, from_us: int, to_us: int, limit: int) -> History:
        found: list[list[Any]] = []
        if limit > 0 and from_us < to_us:
            where = f"{self._of([key])} and time >= {_moment(from_us)} and time < {_moment(to_us)}"
            series = self._ask("value, flag", f"{where} order by time desc limit {limit}")
            found = series[0].values[::-1] if series else []
        return History(
            time_us=np.array([row[0] for row in found], dtype=np.int64),
            value=np.array([row[1] for row in found], dtype=np.float64),  # None, where there is no value, is NaN
            flag=np.array([_flag(row[2]) for row in found], dtype=np.uint8),
        )

    def latest(self, keys: list[str]) -> tuple[Int64, Float64, Flags]:
        time, value = np.zeros(len(keys), dtype=np.int64), np.full(len(keys), np.nan)
        flag = np.full(len(keys), Flag.MISSING, dtype=np.uint8)
        for start in range(0, len(keys), KEYS_AT_ONCE):
            place = {key: start + i for i, key in enumerate(keys[start : start + KEYS_AT_ONCE])}
            asked = f"{self._of(list(place))} group by station, sensor order by time desc limit 1"
            for series in self._ask("value, flag", asked):
                at = place[_key(series)]
                newest_us, of_it, its_flag = series.values[0]
                time[at], value[at], flag[at] = newest_us, of_it, _flag(its_flag)
        return time, value, flag

    def totals(self, keys: list[str], *, from_us: int, to_us: int) -> tuple[Float64, Int64]:
        total, count = np.zeros(len(keys)), np.zeros(len(keys), dtype=np.int64)
        span = f"time > {_moment(from_us)} and time <= {_moment(to_us)}"
        usable = f"(flag = {Flag.GOOD:d} or flag = {Flag.UNKNOWN:d})"
        for start in range(0, len(keys), KEYS_AT_ONCE):
            place = {key: start + i for i, key in enumerate(keys[start : start + KEYS_AT_ONCE])}
            where = f"{self._of(list(place))} and {usable} and {span} group by station, sensor"
            for series in self._ask("sum(value), count(value)", where):
                at, (_, summed, counted) = place[_key(series)], series.values[0]
                if counted:
                    total[at], count[at] = summed, counted
        return total, count

    def close(self) -> None:
        """Let go of the connections."""
        self._server.close()

    def _of(self, keys: Sequence[str]) -> str:
        one = " or ".join(
            f"(station = {_text(station)} and sensor = {_text(sensor)})" for station, sensor in map(named, keys)
        )
        return f"kind = {_text(self._kind)} and ({one})"

    def _ask(self, columns: str, where: str) -> list[_Series]:
        query = f"select {columns} from {MEASUREMENT} where {where}"  # noqa: S608  (names are escaped)
        body = self._server.get("/query", {"db": self._bucket, "epoch": "u", "q": query})
        try:
            answer = msgspec.json.decode(body, type=_Answer)
        except msgspec.MsgspecError as error:
            raise Away(f"this is no answer of an InfluxDB: {error}") from None
        result = answer.results[0] if answer.results else _Result()
        if answer.error or result.error:
            raise Away(f"InfluxDB refused a question: {answer.error or result.error}")
        return result.series


def _flag(held: float | None) -> int:
    """What somebody else wrote there has none."""
    return Flag.MISSING if held is None else round(held)


def _key(series: _Series) -> str:
    return f"{series.tags['station']}/{series.tags['sensor']}"


def _moment(time_us: int) -> str:
    """As a text: before 1970 a number is not understood."""
    low_us, high_us = INFLUX.time_us
    return f"'{np.datetime64(min(max(time_us, low_us), high_us), 'us')}Z'"


def _text(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
