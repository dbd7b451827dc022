"""From ladders to stories: which rules speak for which (area, hazard), and what their changes make of its story.
Pure.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from alerts import lifecycle
from alerts.episode import AreaStatus, Episode, Kind, Used
from alerts.evidence import LadderState, known
from alerts.judgement import Judged
from alerts.lifecycle import Cell, Change
from alerts.route import Routes
from alerts.rules import RuleSet
from sensors.batch import Bool, Float64, Int64, ReadingBatch
from sensors.flags import Flag
from sensors.stations import SECOND_US, Registry

Key = tuple[str, str]
"""(area, hazard)"""
Stories = Mapping[Key, Episode]
"""Open stories."""

LATE_FLOOR_US = 600 * SECOND_US
LATE_CADENCES = 3
"""A reading older than max(LATE_CADENCES x cadence, LATE_FLOOR_US) does not speak for now (contract 5.3)."""


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
        )

    def cell(self, key: Key) -> Cell:
        """A key in this world."""
        return Cell(kind=self.kind, area=key[0], hazard=key[1])

    def steps(
        self, batch: ReadingBatch, judged: Judged, seq: Int64, *, before: LadderState, stories: Stories, now_us: int
    ) -> Iterator[Change]:
        """Changes of ladders, one by one in order of arrival, as events of stories.

        Parameters
        ----------
        seq : (n,) arrival numbers of the batch
        before : the ladders before the batch
        stories : the open ones
        """
        if not len(judged.changes):
            return
        level, stories = before.level(), dict(stories)
        columns = (judged.changes.row, judged.changes.ladder, judged.changes.to_level)
        for row, ladder, to_level in zip(*(c.tolist() for c in columns), strict=True):
            used = self._used(batch, judged, seq, row, ladder, int(level[ladder]), to_level)
            level[ladder] = to_level
            for key in self.of_ladder[ladder]:
                for change in lifecycle.step(
                    stories.get(key),
                    self.cell(key),
                    to_level=int(level[self.ladders_of[key]].max()),
                    event_us=used.time_us,
                    now_us=now_us,
                    used=(used,),
                    speaks=used.flag == Flag.GOOD
                    and now_us - used.time_us <= self._late_after_us(int(batch.series[row])),
                    routes=self.routes,
                ):
                    keep(stories, change)
                    yield change

    def reconciled(self, ladders: LadderState, *, stories: Stories, now_us: int) -> Iterator[Change]:
        """Rules or stations may have changed since the stories were written: what the present ones say of the journal.

        A story for which no rule speaks any more is unknown and no longer judged; what was released stands until a
        person lowers it.
        """
        level = ladders.level()
        spoken_for = {*self.ladders_of, *((s, self._absence) for s in self.registry.stations if self._absence)}
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
        """Stories whose public level the routes leave to the rule, once a second reading speaks for the judged one."""
        young, level = known(ladders, now_us, self.rules.ladders), ladders.level()
        for key, rungs in self.ladders_of.items():
            story = stories.get(key)
            if story is None or story.judged_level == story.public_level:
                continue
            newest = ladders.last_us[rungs]
            late_us = np.array([self._late_after_us(s) for s in self.rules.ladders.series[rungs].tolist()])
            speaks = young[rungs] & (now_us - newest <= late_us) & (newest > story.since_us)
            falling = story.judged_level < story.public_level
            if speaks.all() if falling else (speaks & (level[rungs] >= story.judged_level)).any():
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

    def absences(self, quiet_us: Int64, arrived: Bool, *, seq: int, stories: Stories, now_us: int) -> Iterator[Change]:
        """Stations that owe a reading, and those from which one arrived again.

        Parameters
        ----------
        quiet_us : (series,) since when each has been silent while we listened
        arrived : (series,) whether anything has arrived since the absence began; no clock ends one
        seq : newest arrival number, for the record
        """
        rule = self.rules.absence
        if rule is None:
            return
        for watched, station in zip(self.watched, self.registry.stations.values(), strict=True):
            since_us, owed_us = int(quiet_us[watched].min()), round(rule.after * station.cadence_s * SECOND_US)
            key, absent = (station.id, rule.hazard), now_us >= since_us + owed_us
            if absent == (key in stories) or (not absent and not arrived[watched].all()):
                continue
            used = Used(
                rule=rule.id,
                rule_version=rule.version,
                series=self.registry.series[int(watched[quiet_us[watched].argmin()])].key,
                time_us=since_us,
                value=(now_us - since_us) / SECOND_US,
                flag=Flag.UNKNOWN,
                seq=seq,
                threshold=owed_us / SECOND_US,
                truth=absent,
            )
            yield from lifecycle.step(
                stories.get(key),
                self.cell(key),
                to_level=rule.level if absent else 0,
                event_us=since_us + owed_us if absent else since_us,
                now_us=now_us,
                used=(used,),
                speaks=True,
                routes=self.routes,
            )

    @property
    def _absence(self) -> str:
        return self.rules.absence.hazard if self.rules.absence else ""

    def statuses(self, ladders: LadderState, *, there: Mapping[Key, AreaStatus], now_us: int) -> list[AreaStatus]:
        """Areas whose level or known differs from what `there` says of them."""
        young, level = known(ladders, now_us, self.rules.ladders), ladders.level()
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

    def _used(
        self, batch: ReadingBatch, judged: Judged, seq: Int64, row: int, ladder: int, level: int, to_level: int
    ) -> Used:
        rising = to_level > level
        step = to_level if rising else level
        rule = self.rules.ladders.rule_at(ladder, step)
        ladders = self.rules.ladders
        return Used(
            rule=rule.id,
            rule_version=rule.version,
            series=self.registry.series[int(batch.series[row])].key,
            time_us=int(batch.time_us[row]),
            value=float(batch.value[row]),
            flag=int(judged.flag[row]),
            seq=int(seq[row]),
            threshold=float(ladders.enter[rule.level - 1, ladder] if rising else ladders.leave[step - 1, ladder]),
            truth=rising,
        )

    def _late_after_us(self, series: int) -> int:
        return max(LATE_CADENCES * self.registry.series[series].cadence_us, LATE_FLOOR_US)


def keep(stories: dict[Key, Episode], change: Change) -> None:
    """Bring a map of open stories up to a change."""
    _, story = change
    key = (story.area, story.hazard)
    if story.closed_us is None:
        stories[key] = story
    else:
        stories.pop(key, None)
