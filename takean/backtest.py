"""What `takean backtest --record` computes and writes."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from alerts.backtest import LEVELS, LevelChange, Stage, judge_in_stages
from alerts.comparison import spells
from alerts.skill import Skill, events, score
from sensors.quantities import QUANTITIES
from takean.backtest_record import Record
from takean.exchange import Progress, unseen

COLUMNS = ("time_utc", "from_level", "level", "known", "rule", "until_utc")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tested:
    """A record and what was judged of it."""

    record: Record
    changes: tuple[LevelChange, ...]

    def skill(self, threshold: float) -> Skill:
        """Of the warnings, at a height they are to warn of. What no instrument shows is no flood, nor is a second value
        for one time.
        """
        low, high = QUANTITIES[self.record.quantity].fail
        value = self.record.value
        measured = ~self.record.conflict & ~((value < low) | (value > high))
        time_us, value = self.record.time_us[measured], value[measured]
        order = np.argsort(time_us, kind="stable")
        time_us, value = time_us[order], value[order]
        raised, until = spells(self.changes)
        covered_us = int(time_us[-1] - time_us[0]) if len(time_us) else 0
        return score(events(time_us, value, threshold), raised, until, covered_us=covered_us)


def run(record: Record, by: Sequence[Stage], *, progress: Progress = unseen) -> Tested:
    """Judge a record, see `takean.backtest_record.stages`."""
    changes = judge_in_stages(record.batch, record.conflict, by, progress=progress)
    return Tested(record=record, changes=tuple(changes))


def write(path: Path, changes: Sequence[LevelChange]) -> None:
    """Write a row for each change of the judged level. A change is decided by a reading that was heard: it is known."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(COLUMNS)
        for k, one in enumerate(changes):
            until = _text(changes[k + 1].time_us) if k + 1 < len(changes) else ""
            rows.writerow([_text(one.time_us), LEVELS[one.from_level], LEVELS[one.to_level], "true", one.rule, until])


def summary(tested: Tested, thresholds: Mapping[str, float]) -> str:
    """JSON for a program: what was read, how often each level was entered, and the skill at each threshold."""
    record = tested.record
    return json.dumps(
        {
            "readings": len(record),
            "without_value": int(np.isnan(record.value).sum()),
            "from_utc": _text(int(record.time_us.min())) if len(record) else None,
            "to_utc": _text(int(record.time_us.max())) if len(record) else None,
            "entered": {
                name: len(spells(tested.changes, level=level)[0]) for level, name in enumerate(LEVELS) if level
            },
            "skill": {name: described(tested.skill(value)) for name, value in thresholds.items()},
        },
        ensure_ascii=False,
    )


def described(skill: Skill) -> dict[str, object]:
    """The numbers of a table; null where there is nothing to divide by."""
    numbers = {
        "pod": skill.pod,
        "far": skill.far,
        "csi": skill.csi,
        "false_alarms_per_year": skill.false_per_year,
        "warnings_per_day": skill.warnings_per_day,
        "lead_h_median": skill.lead_h(),
        "lead_h_p10": skill.lead_h(0.1),
        "lead_h_p90": skill.lead_h(0.9),
    }
    return {
        "hits": skill.hits,
        "misses": skill.misses,
        "false_alarms": skill.false_alarms,
        **{name: None if np.isnan(number) else round(number, 4) for name, number in numbers.items()},
    }


def _text(time_us: int) -> str:
    return datetime.fromtimestamp(time_us // 1_000_000, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
