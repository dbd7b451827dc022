"""What the default rules are worth on real floods: `python -m bench.skill` prints the tables of docs/skill.md.

The recordings are those of the reference folder, which is no part of the project (TAKEAN_REFERENCE names another one).
Beside the rules stand the baselines that anybody would try first. Leave-one-gauge-out: the horizon and the reach are
chosen anew on all other gauges, and scored on the one that was left out.
"""

import os
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd

from alerts.comparison import spells
from alerts.inputs.ahead import AheadRule
from alerts.rules import Rule
from alerts.skill import WINDOW_US, Event, Skill, score
from sensors.batch import Bool, Float64
from sensors.trend import HOUR_US
from takean.backtest import run
from takean.backtest_record import Record, default_rules, read, stages

REFERENCE = Path(os.environ.get("TAKEAN_REFERENCE", Path(__file__).parents[2] / "shared"))
FLOODS = REFERENCE / "data" / "flood"
DATA = {"uk": "UK", "lk": "Kelani", "nl": "Vlissingen"}
HORIZONS_S = (4800.0, 7200.0, 9600.0, 12000.0, 14400.0)
REACHES = (0.10, 0.15, 0.21, 0.30)
EVER = np.iinfo(np.int64).max


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """One gauge and one height to be warned of."""

    data: str
    gauge: str
    threshold: float
    record: Record
    happened: Sequence[Event]

    def score(self, raised_us: Sequence[int], until_us: Sequence[int]) -> Skill:
        """Of some warnings."""
        covered_us = int(self.record.time_us[-1] - self.record.time_us[0])
        return score(self.happened, raised_us, until_us, covered_us=covered_us)


Method = Callable[[Case], Skill]


def cases() -> Iterator[Case]:
    """The gauges, with their published or official heights and labelled events; for the tide, which has no such height,
    what 22 surges reached.
    """
    labels = pd.read_csv(FLOODS / "events.csv")
    named = labels[~labels.threshold.str.startswith("p9") | (labels.station == "vlissingen")]
    wanted = named[named.dataset.str.contains("/uk/|/lk/|/nl/")]
    for (dataset, gauge, column, height), rows in wanted.groupby(
        ["dataset", "station", "variable", "threshold_value"], sort=False
    ):
        folder = Path(REFERENCE / "data" / str(dataset))
        file = next(one for one in (folder.with_suffix(".csv.gz"), folder.with_suffix(".csv")) if one.exists())
        where = (f"station={gauge}",) if "/lk/" in str(dataset) else ()
        yield Case(
            data=DATA[str(dataset).split("/")[1]],
            gauge=str(gauge),
            threshold=float(str(height)),
            record=read(file, time="time_utc", value=str(column), where=where, unit="m"),
            happened=tuple(_event(row) for row in rows.to_dict("records")),
        )


def _event(row: Mapping[Hashable, Any]) -> Event:
    onset, end = _us(row["onset_utc"]), _us(row["end_utc"])
    rise = onset - WINDOW_US if pd.isna(row["rise_start_utc"]) else _us(row["rise_start_utc"])
    return Event(rise_us=rise, onset_us=onset, end_us=end, whole=bool(row["starts_inside_record"]))


def _us(text: str) -> int:
    return int(pd.Timestamp(text).timestamp()) * 1_000_000


def ours(rules: Sequence[Rule]) -> Method:
    """The platform, with some rules."""

    def judged(case: Case) -> Skill:
        by = stages(case.record, {"critical": case.threshold}, cadence_s=None, bed=None, rules=rules)
        return case.score(*spells(run(case.record, by).changes))

    return judged


def standing(holds: Callable[[Case], Bool]) -> Method:
    """A warning wherever something begins to hold."""

    def judged(case: Case) -> Skill:
        on = holds(case)
        begins, ends = on & ~np.r_[False, on[:-1]], ~on & np.r_[False, on[:-1]]
        raised, until = (case.record.time_us[where].tolist() for where in (begins, ends))
        return case.score(raised, until + [EVER] * (len(raised) - len(until)))

    return judged


def reached(case: Case) -> Bool:
    """Threshold only: when it is said, it is there."""
    return case.record.value >= case.threshold


def linear(case: Case) -> Bool:
    """As `predict_linear` of Prometheus: least squares over an hour, or three rare readings; three hours on."""
    time_h, value = case.record.time_us / HOUR_US, case.record.value
    many = max(3, round(1 / float(np.median(np.diff(time_h)))) + 1)
    slope, level = _least_squares(time_h, value, many)
    return ((slope > 0) & (level + 3 * slope >= case.threshold)) | (value >= case.threshold)


