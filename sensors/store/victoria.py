"""Readings from a VictoriaMetrics: raw rows by `/api/v1/export`, the newest ones by a query.

Times are whole milliseconds there, and values keep some 15 digits. What was written is found about a second later.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec
import numpy as np

from sensors.batch import Float64, Int64
from sensors.flags import Flag, Flags, usable
from sensors.store import DAY_US, Away, History
from sensors.store.asking import Asking
from sensors.store.destination import Destination
from sensors.store.lines import MEASUREMENT, named

KEYS_AT_ONCE = 100
"""Series of one question: it travels in the address."""
AHEAD_MS = 2 * DAY_US // 1000
"""How far ahead of its clock it takes readings."""
FIRST_MS, WIDER = DAY_US // 1000, 4
"""The newest rows are looked for in a span that grows."""
LATEST_DAYS = (3, 34, 402)
"""How far back the newest reading of a series is looked for, one after the other."""


T = TypeVar("T")


class _Line(msgspec.Struct, frozen=True):
    metric: dict[str, str]
    timestamps: list[int]
    values: list[float | None]


class _Sample(msgspec.Struct, frozen=True):
    metric: dict[str, str]
    value: tuple[float, str]


class _Found(msgspec.Struct, frozen=True):
    result: list[_Sample]


class _Answer(msgspec.Struct, frozen=True):
    data: _Found


@dataclass(slots=True)
class _Rows:
    """Of one series; the two are written and found together."""

    flag: dict[int, float] = field(default_factory=dict)
    value: dict[int, float] = field(default_factory=dict)

    def history(self) -> History:
        times = sorted(self.flag)
        return History(
            time_us=np.array(times, dtype=np.int64) * 1000,
            value=np.array([self.value.get(t, np.nan) for t in times], dtype=np.float64),
            flag=np.array([self.flag[t] for t in times], dtype=np.uint8),
        )


class VictoriaReader:
    """A `SeriesReader` of what a mirror wrote there.

    Raises, whatever is asked
    -------------------------
    Away : nobody answers, or with an error
    TooSlow : it took longer than a screen may cost
    """

    def __init__(self, destination: Destination, *, kind: str, now_us: Callable[[], int]) -> None:
        self._kind = kind
        self._now_us = now_us
        self._server = Asking(destination)

    def history(self, key: str, *, from_us: int, to_us: int, limit: int) -> History:
        found = _Rows()
        first_ms = max(0, -(-from_us // 1000))
        end_ms = min(-(-to_us // 1000) - 1, self._last_ms())
        width_ms = FIRST_MS
        while len(found.flag) < limit and first_ms <= end_ms:
            start_ms = max(first_ms, end_ms - width_ms)
            more = self._rows([key], start_ms, end_ms)[key]
            found.flag |= more.flag
            found.value |= more.value
            end_ms, width_ms = start_ms - 1, width_ms * WIDER
        rows = found.history()
        start = max(0, len(rows.time_us) - max(0, limit))
        return History(time_us=rows.time_us[start:], value=rows.value[start:], flag=rows.flag[start:])

    def latest(self, keys: list[str]) -> tuple[Int64, Float64, Flags]:
        found: dict[str, tuple[int, float, int]] = {}
        for days in LATEST_DAYS:
            missing = [key for key in keys if key not in found]
            for start in range(0, len(missing), KEYS_AT_ONCE):
                found |= self._newest(missing[start : start + KEYS_AT_ONCE], days)
        rows = [found.get(key, (0, np.nan, Flag.MISSING)) for key in keys]
        return (
            np.array([row[0] for row in rows], dtype=np.int64),
            np.array([row[1] for row in rows], dtype=np.float64),
            np.array([row[2] for row in rows], dtype=np.uint8),
        )

    def totals(self, keys: list[str], *, from_us: int, to_us: int) -> tuple[Float64, Int64]:
        total, count = np.zeros(len(keys)), np.zeros(len(keys), dtype=np.int64)
        first_ms, last_ms = max(0, from_us // 1000 + 1), min(to_us // 1000, self._last_ms())
        for start in range(0, len(keys) if first_ms <= last_ms else 0, KEYS_AT_ONCE):
            asked = keys[start : start + KEYS_AT_ONCE]
            for at, rows in enumerate(self._rows(asked, first_ms, last_ms).values(), start):
                held = rows.history()
                good = held.value[usable(held.flag) & np.isfinite(held.value)]
                total[at], count[at] = good.sum(), len(good)
        return total, count

    def close(self) -> None:
        """Let go of the connections."""
        self._server.close()

    def _last_ms(self) -> int:
        return self._now_us() // 1000 + AHEAD_MS

    def _rows(self, keys: Sequence[str], first_ms: int, last_ms: int) -> dict[str, _Rows]:
        """Rows of each key in order of the keys, first and last moment included."""
        found = {key: _Rows() for key in keys}
        match = f'{{__name__=~"{MEASUREMENT}_(flag|value)",{self._of(keys)}}}'
        values = {"match[]": match, "start": _seconds(first_ms), "end": _seconds(last_ms)}
        decode = msgspec.json.Decoder(_Line).decode
        for text in self._server.get("/api/v1/export", values).splitlines():
            line = _read(decode, text)
            rows = found.get(_key(line.metric))
            if rows is not None:  # else it has the station of one key and the sensor of another
                column = rows.flag if line.metric["__name__"].endswith("_flag") else rows.value
                column.update((t, v) for t, v in zip(line.timestamps, line.values, strict=True) if v is not None)
        return found

    def _newest(self, keys: Sequence[str], days: int) -> dict[str, tuple[int, float, int]]:
        flags, values = (f"{MEASUREMENT}_{name}{{{self._of(keys)}}}[{days}d]" for name in ("flag", "value"))
        columns = {
            "time": f"tlast_over_time({flags})",
            "flag": f"last_over_time({flags})",
            "value_time": f"tlast_over_time({values})",
            "value": f"last_over_time({values})",
        }
        union = ",".join(f'label_set({expression},"column","{name}")' for name, expression in columns.items())
        asked = {"query": f"union({union})", "time": _seconds(self._last_ms()), "nocache": "1"}
        answer = _read(msgspec.json.Decoder(_Answer).decode, self._server.get("/api/v1/query", asked))
        held: dict[str, dict[str, float]] = {key: {} for key in keys}
        for sample in answer.data.result:
            held.get(_key(sample.metric), {})[sample.metric["column"]] = float(sample.value[1])
        return {
            key: (
                round(of["time"] * 1000) * 1000,
                of["value"] if of.get("value_time") == of["time"] else np.nan,
                round(of["flag"]),
            )
            for key, of in held.items()
            if "time" in of
        }

    def _of(self, keys: Sequence[str]) -> str:
        stations, sensors = (sorted(set(names)) for names in zip(*map(named, keys), strict=True))
        return f"kind={_text(self._kind)},station=~{_any(stations)},sensor=~{_any(sensors)}"


def _read(decode: Callable[[bytes], T], text: bytes) -> T:
    try:
        return decode(text)
    except msgspec.MsgspecError as error:
        raise Away(f"this is no answer of a VictoriaMetrics: {error}") from None


def _key(metric: Mapping[str, str]) -> str:
    return f"{metric.get('station', '')}/{metric.get('sensor', '')}"


def _seconds(ms: int) -> str:
    return f"{ms // 1000}.{ms % 1000:03d}"


def _text(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _any(names: Sequence[str]) -> str:
    return _text("|".join(re.escape(name) for name in names))
