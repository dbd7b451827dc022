"""Tests of rules as an expert writes them: series in a short notation, and what must hold at some times. Pure.

A series is written as Prometheus writes them: `2.5` one reading, `0.5+0.1x30` one and thirty more, each 0.1 higher,
`2.0x10` ten more of the same, `_` none came, `_x5` five did not, `nan` one that measured nothing. And ours:
`(10 11)x30` is the group and thirty more of it, for nothing in nature stands still.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import msgspec
import numpy as np

from alerts.columns import Told
from alerts.composites import FALSE, TRUE
from alerts.evidence import known
from alerts.inputs.listeners import empty
from alerts.ladders import Ladders
from alerts.rules import RuleSet
from alerts.track_state import TrackState
from alerts.tracks import Tracks, shown
from sensors.batch import Float64, ReadingBatch
from sensors.stations import SECOND_US, Area, Registry, Station

START_US = 1_767_200_400_000_000
"""2026-01-01 00:00 in Bangkok: when the first reading comes, if a test says nothing else."""
READINGS_MAX = 1_000_000
"""A test is written by hand: more is a slip of the pen."""
_TOKEN = re.compile(
    r"(?P<start>_|nan|[+-]?\d+(?:\.\d+)?)(?P<step>[+-]\d+(?:\.\d+)?)?(?:x(?P<more>\d+))?", re.IGNORECASE
)
_GROUP = re.compile(r"\(([^()]*)\)x(\d+)")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(d|h|m|s)")
_SECONDS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
Truth = Literal["true", "false", "unknown"]


class SeriesText(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Readings of one series."""

    series: str
    """`WL-01/stage_m`"""
    values: str
    interval: str = ""
    """Between two of them; empty: the test's."""


class Expectation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What must hold at a time."""

    at: str
    """From the beginning: `35m`, `1d6h`."""
    evidence: tuple[str, ...] = ()
    """`flood.watch true`; `flood.watch WL-01/stage_m unknown` of one series."""
    levels: tuple[str, ...] | None = None
    """Everything that stands above normal: `331608-samran flood 2`. Empty: nothing may. Left out: not looked at."""


class RuleTest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One story of readings. Without expectations: nothing may ever be raised."""

    name: str
    interval: str
    series: tuple[SeriesText, ...]
    expect: tuple[Expectation, ...] = ()


class RuleTestFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file of tests: against which rules, of which stations."""

    test: tuple[RuleTest, ...]
    rules: str
    """Path of a rules.toml, from this file."""
    stations: str = ""
    """Path of a stations.toml, from this file; or the stations stand here."""
    area: tuple[Area, ...] = ()
    station: tuple[Station, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Unmet:
    """One thing that is not as it was expected, or that cannot be read."""

    test: int
    expect: int | None
    """Which of its expectations; None: the test as a whole."""
    what: str
    expected: str
    found: str


class Unreadable(ValueError):
    """A text that is none of the notation."""


def values_of(text: str) -> Float64:
    """The readings of a series; +inf where none came, NaN where nothing was measured.

    Raises
    ------
    Unreadable : names the word that is not understood
    """
    parts: list[Float64] = []
    for inside, more in _GROUP.findall(text):
        if int(more) * len(inside) > READINGS_MAX:
            raise Unreadable(f"'({inside})x{more}': more than {READINGS_MAX:,} readings")
    for word in _GROUP.sub(lambda found: f" {found[1]} " * (int(found[2]) + 1), text).split():
        found = _TOKEN.fullmatch(word)
        if found is None or (found["step"] and not found["more"]):
            raise Unreadable(f"{word!r} is none of 2.5, 0.5+0.1x30, 2.0x10, _, _x5, nan, (10 11)x30")
        more = int(found["more"] or 0)
        if more > READINGS_MAX:
            raise Unreadable(f"{word!r}: more than {READINGS_MAX:,} readings")
        if found["start"] == "_":
            parts.append(np.full(more or 1, np.inf))
        else:
            parts.append(float(found["start"]) + float(found["step"] or 0.0) * np.arange(more + 1, dtype=np.float64))
    return np.concatenate(parts) if parts else np.zeros(0)


def seconds_of(text: str) -> float:
    """`1d6h`, `35m`, `90s` in seconds.

    Raises
    ------
    Unreadable : it is no such time
    """
    parts = _DURATION.findall(text)
    if not parts or "".join(f"{number}{unit}" for number, unit in parts) != text:
        raise Unreadable(f"{text!r} is no time like 35m, 1d6h or 90s")
    return math.fsum(float(number) * _SECONDS[unit] for number, unit in parts)


def run(tests: Sequence[RuleTest], rules: RuleSet, registry: Registry) -> list[Unmet]:
    """What is not as expected, of all tests."""
    found: list[Unmet] = []
    for number, test in enumerate(tests):
        try:
            found += [replace(one, test=number) for one in _Run(test=test, rules=rules, registry=registry).unmet()]
        except Unreadable as error:
            found.append(Unmet(test=number, expect=None, what=str(error), expected="", found=""))
    return found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Run:
    test: RuleTest
    rules: RuleSet
    registry: Registry

    def unmet(self) -> Iterator[Unmet]:
        ladders, registry = self.rules.ladders, self.registry
        batch = self._readings()
        tracks = Tracks(limits=registry.limits, ladders=ladders, shown=shown(registry))
        state = TrackState.empty(len(registry.series), len(ladders), inputs=empty(ladders.listeners))
        asked = sorted(enumerate(self.test.expect), key=lambda one: seconds_of(one[1].at))
        done = 0
        for number, expect in asked:
            at_us = START_US + round(seconds_of(expect.at) * SECOND_US)
            upto = int(np.searchsorted(batch.time_us, at_us, "right"))
            state, _ = _taken(tracks, batch[done:upto], done, state)
            done = upto
            yield from (replace(one, expect=number) for one in self._at(expect, state, at_us))
        _, told = _taken(tracks, batch[done:], done, state)
        raised = np.flatnonzero(told.to_level * [bool(ladders.hazard[p]) for p in told.ladder.tolist()])
        if not asked and len(raised):
            first = int(raised[0])
            p, level = int(told.ladder[first]), int(told.to_level[first])
            after = _time((int(told.time_us[first]) - START_US) // SECOND_US)
            what = f"{ladders.rule_at(p, level).id} at {after}"
            yield Unmet(test=0, expect=None, what=what, expected="nothing is raised", found=f"level {level}")

    def _readings(self) -> ReadingBatch:
        series, times, values = [], [], []
        for one in self.test.series:
            station, _, name = one.series.partition("/")
            index = self.registry.index.get((station, name))
            if index is None:
                raise Unreadable(f"series {one.series!r} is none of {', '.join(self.registry.keys())}")
            step_us = round(seconds_of(one.interval or self.test.interval) * SECOND_US)
            value = values_of(one.values)
            came = ~np.isinf(value)
            series.append(np.full(int(came.sum()), index))
            times.append(START_US + step_us * np.flatnonzero(came))
            values.append(value[came])
        none = np.zeros(0)
        time_us = np.concatenate([*times, none]).astype(np.int64)
        order = np.argsort(time_us, kind="stable")
        return ReadingBatch.of(
            series=np.concatenate([*series, none])[order],
            time_us=time_us[order],
            value=np.concatenate([*values, none])[order],
            received_us=time_us[order],
        )

    def _at(self, expect: Expectation, state: TrackState, at_us: int) -> Iterator[Unmet]:
        ladders, live = self.rules.ladders, state.live.ladders
        level = live.level()
        knows = ladders.composites.known(live, known(live, at_us, ladders))
        for line in expect.evidence:
            *words, wanted = line.split()
            if wanted not in ("true", "false", "unknown") or not 1 <= len(words) <= 2:
                raise Unreadable(f"{line!r} is none of 'RULE true', 'RULE SERIES unknown'")
            is_ = _evidence(ladders, words[0], words[1] if len(words) > 1 else "", level, knows)
            if is_ is None:
                raise Unreadable(f"{line!r}: no rule of that name listens here")
            if is_ != wanted:
                yield Unmet(test=0, expect=None, what=f"{' '.join(words)} at {expect.at}", expected=wanted, found=is_)
        if expect.levels is not None:
            standing: dict[str, int] = {}
            for p in np.flatnonzero(level).tolist():
                for area in ladders.areas[p] if ladders.hazard[p] else ():
                    cell = f"{area} {ladders.hazard[p]}"
                    standing[cell] = max(standing.get(cell, 0), int(level[p]))
            found = sorted(f"{cell} {height}" for cell, height in standing.items())
            if found != sorted(expect.levels):
                yield Unmet(
                    test=0,
                    expect=None,
                    what=f"levels at {expect.at}",
                    expected=", ".join(sorted(expect.levels)) or "nothing is raised",
                    found=", ".join(found) or "nothing is raised",
                )


def _taken(tracks: Tracks, batch: ReadingBatch, done: int, state: TrackState) -> tuple[TrackState, Told]:
    none = np.zeros(len(batch), dtype=np.bool_)
    taken = tracks.take(batch, none, done + 1 + np.arange(len(batch), dtype=np.int64), state)
    return taken.state, taken.told


def _evidence(ladders: Ladders, rule: str, series: str, level: np.ndarray, knows: np.ndarray) -> Truth | None:
    """Of a rule by any of its series, in Kleene's logic; None where nothing listens for it."""
    words: Mapping[int, Truth] = {TRUE: "true", FALSE: "false"}
    found: list[int] = []
    for p, steps in enumerate(ladders.rules):
        for step, own in enumerate(steps, start=1):
            if own is not None and own.id == rule and series in ("", ladders.names[p].split(" ")[0]):
                found.append((TRUE if level[p] >= step else FALSE) if knows[p] else 0)
    return words.get(max(found), "unknown") if found else None


def _time(seconds: float) -> str:
    hours, rest = divmod(int(seconds), 3600)
    minutes, rest = divmod(rest, 60)
    return "".join(f"{n}{u}" for n, u in ((hours, "h"), (minutes, "m"), (rest, "s")) if n) or "0s"
