"""The rules of the configuration over the past of its stations, beside another rule set if one is named."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from alerts.backtest import judge
from alerts.comparison import scored, targets, worse
from alerts.rules import RuleSet, compile_rules
from alerts.rules import read as read_rules
from alerts.skill import Skill
from sensors import stations
from sensors.stations import Registry
from takean import backtest_history, places, settings
from takean.backtest import described
from takean.backtest_history import History
from takean.backtest_report import Judged, page
from takean.exchange import ExchangeError
from takean.exchange_rows import opened

Show = Callable[[str, int, int], None]
"""(of what, done, of all)"""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Compared:
    """What came out."""

    sets: tuple[Judged, ...]
    """The tested rules, then those they are compared with."""
    worse: tuple[str, ...]
    html: str

    def summary(self) -> str:
        """JSON for a program."""
        return json.dumps(
            {
                "rules": [
                    {
                        "name": one.name,
                        "all": described(Skill.pooled(one.scores.values())),
                        "stations": [
                            {
                                "station": t.station,
                                "hazard": t.hazard,
                                "height": t.height,
                                "unit": t.unit,
                                **described(skill),
                            }
                            for t, skill in sorted(one.scores.items())
                        ],
                    }
                    for one in self.sets
                ],
                "worse": list(self.worse),
            },
            ensure_ascii=False,
        )


def compare(history: History, registry: Registry, sets: Sequence[tuple[str, RuleSet]], *, show: Show) -> Compared:
    """Judge the past by each rule set, and score each against the heights of the last of them: the accepted one.

    Raises
    ------
    ExchangeError : no rule holds the highest level at a height of its own
    """
    asked = targets(sets[-1][1].ladders, registry)
    if not asked:
        raise ExchangeError("no rule holds level 3 at a height: there is nothing to be warned of")
    record = {target.series: history.of_series(target.series) for target in asked}
    judged = []
    for name, rules in sets:

        def step(done: int, of: int, name: str = name) -> None:
            show(name, done, of)

        changes = list(judge(history.batch, history.conflict, registry, rules, progress=step))
        judged.append(Judged(name=name, scores=scored(asked, changes, record), changes=changes))
    found = tuple(worse(judged[0].scores, judged[1].scores)) if len(judged) > 1 else ()
    return Compared(sets=tuple(judged), worse=found, html=page(judged, record, found))


def of_world(
    files: Sequence[Path],
    *,
    rules: Path | None,
    against: Path | None,
    refused: Callable[[Path, int, str], None],
    show: Show,
) -> Compared:
    """For the configured world.

    Parameters
    ----------
    files : readings as `takean export` writes them; empty: the store
    rules : what is tested; None: the rules of the configuration
    against : what it is compared with; None: nothing

    Raises
    ------
    ConfigError, ExchangeError : see their texts
    """
    folder, state = settings.config_folder(), settings.state_path()
    registry = stations.load(folder / "stations.toml")
    named = [rules or folder / "rules.toml", *([against] if against else [])]
    sets = [(str(path), compile_rules(read_rules(path), registry, where=str(path))) for path in named]
    if files:
        history = backtest_history.of_files(files, registry, refused=refused, progress=show)
    else:
        kind = settings.load(folder).world.kind
        with opened(
            socket=places.local_socket(state, kind),
            journal=state / f"journal.{kind}.duckdb",
            days=places.days_folder(state, kind),
        ) as rows:
            history = backtest_history.of_store(rows, registry, progress=show)
    return compare(history, registry, sets, show=show)
