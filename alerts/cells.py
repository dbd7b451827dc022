"""From ladders to stories: which rules speak for which (area, hazard), and what their changes make of its story.
Pure.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from alerts import lifecycle, loss
from alerts.columns import Told
from alerts.episode import AreaStatus, Episode, Kind, Used, apply, episode_id
from alerts.evidence import NOT_HELD, LadderState, known, young
from alerts.ladders import NO_SERIES
from alerts.lifecycle import FOUND, LOST, REFOLDED, UNHEARD, Cell, Change
from alerts.loss import Lost
from alerts.route import Routes
from alerts.rules import RuleSet
from alerts.tracks import DAY_US, bound_us
from alerts.words import STATION_HAZARDS, compact_utc
from sensors.batch import Bool, Float64, Int64
from sensors.calibration import Calibration
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
    own: Mapping[str, Int64]
    """Station -> its series."""
    watched: tuple[Int64, ...]
    """For each station the series it may not be silent on: those that rules listen to, or all where none does; of a
    computed one that which is sent."""
    warning: Float64
    """(series,) lowest value at which a level of 2 or above would hold; inf where no rule says so."""
    late_us: Int64
    """(series,) a reading older than this does not speak for now (contract 5.3)."""
    station: Int64
    """(series,) which station each belongs to."""
    spoken: Int64
    """(p,) the series that each ladder listens to; of what composite rules climb, one of those it rests on."""

    @classmethod
    def of(cls, kind: Kind, registry: Registry, rules: RuleSet, routes: Routes) -> "Cells":
        """Lay out once, at the start."""
        ladders = rules.ladders
        of_ladder: list[tuple[Key, ...]] = []
        ladders_of: dict[Key, list[int]] = {}
        warning = np.full(len(registry.series), np.inf)
        for p, (series, hazard) in enumerate(zip(ladders.series.tolist(), ladders.hazard, strict=True)):
            keys = tuple((area, hazard) for area in ladders.areas[p] if hazard)
            of_ladder.append(keys)
            for key in keys:
                ladders_of.setdefault(key, []).append(p)
            if ladders.by_value[p] and hazard:
                warning[series] = min(warning[series], ladders.enter[1:, p].min())
        own: dict[str, list[int]] = {station: [] for station in registry.stations}
        for index, one in enumerate(registry.series):
            own[one.station].append(index)
        ruled = {
            s
            for s, hazard in zip(ladders.series.tolist(), ladders.hazard, strict=True)
            if hazard not in STATION_HAZARDS
        }
        spoken = ladders.series.tolist()
        begin = len(ladders) - len(ladders.composites)
        for p, climbed in enumerate(ladders.composites.ladders, start=begin):
            spoken[p] = int(ladders.series[climbed.members[0]])
        derived = Calibration.of(registry)
        sent = dict(zip(derived.out.tolist(), derived.raw.tolist(), strict=True))
        return cls(
            kind=kind,
            registry=registry,
            rules=rules,
            routes=routes,
            of_ladder=tuple(of_ladder),
            ladders_of={key: np.array(rungs, dtype=np.int64) for key, rungs in ladders_of.items()},
            own={station: np.array(series, dtype=np.int64) for station, series in own.items()},
            watched=tuple(
                np.unique([sent.get(i, i) for i in ([i for i in series if i in ruled] or series)]).astype(np.int64)
                for series in own.values()
            ),
            warning=warning,
            late_us=bound_us(registry.limits.cadence_us),
            spoken=np.array(spoken, dtype=np.int64),
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
            back = told.from_level[at] == told.to_level[at]
            if back:
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
                    note=FOUND if back else REFOLDED if late else "",
                    by=int(told.by[at]),
                ):
                    keep(stories, change)
                    yield change

    def past(self, retro: Told, *, now_us: int, there: Callable[[str], Episode | None]) -> Iterator[Change]:
        """What came beyond the bound, as stories that are over: at most one for each (area, hazard), UTC day and level,
        so that a month of backfill is no storm.

        Parameters
        ----------
        retro : see `alerts.track_state.Taken`
        there : finds the stories told before by their ids
        """
        told: set[str] = set()
        for at, ladder in enumerate(retro.ladder.tolist()):
            level, time_us = int(retro.to_level[at]), int(retro.time_us[at])
            for key in self.of_ladder[ladder]:
                opened = f"{compact_utc(time_us - time_us % DAY_US)}-past-{level}"
                id = episode_id(kind=self.kind, hazard=key[1], area=key[0], opened=opened)
                if id not in told and there(id) is None:
                    told.add(id)
                    used = (self._used(retro, at),)
                    event, _ = lifecycle.retrospective(
                        self.cell(key), level=level, event_us=time_us, now_us=now_us, used=used
                    )
                    event = replace(event, episode=id)
                    yield event, apply(None, event)

    def missed(
        self, found: list[loss.Missed], *, before: LadderState, lost: Lost, stories: Stories, deaf: bool, now_us: int
    ) -> Iterator[Change]:
        """Series that fell silent while they rose: proposals, on the record also where the level stands already; and
        with the cause where we are `deaf`.
        """
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
                    note=UNHEARD if deaf else LOST,
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
        silent = (*self.registry.stations, *self.registry.gateways()) if absence else ()
        spoken_for = {*self.ladders_of, *((one, absence) for one in silent)}
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

    def followed(self, ladders: LadderState, *, stale: Bool, stories: Stories, now_us: int) -> Iterator[Change]:
        """Stories whose public level the routes leave to the rule, or which could end, once a second reading speaks
        for the judged level; upward one that itself stands there. What was lost while rising speaks for nothing, nor
        does what is `stale` (`silence.Silence.stale`). Where nobody was told and nothing is judged, the longest dwell
        ends a story too.
        """
        laid, level = self.rules.ladders, ladders.level()
        # A slope is known later than its value: it cannot hold up what the values say is over.
        fresh = ~stale[self.spoken]
        up, down = ((us, fresh & young(us, now_us, laid)) for us in (ladders.last_us, ladders.value_us))
        for key, rungs in self.ladders_of.items():
            story = stories.get(key)
            if story is None or story.judged_level == story.public_level != 0:
                continue
            falling = story.judged_level <= story.public_level
            newest, can_speak = (column[rungs] for column in (down if falling else up))
            late_us = self.late_us[self.spoken[rungs]]
            speaks = can_speak & (now_us - newest <= late_us) & (newest > story.since_us)
            if falling:
                agreed = bool(speaks.all())
            else:
                stands = (ladders.above_us[story.judged_level - 1 :, rungs] != NOT_HELD).any(axis=0)
                stands |= laid.series[rungs] == NO_SERIES  # its level says all there is
                there = stands & (level[rungs] >= story.judged_level)
                # A second sensor that stands there is a second voice, whichever of the two was judged first.
                voices = laid.series[rungs[there & can_speak & (now_us - newest <= late_us)]]
                agreed = bool((speaks & there).any()) or len(np.unique(voices)) > 1
            waited = now_us - story.since_us > laid.down_for_us[:, rungs].max() + late_us.max()
            if agreed or (waited and story.judged_level == story.public_level == 0):
                event_us = int(newest[speaks].max(initial=story.since_us)) if agreed else now_us
                yield from lifecycle.follow(story, routes=self.routes, event_us=event_us, now_us=now_us)

    def heard(self, ladders: LadderState, *, stale: Bool, stories: Stories, now_us: int) -> Iterator[Change]:
        """Open stories that have lost their last known evidence, or have some again."""
        heard = self._known(ladders, stale, now_us)
        for key, rungs in self.ladders_of.items():
            story = stories.get(key)
            if story is not None:
                yield from lifecycle.hear(story, known=bool(heard[rungs].any()), now_us=now_us)

    def statuses(
        self, ladders: LadderState, lost: Lost, *, stale: Bool, there: Mapping[Key, AreaStatus], now_us: int
    ) -> list[AreaStatus]:
        """Areas whose level or known differs from what `there` says of them."""
        heard, level = self._known(ladders, stale, now_us), lost.over(ladders)
        found = []
        for key, rungs in self.ladders_of.items():
            status = AreaStatus(
                kind=self.kind,
                area=key[0],
                hazard=key[1],
                level=int(level[rungs].max()),
                known=bool(heard[rungs].any()),
                since_us=now_us,
            )
            old = there.get(key)
            if old is None or (old.level, old.known) != (status.level, status.known):
                found.append(status)
        return found

    def _known(self, ladders: LadderState, stale: Bool, now_us: int) -> Bool:
        """(p,) whether each ladder's evidence says anything now."""
        single = known(ladders, now_us, self.rules.ladders) & ~stale[self.spoken]
        return self.rules.ladders.composites.known(ladders, single)

    def _used(self, told: Told, at: int) -> Used:
        ladder, from_level, to_level = int(told.ladder[at]), int(told.from_level[at]), int(told.to_level[at])
        rising, ladders, decider = to_level > from_level, self.rules.ladders, int(told.decider[at])
        rule = ladders.rule_at(ladder, to_level if rising else max(from_level, 1))
        came_back = from_level == to_level
        # What a fall that a reading brought about by coming or going leaves is its value.
        heard = told.flag[at] <= Flag.UNKNOWN
        return Used(
            rule=loss.RULE if came_back else rule.id,
            rule_version=loss.VERSION if came_back else rule.version,
            series=self.registry.series[int(told.series[at])].key,
            time_us=int(told.time_us[at]),
            value=ladders.shown(decider, float(told.value[at])) if heard else float(told.value[at]),
            flag=int(told.flag[at]),
            seq=int(told.seq[at]),
            threshold=ladders.shown(decider, self._line(decider, from_level, to_level)),
            truth=rising,
            per_h=bool(ladders.rise[decider] and heard),
            input=ladders.listens(decider).label() if heard and not ladders.rise[decider] else "",
            arrives_us=int(told.time_us[at] + ladders.travel_us[decider]) if ladders.travel_us[decider] else 0,
        )

    def _line(self, decider: int, from_level: int, to_level: int) -> float:
        """The threshold that a reading of a ladder crossed."""
        ladders = self.rules.ladders
        lines = ladders.enter if to_level > from_level else ladders.leave
        steps = [max(to_level if to_level > from_level else from_level, 1) - 1, 2, 1, 0]
        return next((float(lines[k, decider]) for k in steps if np.isfinite(lines[k, decider])), 0.0)


def keep(stories: dict[Key, Episode], change: Change) -> None:
    """Bring a map of open stories up to a change."""
    _, story = change
    key = (story.area, story.hazard)
    if story.closed_us is None:
        stories[key] = story
    elif key in stories and stories[key].id == story.id:
        del stories[key]
