"""Who owes a reading: the clocks of absence and of loss, which stand still while we are not running (contract 5.6);
and whose device is gone, so that what it said is stale (contract 5.1).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from alerts import lifecycle
from alerts.cells import Cells, Stories
from alerts.episode import Used
from alerts.lifecycle import Change
from alerts.rule import AbsenceRule
from alerts.track_state import Taken
from sensors.batch import Bool, Int64, ReadingBatch
from sensors.flags import Flag
from sensors.stations import SECOND_US
from sensors.window import NEVER

FAR_US = 1 << 61
"""Later than any clock."""


@dataclass(slots=True, kw_only=True, eq=False)
class Silence:
    """Since when each series has been silent. The judge's own, changed in place."""

    quiet_us: Int64
    """(series,) since when each has been silent while we listened; NEVER before the first arrival."""
    spoken_us: Int64
    """(series,) since when none has given a usable reading, whether or not we could have heard it; NEVER before the
    first, and where the newest one is too old to speak for now."""
    spoken_seq: Int64
    """(series,) arrival number of the newest usable reading that spoke for now when it came; NEVER before the first."""
    arrived: Bool
    """(series,) whether anything has come since the start, or since its absence began."""
    died_seq: Int64 = field(init=False)
    """(series,) newest arrival number when its device was last said to be gone; NEVER where it was not."""
    examined_us: Int64 = field(init=False)
    """(series,) the `spoken_us` that was looked at for a loss while rising."""
    _ticked_us: int | None = None
    _leapt_us: int = 0

    def __post_init__(self) -> None:
        """Nothing is looked at yet, and nobody is said to be gone."""
        self.died_seq = np.full(len(self.quiet_us), NEVER, dtype=np.int64)
        self.examined_us = np.full(len(self.quiet_us), NEVER, dtype=np.int64)

    @classmethod
    def of(cls, kept: Int64) -> Self:
        """As it was kept; nothing has arrived since."""
        quiet_us, spoken_us, spoken_seq = kept.copy()
        arrived = np.zeros(len(quiet_us), dtype=np.bool_)
        return cls(quiet_us=quiet_us, spoken_us=spoken_us, spoken_seq=spoken_seq, arrived=arrived)

    def kept(self) -> Int64:
        """(3, series) both clocks, and who spoke last, for a snapshot. Deaths are the ledger's."""
        return np.stack([self.quiet_us, self.spoken_us, self.spoken_seq])

    def hear(self, batch: ReadingBatch, *, anew: bool = True) -> None:
        """Readings arrived; `anew` now, and not before a restart."""
        np.maximum.at(self.quiet_us, batch.series, batch.received_us)
        self.arrived[batch.series] |= anew

    def speak(self, batch: ReadingBatch, taken: Taken, seq: Int64, late_us: Int64) -> None:
        """What the journal took of them: the newest usable reading of a series, where it is young, starts its clock
        and ends the death before it.

        Parameters
        ----------
        seq : (n,) arrival numbers
        late_us : (series,) a reading that came later than this does not speak for now
        """
        newest = taken.listened & (taken.time_us == taken.state.live.trend.last_us[batch.series])
        series, received_us = batch.series[newest], batch.received_us[newest]
        young = received_us - taken.time_us[newest] <= late_us[series]
        self.spoken_us[series] = np.where(young, np.maximum(self.spoken_us[series], received_us), NEVER)
        np.maximum.at(self.spoken_seq, series[young], seq[newest][young])

    def die(self, deaths: Mapping[str, int], cells: Cells) -> None:
        """Devices are gone.

        Parameters
        ----------
        deaths : station -> newest arrival number before; stations that nobody registered are passed over
        """
        for station, seq in deaths.items():
            if (own := cells.own.get(station)) is not None:
                self.died_seq[own] = np.maximum(self.died_seq[own], seq)

    def stale(self) -> Bool:
        """(series,) whether no usable reading has come since its device was gone."""
        gone: Bool = (self.died_seq != NEVER) & (self.died_seq >= self.spoken_seq)
        return gone

    def restart(self, *, listened_us: int, now_us: int) -> None:
        """The clocks go on from where we stopped listening; that of absence starts for a series never heard."""
        heard = self.quiet_us != NEVER
        listened_us = max(listened_us, int(self.quiet_us[heard].max(initial=0)))
        self.quiet_us[~heard] = now_us
        for clock_us, running in ((self.quiet_us, heard), (self.spoken_us, self.spoken_us != NEVER)):
            clock_us[running] += max(0, now_us - listened_us)

    def tick(self, now_us: int, *, deaf: bool, leapt_us: int = 0) -> None:
        """Time passes; for the absence of whoever we are deaf to it does not. A clock put back makes no silence younger
        than now.

        Parameters
        ----------
        leapt_us : how far the clock was moved in all: no silence is older or younger for that
        """
        leap_us, self._leapt_us = leapt_us - self._leapt_us, leapt_us
        if leap_us:
            for clock_us in (self.quiet_us, self.spoken_us, self.examined_us):
                clock_us[clock_us != NEVER] += leap_us
        if deaf and self._ticked_us is not None:
            self.quiet_us += max(0, now_us - self._ticked_us - leap_us)
        self._ticked_us = now_us
        for clock_us in (self.quiet_us, self.spoken_us):
            np.minimum(clock_us, now_us, out=clock_us)

    def forget(self, change: Change, cells: Cells) -> None:
        """From the beginning of an absence on, only a new arrival ends it."""
        event, story = change
        stations = list(cells.registry.stations)
        if not event.rises:
            return
        if story.area in stations:
            self.arrived[cells.watched[stations.index(story.area)]] = False
        for station in cells.registry.gateways().get(story.area, ()):
            self.arrived[cells.watched[stations.index(station)]] = False

    def due_us(self, cells: Cells) -> Int64:
        """(series,) when each is lost, if it was rising; without an absence rule never."""
        after = cells.rules.absence.after if cells.rules.absence else np.inf
        owed = np.minimum(after * cells.registry.limits.cadence_us, float(FAR_US))
        due: Int64 = np.where(self.spoken_us == NEVER, FAR_US, self.spoken_us + owed.astype(np.int64))
        return due

    def unexamined(self, due_us: Int64, now_us: int) -> Bool:
        """(series,) those due by now that have not been looked at since they spoke."""
        asked: Bool = (now_us >= due_us) & (self.examined_us != self.spoken_us)
        return asked

    def examine(self, series: Bool) -> None:
        """What was found of their loss is on the record."""
        self.examined_us[series] = self.spoken_us[series]