def goes_on(case: Case) -> Bool:
    """Persistence: the next three hours bring what the last three brought."""
    time_us, value = case.record.time_us, case.record.value
    past = np.interp((time_us - 3 * HOUR_US).astype(np.float64), time_us.astype(np.float64), value, left=np.nan)
    return (2 * value - past >= case.threshold) | (value >= case.threshold)


def most_of_the_way(case: Case) -> Bool:
    """Nine tenths of the way from the median of the whole record, which no live system knows."""
    middle = float(np.nanmedian(case.record.value))
    return case.record.value >= case.threshold - 0.1 * (case.threshold - middle)


def _least_squares(time_h: Float64, value: Float64, many: int) -> tuple[Float64, Float64]:
    slope, level = np.full((2, len(value)), np.nan)
    if len(value) < many:
        return slope, level
    t = np.lib.stride_tricks.sliding_window_view(time_h, many)
    x = np.lib.stride_tricks.sliding_window_view(value, many)
    off = t - t.mean(axis=1, keepdims=True)
    slope[many - 1 :] = (off * x).sum(axis=1) / (off**2).sum(axis=1)
    level[many - 1 :] = x.mean(axis=1) + slope[many - 1 :] * off[:, -1]
    return slope, level


def variants() -> dict[tuple[float, float], tuple[Rule, ...]]:
    """The default rules with other horizons and reaches for the warning."""
    found = default_rules()
    return {
        (horizon_s, reach): tuple(
            msgspec.structs.replace(rule, horizon_s=horizon_s, reach=reach)
            if isinstance(rule, AheadRule) and rule.level == 2
            else rule
            for rule in found
        )
        for horizon_s, reach in product(HORIZONS_S, REACHES)
    }


def left_out(there: Sequence[Case]) -> Iterator[tuple[Case, tuple[float, float], Skill]]:
    """Each case, scored with what is best on all other gauges: by CSI, then by lead."""
    table = {key: [ours(rules)(case) for case in there] for key, rules in variants().items()}
    for k, case in enumerate(there):
        others = [j for j, other in enumerate(there) if other.gauge != case.gauge]
        pooled = {key: Skill.pooled(row[j] for j in others) for key, row in table.items()}
        best = max(pooled, key=lambda key: (round(pooled[key].csi, 2), pooled[key].lead_h()))
        yield case, best, table[best][k]


def line(*names: object, skill: Skill) -> str:
    """A row of a table."""
    years = skill.covered_us / (8766 * HOUR_US)
    numbers = (skill.hits, skill.misses, skill.false_alarms)
    shares = (f"{skill.pod:.2f}", f"{skill.csi:.2f}", f"{skill.false_per_year:.2f} in {years:.1f} y")
    leads = (f"{skill.lead_h():.1f}", f"{skill.lead_h(0.1):.1f} - {skill.lead_h(0.9):.1f}")
    return "| " + " | ".join(str(cell) for cell in (*names, *numbers, *shares, *leads)) + " |"


HEAD = "hits | misses | false | POD | CSI | false a year | median lead h | 10 - 90 % |"
RULE = "---|---|---|---|---|---|---|---|"
METHODS: dict[str, Method] = {
    "default rules": ours(default_rules()),
    "threshold only": standing(reached),
    "line of 1 h, 3 h ahead": standing(linear),
    "last 3 h once more": standing(goes_on),
    "90 % of the way": standing(most_of_the_way),
}


def main() -> None:
    """Print the tables."""
    there = [case for case in cases() if np.isfinite(case.record.value).any()]
    print(f"| data | method | {HEAD}\n|---|---|{RULE}")
    scores = {name: [method(case) for case in there] for name, method in METHODS.items()}
    data = list(dict.fromkeys(case.data for case in there))
    for one in [*data, "all"]:
        at = [k for k, case in enumerate(there) if one in (case.data, "all")]
        for name, row in scores.items():
            print(line(one, name, skill=Skill.pooled(row[k] for k in at)))
    print(f"\n| gauge | height m | {HEAD}\n|---|---|{RULE}")
    for case, skill in zip(there, scores["default rules"], strict=True):
        print(line(case.gauge, f"{case.threshold:g}", skill=skill))
    print(f"\n| left out | height m | horizon h | reach | {HEAD}\n|---|---|---|---|{RULE}")
    outside = list(left_out(there))
    for case, (horizon_s, reach), skill in outside:
        print(line(case.gauge, f"{case.threshold:g}", f"{horizon_s / 3600:.1f}", reach, skill=skill))
    print(line("all", "", "", "", skill=Skill.pooled(skill for _, _, skill in outside)))


if __name__ == "__main__":
    main()
