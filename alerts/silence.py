"""Who owes a reading: the clock of absence, which stands still while we are not listening (contract 5.6)."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from alerts import lifecycle
from alerts.cells import Cells, Stories
from alerts.episode import Used
from alerts.lifecycle import Change
from sensors.batch import Bool, Int64, ReadingBatch
from sensors.flags import Flag
from sensors.stations import SECOND_US
from sensors.window import NEVER


@dataclass(slots=True, kw_only=True, eq=False)
class Silence:
    """Since when each series has been silent. The judge's own, changed in place."""

    quiet_us: Int64
    """(series,) since when each has been silent while we listened; NEVER before the first arrival."""
    arrived: Bool
    """(series,) whether anything has come since the start, or since its absence began."""
    examined_us: Int64 = field(init=False)
    """(series,) the silence that was looked at for a loss while rising."""
    _ticked_us: int | None = None

    def __post_init__(self) -> None:
        """Nothing is looked at yet."""
        self.examined_us = np.full(len(self.quiet_us), NEVER, dtype=np.int64)

    @classmethod
    def of(cls, quiet_us: Int64) -> Self:
        """As it was kept in a snapshot; nothing has arrived since."""
        return cls(quiet_us=quiet_us.copy(), arrived=np.zeros(len(quiet_us), dtype=np.bool_))

    def hear(self, batch: ReadingBatch, *, anew: bool = True) -> None:
        """Readings arrived; `anew` now, and not before a restart."""
        np.maximum.at(self.quiet_us, batch.series, batch.received_us)
        self.arrived[batch.series] |= anew

    def restart(self, *, listened_us: int, now_us: int) -> None:
        """The clock goes on from where we stopped listening, and starts for a series never heard."""
        heard = self.quiet_us != NEVER
        listened_us = max(listened_us, int(self.quiet_us[heard].max(initial=0)))
        self.quiet_us[~heard] = now_us
        self.quiet_us[heard] += max(0, now_us - listened_us)

    def tick(self, now_us: int, *, deaf: bool) -> None:
        """Time passes; for whoever is deaf it does not. A clock put back makes no silence younger than now."""
        if deaf and self._ticked_us is not None:
            self.quiet_us += max(0, now_us - self._ticked_us)
        self._ticked_us = now_us
        np.minimum(self.quiet_us, now_us, out=self.quiet_us)

    def forget(self, change: Change, cells: Cells) -> None:
        """From the beginning of an absence on, only a new arrival ends it."""
        event, story = change
        stations = list(cells.registry.stations)
        if event.version == 1 and story.area in stations:
            self.arrived[cells.watched[stations.index(story.area)]] = False

    def due_us(self, cells: Cells) -> Int64:
        """(series,) when each is absent; without an absence rule never."""
        after = cells.rules.absence.after if cells.rules.absence else np.inf
        owed = np.minimum(after * cells.registry.limits.cadence_us, float(1 << 61))
        due: Int64 = self.quiet_us + owed.astype(np.int64)
        return due

    def unexamined(self, due_us: Int64, now_us: int) -> Bool:
        """(series,) those absent by now whose loss has not been looked at."""
        absent: Bool = (now_us >= due_us) & (self.examined_us != self.quiet_us)
        return absent

    def examine(self, series: Bool) -> None:
        """What was found of their loss is on the record."""
        self.examined_us[series] = self.quiet_us[series]


def absences(cells: Cells, silence: Silence, *, seq: int, stories: Stories, now_us: int) -> Iterator[Change]:
    """Stations that owe a reading, and those from which one arrived again; no clock ends an absence.

    Parameters
    ----------
    seq : newest arrival number, for the record
    """
    rule = cells.rules.absence
    if rule is None:
        return
    quiet_us = silence.quiet_us
    for watched, station in zip(cells.watched, cells.registry.stations.values(), strict=True):
        since_us, owed_us = int(quiet_us[watched].min()), round(rule.after * station.cadence_s * SECOND_US)
        key, absent = (station.id, rule.hazard), now_us >= since_us + owed_us
        if absent == (key in stories) or (not absent and not silence.arrived[watched].all()):
            continue
        used = Used(
            rule=rule.id,
            rule_version=rule.version,
            series=cells.registry.series[int(watched[quiet_us[watched].argmin()])].key,
            time_us=since_us,
            value=(now_us - since_us) / SECOND_US,
            flag=Flag.UNKNOWN,
            seq=seq,
            threshold=owed_us / SECOND_US,
            truth=absent,
        )
        yield from lifecycle.step(
            stories.get(key),
            cells.cell(key),
            to_level=rule.level if absent else 0,
            event_us=since_us + owed_us if absent else since_us,
            now_us=now_us,
            used=(used,),
            speaks=True,
            routes=cells.routes,
        )