def absences(cells: Cells, silence: Silence, *, seq: int, stories: Stories, now_us: int) -> Iterator[Change]:
    """Stations that owe a reading, and those from which one arrived again; no clock ends an absence.

    Where the stations behind one gateway fall silent together, the gateway is absent in their stead: one alarm for the
    technician, and theirs are inhibited as long as it lasts. What they lost while rising is another matter (`loss`).

    Parameters
    ----------
    seq : newest arrival number, for the record
    """
    rule = cells.rules.absence
    if rule is None:
        return
    owing = {
        station.id: Owing.of(watched, silence, round(rule.after * station.cadence_s * SECOND_US))
        for watched, station in zip(cells.watched, cells.registry.stations.values(), strict=True)
    }
    inhibited: set[str] = set()
    for gateway, behind in cells.registry.gateways().items():
        whole = Owing.through([owing[station] for station in behind])
        yield from _absence(gateway, whole, cells, rule, seq=seq, stories=stories, now_us=now_us)
        if whole.absent(now_us):
            inhibited.update(behind)
        else:  # nothing came through it since this one should have spoken: which of the two is missed shows soon
            inhibited.update(s for s in behind if owing[s].due_us - owing[s].owed_us // 2 > whole.since_us)
    for station, own in owing.items():
        if station not in inhibited or (station, rule.hazard) in stories:
            yield from _absence(station, own, cells, rule, seq=seq, stories=stories, now_us=now_us)


@dataclass(frozen=True, slots=True, kw_only=True)
class Owing:
    """Somebody who owes readings."""

    series: int
    """The one that was silent longest."""
    since_us: int
    """Since when one of its series was not heard, while we listened."""
    heard_us: int
    """Since when none was."""
    owed_us: int
    """How long that may last."""
    back: bool
    """Whether something has come from all of it since its absence began."""
    speaks: bool
    """Whether anything has."""

    @property
    def due_us(self) -> int:
        """When it is absent."""
        return self.since_us + self.owed_us

    def absent(self, now_us: int) -> bool:
        """Whether it is due."""
        return now_us >= self.due_us

    @classmethod
    def of(cls, watched: Int64, silence: Silence, owed_us: int) -> Self:
        """A station: it may not be silent on any of the series that are watched."""
        quiet_us, arrived = silence.quiet_us[watched], silence.arrived[watched]
        return cls(
            series=int(watched[quiet_us.argmin()]),
            since_us=int(quiet_us.min()),
            heard_us=int(quiet_us.max()),
            owed_us=owed_us,
            back=bool(arrived.all()),
            speaks=bool(arrived.any()),
        )

    @classmethod
    def through(cls, stations: Sequence["Owing"]) -> "Owing":
        """A gateway: silent since the last word through it, due when a second of its stations owes one since then."""
        last = max(stations, key=lambda one: one.heard_us)
        back = any(one.speaks for one in stations)
        return cls(
            series=last.series,
            since_us=last.heard_us,
            heard_us=last.heard_us,
            owed_us=sorted(one.owed_us for one in stations)[1],
            back=back,
            speaks=back,
        )


def _absence(
    who: str, own: Owing, cells: Cells, rule: AbsenceRule, *, seq: int, stories: Stories, now_us: int
) -> Iterator[Change]:
    """The absence of one station or gateway begins or ends."""
    key, absent = (who, rule.hazard), own.absent(now_us)
    if absent == (key in stories) or (not absent and not own.back):
        return
    used = Used(
        rule=rule.id,
        rule_version=rule.version,
        series=cells.registry.series[own.series].key,
        time_us=own.since_us,
        value=(now_us - own.since_us) / SECOND_US,
        flag=Flag.UNKNOWN,
        seq=seq,
        threshold=own.owed_us / SECOND_US,
        truth=absent,
    )
    yield from lifecycle.step(
        stories.get(key),
        cells.cell(key),
        to_level=rule.level if absent else 0,
        event_us=own.due_us if absent else own.since_us,
        now_us=now_us,
        used=(used,),
        speaks=True,
        routes=cells.routes,
    )
