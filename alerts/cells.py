"""From ladders to stories: which rules speak for which (area, hazard), and what their changes make of its story.
Pure.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from alerts import lifecycle, loss
from alerts.columns import Told
from alerts.episode import AreaStatus, Episode, Kind, Used
from alerts.evidence import LadderState, known
from alerts.lifecycle import REFOLDED, Cell, Change
from alerts.loss import Lost
from alerts.route import Routes
from alerts.rules import RuleSet
from alerts.tracks import bound_us
from sensors.batch import Float64, Int64
from sensors.flags import Flag
from sensors.stations import Registry

Key = tuple[str, str]
"""(area, hazard)"""
Stories = Mapping[Key, Episode]
"""Open stories."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cells:
    """All (area, hazard) of one world, laid out once."""

    kind: Kind
    registry: Registry
    rules: RuleSet
    routes: Routes
    of_ladder: tuple[tuple[Key, ...], ...]
    ladders_of: Mapping[Key, Int64]
    watched: tuple[Int64, ...]
    """For each station the series it may not be silent on: those that rules listen to, or all where none does."""
    warning: Float64
    """(series,) lowest value at which a level of 2 or above would hold; inf where no rule says so."""
    late_us: Int64
    """(series,) a reading older than this does not speak for now (contract 5.3)."""
    station: Int64
    """(series,) which station each belongs to."""

    @classmethod
    def of(cls, kind: Kind, registry: Registry, rules: RuleSet, routes: Routes) -> "Cells":
        """Lay out once, at the start."""
        ladders = rules.ladders
        of_ladder: list[tuple[Key, ...]] = []
        ladders_of: dict[Key, list[int]] = {}
        warning = np.full(len(registry.series), np.inf)
        for p, (series, hazard) in enumerate(zip(ladders.series.tolist(), ladders.hazard, strict=True)):
            keys = tuple((area, hazard) for area in registry.stations[registry.series[series].station].areas)
            of_ladder.append(keys)
            for key in keys:
                ladders_of.setdefault(key, []).append(p)
            if not ladders.rise[p]:
                warning[series] = min(warning[series], ladders.enter[1:, p].min())
        own: dict[str, list[int]] = {station: [] for station in registry.stations}
        for index, one in enumerate(registry.series):
            own[one.station].append(index)
        ruled = set(ladders.series.tolist())
        return cls(
            kind=kind,
            registry=registry,
            rules=rules,
            routes=routes,
            of_ladder=tuple(of_ladder),
            ladders_of={key: np.array(rungs, dtype=np.int64) for key, rungs in ladders_of.items()},
            watched=tuple(
                np.array([i for i in series if i in ruled] or series, dtype=np.int64) for series in own.values()
            ),
            warning=warning,
            late_us=bound_us(registry.limits.cadence_us),
            station=np.unique([one.station for one in registry.series], return_inverse=True)[1].astype(np.int64),
        )

    def cell(self, key: Key) -> Cell:
        """A key in this world."""
        return Cell(kind=self.kind, area=key[0], hazard=key[1])

    def steps(self, told: Told, *, before: LadderState, lost: Lost, stories: Stories, now_us: int) -> Iterator[Change]:
        """Changes of ladders, one by one in the order in which they came about, as events of stories.

        Parameters
        ----------
        told : changes of the live track, with what came back from a loss among them (`loss.returns`)
        before, lost : the ladders before them
        stories : the open ones
        """
        if not len(told):
            return
        own, above, stories = before.level(), lost.level.copy(), dict(stories)
        for at, ladder in enumerate(told.ladder.tolist()):
            used = self._used(told, at)
            if told.from_level[at] == told.to_level[at]:
                above[ladder] = 0
            else:
                own[ladder] = told.to_level[at]
            late = bool(told.late[at])
            for key in self.of_ladder[ladder]:
                rungs = self.ladders_of[key]
                for change in lifecycle.step(
                    stories.get(key),
                    self.cell(key),
                    to_level=int(np.maximum(own[rungs], above[rungs]).max()),
                    event_us=used.time_us,
                    now_us=now_us,
                    used=(used,),
                    speaks=not late
                    and used.flag == Flag.GOOD
                    and now_us - used.time_us <= self.late_us[told.series[at]],
                    routes=self.routes,
                    note=REFOLDED if late else "",
                    by=int(told.by[at]),
                ):
                    keep(stories, change)
                    yield change

    def past(self, retro: Told, *, now_us: int) -> Iterator[Change]:
        """Rises that came beyond the bound, each as a story that is over: one for each reading that decided."""
        risen: dict[tuple[Key, int], tuple[int, list[Used]]] = {}
        for at, ladder in enumerate(retro.ladder.tolist()):
            level = int(retro.to_level[at])
            if level <= retro.from_level[at]:
                continue
            for key in self.of_ladder[ladder]:
                highest, used = risen.get((key, int(retro.seq[at])), (0, []))
                risen[key, int(retro.seq[at])] = (max(highest, level), [*used, self._used(retro, at)])
        for (key, _), (level, used) in risen.items():
            yield lifecycle.retrospective(
                self.cell(key), level=level, event_us=used[-1].time_us, now_us=now_us, used=used
            )

    def missed(
        self, found: list[loss.Missed], *, before: LadderState, lost: Lost, stories: Stories, now_us: int
    ) -> Iterator[Change]:
        """Series that fell silent while they rose: proposals, on the record also where the level stands already."""
        level, stories = lost.over(before), dict(stories)
        for one in found:
            level[one.ladder] = max(level[one.ladder], one.level)
            for key in self.of_ladder[one.ladder]:
                for change in lifecycle.step(
                    stories.get(key),
                    self.cell(key),
                    to_level=int(level[self.ladders_of[key]].max()),
                    event_us=one.due_us,
                    now_us=now_us,
                    used=(one.used,),
                    speaks=False,
                    routes=self.routes,
                    note=lifecycle.LOST,
                ):
                    keep(stories, change)
                    yield change

    def reconciled(self, ladders: LadderState, lost: Lost, *, stories: Stories, now_us: int) -> Iterator[Change]:
        """Rules or stations may have changed since the stories were written: what the present ones say of the journal.

        A story for which no rule speaks any more is unknown and no longer judged; what was released stands until a
        person lowers it.
        """
        level = lost.over(ladders)
        absence = self.rules.absence.hazard if self.rules.absence else ""
        spoken_for = {*self.ladders_of, *((s, absence) for s in self.registry.stations if absence)}
        for key in {**dict.fromkeys(self.ladders_of), **dict.fromkeys(stories)}:
            rungs, story = self.ladders_of.get(key), stories.get(key)
            if rungs is None and key in spoken_for:
                continue  # absence, which only the clock and an arrival decide
            changes = lifecycle.step(
                story,
                self.cell(key),
                to_level=int(level[rungs].max()) if rungs is not None else 0,
                event_us=now_us,
                now_us=now_us,
                used=(),
                speaks=False,
                routes=self.routes,
                note="rules",
            )
            yield from changes
            after = changes[-1][1] if changes else story
            if rungs is None and after is not None and after.closed_us is None:
                yield from lifecycle.hear(after, known=False, now_us=now_us)

    def followed(self, ladders: LadderState, *, stories: Stories, now_us: int) -> Iterator[Change]:
        """Stories whose public level the routes leave to the rule, or which could end, once a second reading speaks
        for the judged level. What was lost while rising speaks for nothing.
        """
        young, level, rise = known(ladders, now_us, self.rules.ladders), ladders.level(), self.rules.ladders.rise
        for key, rungs in self.ladders_of.items():
            story = stories.get(key)
            if story is None or story.judged_level == story.public_level != 0:
                continue
            newest = ladders.last_us[rungs]
            late_us = self.late_us[self.rules.ladders.series[rungs]]
            speaks = young[rungs] & (now_us - newest <= late_us) & (newest > story.since_us)
            # A slope is known later than its value: it cannot hold up what the values say is over.
            needed = ~rise[rungs] if not rise[rungs].all() else rise[rungs]
            falling = story.judged_level <= story.public_level
            if speaks[needed].all() if falling else (speaks & (level[rungs] >= story.judged_level)).any():
                yield from lifecycle.follow(
                    story, routes=self.routes, event_us=int(newest[speaks].max()), now_us=now_us
                )

    def heard(self, ladders: LadderState, *, stories: Stories, now_us: int) -> Iterator[Change]:
        """Open stories that have lost their last known evidence, or have some again."""
        young = known(ladders, now_us, self.rules.ladders)
        for key, rungs in self.ladders_of.items():
            story = stories.get(key)
            if story is not None:
                yield from lifecycle.hear(story, known=bool(young[rungs].any()), now_us=now_us)

    def statuses(
        self, ladders: LadderState, lost: Lost, *, there: Mapping[Key, AreaStatus], now_us: int
    ) -> list[AreaStatus]:
        """Areas whose level or known differs from what `there` says of them."""
        young, level = known(ladders, now_us, self.rules.ladders), lost.over(ladders)
        found = []
        for key, rungs in self.ladders_of.items():
            status = AreaStatus(
                kind=self.kind,
                area=key[0],
                hazard=key[1],
                level=int(level[rungs].max()),
                known=bool(young[rungs].any()),
                since_us=now_us,
            )
            old = there.get(key)
            if old is None or (old.level, old.known) != (status.level, status.known):
                found.append(status)
        return found

    def _used(self, told: Told, at: int) -> Used:
        ladder, from_level, to_level = int(told.ladder[at]), int(told.from_level[at]), int(told.to_level[at])
        rising, ladders = to_level > from_level, self.rules.ladders
        step = to_level if rising else max(from_level, 1)
        rule = ladders.rule_at(ladder, step)
        came_back = from_level == to_level
        return Used(
            rule=loss.RULE if came_back else rule.id,
            rule_version=loss.VERSION if came_back else rule.version,
            series=self.registry.series[int(told.series[at])].key,
            time_us=int(told.time_us[at]),
            value=float(told.value[at]),
            flag=int(told.flag[at]),
            seq=int(told.seq[at]),
            threshold=float(ladders.enter[rule.level - 1, ladder] if rising else ladders.leave[step - 1, ladder]),
            truth=rising,
            # A fall that a reading brought about by coming or going has no slope of its own to show.
            per_h=bool(ladders.rise[ladder] and told.flag[at] <= Flag.UNKNOWN),
        )


def keep(stories: dict[Key, Episode], change: Change) -> None:
    """Bring a map of open stories up to a change."""
    _, story = change
    key = (story.area, story.hazard)
    if story.closed_us is None:
        stories[key] = story
    elif key in stories and stories[key].id == story.id:
        del stories[key]
