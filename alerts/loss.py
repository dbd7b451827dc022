"""Lost while rising: a series that falls silent as its water rises is a proposal, not a gap (contract 5.6). Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from alerts.columns import Told
from alerts.episode import Event, Level, Used
from alerts.evidence import LadderState
from alerts.judgement import JudgeState
from alerts.ladders import LOSS_SPAN_US, Ladders
from alerts.track_state import Taken
from sensors.batch import Bool, Int64, ReadingBatch
from sensors.flags import Flag
from sensors.stations import Registry
from sensors.trend import HOUR_US, slopes
from sensors.window import NEVER

RULE, VERSION = "lost_while_rising", "1"
"""How it stands on the record: `lost_while_rising.2` proposes level 2, and the bare name says that it is over. The rule
itself is the contract's."""
HIGHEST = Level.WARNING


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lost:
    """Ladders that stand higher than their evidence, because their series was lost while rising."""

    level: Int64
    """(p,) the level proposed; 0 where nothing was lost."""
    since_us: Int64
    """(p,) judged time of the newest reading then; a newer one that speaks for now ends the loss."""

    @classmethod
    def none(cls, ladders: int) -> Self:
        """Nothing lost."""
        return cls(level=np.zeros(ladders, dtype=np.int64), since_us=np.full(ladders, NEVER, dtype=np.int64))

    def joined(self, found: Iterable["Missed"]) -> Self:
        """With those that were found now."""
        level, since_us = self.level.copy(), self.since_us.copy()
        for one in found:
            level[one.ladder], since_us[one.ladder] = one.level, one.used.time_us
        return replace(self, level=level, since_us=since_us)

    def over(self, ladders: LadderState) -> Int64:
        """(p,) levels as they stand: by evidence or by loss."""
        return np.maximum(ladders.level(), self.level)

    def without(self, back: Told) -> Self:
        """Without those that have spoken again (`returns`)."""
        level = self.level.copy()
        level[back.ladder] = 0
        return replace(self, level=level)

    @classmethod
    def recalled(cls, events: Iterable[Event], ladders: Ladders, registry: Registry) -> Self:
        """What the events of the open stories say is lost."""
        lost = cls.none(len(ladders))
        index = {one.key: i for i, one in enumerate(registry.series)}
        for event in events:
            for used in event.used:
                rule, _, level = used.rule.partition(".")
                if rule != RULE or used.series not in index:
                    continue
                for p in range(*ladders.first[index[used.series] : index[used.series] + 2].tolist()):
                    if ladders.by_value[p] and ladders.hazard[p] == event.hazard:
                        lost.level[p] = int(level or 0)
                        lost.since_us[p] = used.time_us
        return lost


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """One ladder whose series was lost while rising."""

    ladder: int
    level: int
    """What is proposed: one step over its own, at most HIGHEST."""
    due_us: int
    """When it was found to be absent."""
    used: Used


def missed(
    state: JudgeState, lost: Lost, due_us: Int64, asked: Bool, *, ladders: Ladders, registry: Registry, seq: int
) -> list[Missed]:
    """Which of the silent series were lost while rising.

    Their last usable evidence stood at watch or above, or reaches the next threshold within an hour at the slope they
    had; and the lower bound of that slope says that they rose.

    Parameters
    ----------
    state : the live track
    lost : ladders that are found already
    due_us : (series,) when each is lost
    asked : (series,) those to look at
    seq : newest arrival number, for the record
    """
    found: list[Missed] = []
    level, newest_us = state.ladders.level(), state.ladders.last_us
    wanted = asked[ladders.series] & ladders.by_value & (lost.level == 0) & (level < HIGHEST) & (newest_us != NEVER)
    if not wanted.any():
        return found
    at = np.flatnonzero(wanted)
    # Each at its own newest reading: seen from time 0, its span reaches back to there and no further.
    span_us = np.where(asked, ladders.span_us - np.where(asked, state.trend.last_us, 0), 0)
    slope = slopes(state.trend, ladders.series[at], 0, span_us=span_us)
    reach = slope.last_value + slope.rise_per_h * LOSS_SPAN_US / HOUR_US
    for k, p in enumerate(at.tolist()):
        series, own = int(ladders.series[p]), int(level[p])
        next_ = float(ladders.enter[own:, p].min())
        if not (slope.low_per_h[k] > 0 and (own >= Level.WATCH or reach[k] >= next_)):
            continue
        proposed = min(own + 1, HIGHEST)
        used = Used(
            rule=f"{RULE}.{proposed:d}",
            rule_version=VERSION,
            series=registry.series[series].key,
            time_us=int(newest_us[p]),
            value=float(slope.last_value[k]),
            flag=Flag.UNKNOWN,
            seq=seq,
            threshold=next_,
            truth=True,
        )
        found.append(Missed(ladder=p, level=int(proposed), due_us=int(due_us[series]), used=used))
    return found


def returns(batch: ReadingBatch, taken: Taken, seq: Int64, lost: Lost, ladders: Ladders, late_us: Int64) -> Told:
    """The first usable reading of each lost series that speaks for now, as a change of its ladder from its own level to
    the same.

    Parameters
    ----------
    late_us : (series,) a reading that came later than this does not speak for now
    """
    found = [Told.none()]
    if not lost.level.any():
        return found[0]
    young = taken.listened & (batch.received_us - taken.time_us <= late_us[batch.series])
    for p in np.flatnonzero(lost.level > 0).tolist():
        back = (batch.series == ladders.series[p]) & young & (taken.time_us > lost.since_us[p])
        at = np.flatnonzero(back)[:1]
        if len(at):
            level = np.zeros(1, dtype=np.int64)
            found.append(
                Told(
                    by=seq[at],
                    seq=seq[at],
                    series=batch.series[at],
                    ladder=np.array([p], dtype=np.intp),
                    decider=np.array([p], dtype=np.intp),
                    time_us=taken.time_us[at],
                    value=batch.value[at],
                    flag=taken.flag[at],
                    from_level=level,
                    to_level=level,
                    late=np.zeros(1, dtype=np.bool_),
                )
            )
    return Told.joined(found)
