"""Two rule sets over the same past: what each would have been worth, and whether the new one is worse. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from alerts.backtest import LEVELS, LevelChange
from alerts.ladders import Ladders
from alerts.skill import Skill, events, score
from sensors.batch import Float64, Int64
from sensors.quantities import QUANTITIES
from sensors.stations import Registry

WARNING, CRITICAL = LEVELS.index("warning"), LEVELS.index("critical")
LATER_US = 30 * 60 * 1_000_000
"""A median lead that is shorter by no more than this is not worse."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Target:
    """A height of one series of which people are to be warned."""

    station: str
    hazard: str
    series: int
    height: float
    unit: str


Scores = Mapping[Target, Skill]


def targets(ladders: Ladders, registry: Registry) -> list[Target]:
    """The heights at which the rules hold the highest level by the value itself."""
    found = [
        Target(
            station=registry.series[int(ladders.series[p])].station,
            hazard=ladders.hazard[p],
            series=int(ladders.series[p]),
            height=float(ladders.enter[CRITICAL - 1, p]),
            unit=QUANTITIES[registry.series[int(ladders.series[p])].quantity].unit,
        )
        for p in np.flatnonzero(ladders.by_value).tolist()
        if ladders.hazard[p] and np.isfinite(ladders.enter[CRITICAL - 1, p])
    ]
    return sorted(found)


def spells(changes: Sequence[LevelChange], *, level: int = WARNING) -> tuple[list[int], list[int]]:
    """When the judged level of one place came to a level or above, and when it left it: the end of time where it did
    not.
    """
    raised = [one.time_us for one in changes if one.from_level < level <= one.to_level]
    until = [one.time_us for one in changes if one.to_level < level <= one.from_level]
    return raised, until + [np.iinfo(np.int64).max] * (len(raised) - len(until))


def scored(
    asked: Sequence[Target], changes: Sequence[LevelChange], record: Mapping[int, tuple[Int64, Float64]]
) -> dict[Target, Skill]:
    """What the warnings of some changes were worth.

    Parameters
    ----------
    record : times and values of each series that is asked for
    """
    found = {}
    for target in asked:
        time_us, value = record[target.series]
        own = [one for one in changes if (one.place, one.hazard) == (target.station, target.hazard)]
        covered_us = int(time_us[-1] - time_us[0]) if len(time_us) else 0
        found[target] = score(events(time_us, value, target.height), *spells(own), covered_us=covered_us)
    return found


def worse(new: Scores, old: Scores) -> Iterator[str]:
    """In what the new rules are worse than the old: a sentence each, none where they may take their place."""
    for target in sorted(new):
        now, before = new[target], old[target]
        who = f"{target.station}, {target.hazard} at {target.height:g} {target.unit}"
        if now.misses > before.misses:
            yield f"{who}: misses {now.misses} floods instead of {before.misses}"
        if now.false_alarms > before.false_alarms:
            yield f"{who}: {now.false_alarms} false alarms instead of {before.false_alarms}"
    one, two = Skill.pooled(new.values()), Skill.pooled(old.values())
    if one.hits and two.hits and one.lead_h() * 3_600_000_000 < two.lead_h() * 3_600_000_000 - LATER_US:
        yield f"all: the median lead is {one.lead_h():.1f} h instead of {two.lead_h():.1f} h"
