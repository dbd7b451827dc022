"""What the tracks remember, and what they answer."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from alerts.columns import Rows, Told
from alerts.evidence import LadderState
from alerts.inputs.listeners import Listener, States
from alerts.judgement import Judged, JudgeState
from sensors.batch import Bool, Int64
from sensors.calibration import CounterState
from sensors.clocks import ClockState
from sensors.flags import Flags
from sensors.window import NEVER

Index = NDArray[np.intp]
Listeners = Sequence[Listener]
"""See `alerts.ladders.Ladders.listeners`."""
T = TypeVar("T")


def picked(columns: T, index: Index) -> T:
    """Some series (or ladders) of a dataclass of arrays that begin (or end, in a `LadderState`) with them."""
    at: Any = (..., index) if isinstance(columns, LadderState) else index

    def some(value: Any) -> Any:
        return picked(value, index) if is_dataclass(value) else value[at]

    return replace(columns, **{f.name: some(getattr(columns, f.name)) for f in fields(columns)})  # type: ignore[type-var,arg-type]


def put(columns: T, index: Index, some: T) -> T:
    """The same dataclass with some series (or ladders) as they stand in another one."""
    at: Any = (..., index) if isinstance(columns, LadderState) else index

    def changed(old: Any, new: Any) -> Any:
        if is_dataclass(old):
            return put(old, index, new)
        column = old.copy()
        column[at] = new
        return column

    values = {f.name: changed(getattr(columns, f.name), getattr(some, f.name)) for f in fields(columns)}  # type: ignore[arg-type]
    return replace(columns, **values)  # type: ignore[type-var]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrackState:
    """All that judgement remembers."""

    clocks: ClockState
    counters: CounterState
    live: JudgeState
    settled: JudgeState
    reached_us: Int64
    """(series,) newest min(judged time, arrival) of the believable readings; NEVER before the first. The watermark
    lies the bound before it."""
    pending: tuple[Rows, ...]
    """Believable readings behind the watermark, in pieces."""

    @classmethod
    def empty(cls, series: int, ladders: int, derivations: int = 0, inputs: States = ()) -> Self:
        """Nothing heard yet."""
        nothing = JudgeState.empty(series, ladders, inputs)
        return cls(
            clocks=ClockState.empty(series),
            counters=CounterState.empty(derivations),
            live=nothing,
            settled=nothing,
            reached_us=np.full(series, NEVER, dtype=np.int64),
            pending=(),
        )

    def all_pending(self) -> Rows:
        """The pieces as one."""
        return Rows.joined(self.pending) if self.pending else Rows.none()

    def part(self, series: Index, ladders: Index, listeners: Listeners) -> Self:
        """Some series by themselves, numbered anew, all but the clocks; series and ladders ascend."""
        pending = self.all_pending()
        mine = pending[np.isin(pending.series, series)]
        return replace(
            self,
            live=chosen(self.live, series, ladders, listeners),
            settled=chosen(self.settled, series, ladders, listeners),
            reached_us=self.reached_us[series],
            pending=(replace(mine, series=np.searchsorted(series, mine.series).astype(np.int32)),),
        )

    def with_part(self, series: Index, ladders: Index, listeners: Listeners, part: Self) -> Self:
        """Some series as they stand now in a part."""
        pending, mine = self.all_pending(), part.all_pending()
        reached_us = self.reached_us.copy()
        reached_us[series] = part.reached_us
        return replace(
            self,
            live=grafted(self.live, series, ladders, listeners, part.live),
            settled=grafted(self.settled, series, ladders, listeners, part.settled),
            reached_us=reached_us,
            pending=(
                pending[~np.isin(pending.series, series)],
                replace(mine, series=series[mine.series].astype(np.int32)),
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Taken:
    """Answer of `Tracks.take`, aligned with the batch."""

    state: TrackState
    time_us: Int64
    """(n,) judged times."""
    clock: Flags
    flag: Flags
    checks: NDArray[np.uint32]
    listened: Bool
    """(n,) rows that speak for now."""
    beyond: Bool
    """(n,) believable rows that came too late to."""
    alike: Bool
    """(n,) second values for a time that a person would be shown as the first one: they change nothing."""
    broken: Bool
    deaf: Bool
    told: Told
    """What the live track says, in the order in which it came about."""
    heard: Told
    """What members of composite rules heard; see `alerts.composites`."""
    retro: Told
    """Of the readings beyond the bound the first for each ladder, UTC day and level that it would have set."""
    settled: Told
    errors: tuple[str, ...]

    @classmethod
    def joined(cls, parts: Sequence["Taken"]) -> "Taken":
        """Answers of batches that followed each other; at least one."""
        if len(parts) == 1:
            return parts[0]

        def columns(name: str) -> Any:
            return np.concatenate([getattr(part, name) for part in parts])

        return cls(
            state=parts[-1].state,
            time_us=columns("time_us"),
            clock=columns("clock"),
            flag=columns("flag"),
            checks=columns("checks"),
            listened=columns("listened"),
            beyond=columns("beyond"),
            alike=columns("alike"),
            broken=columns("broken"),
            deaf=columns("deaf"),
            told=Told.joined([part.told for part in parts]),
            heard=Told.joined([part.heard for part in parts]),
            retro=Told.joined([part.retro for part in parts]),
            settled=Told.joined([part.settled for part in parts]),
            errors=tuple(error for part in parts for error in part.errors),
        )


@dataclass(slots=True, eq=False)
class Sheet:
    """What is found of the n rows of a batch, some at a time; and the state as it goes."""

    state: TrackState
    flag: Flags
    checks: NDArray[np.uint32]
    listened: Bool
    beyond: Bool
    alike: Bool
    broken: Bool
    deaf: Bool
    told: list[Told] = field(default_factory=list)
    heard: list[Told] = field(default_factory=list)
    settled: list[Told] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, judged: Judged, state: TrackState) -> Self:
        """What is found of each row by itself: it speaks for nothing yet."""
        none = np.zeros(len(judged.flag), dtype=np.bool_)
        return cls(
            state=state,
            flag=judged.flag.copy(),
            checks=judged.checks.copy(),
            listened=none,
            beyond=none.copy(),
            alike=none.copy(),
            broken=judged.broken.copy(),
            deaf=judged.deaf.copy(),
            errors=list(judged.errors),
        )

    def note(self, at: Index, judged: Judged, where: Index | slice = slice(None)) -> None:
        """Flags of the rows at some positions, found `where` among the judged ones."""
        self.flag[at], self.checks[at] = judged.flag[where], judged.checks[where]
        self.listened[at] = judged.listened[where]
        self.broken[at], self.deaf[at] = judged.broken[where], judged.deaf[where]
        self.errors += judged.errors

    def step(self, at: Index, rows: Rows, judged: Judged) -> None:
        """Rows that came in order and stepped the live fold."""
        self.note(at, judged)
        self.told.append(Told.of(rows, judged.changes, judged.flag))
        self.heard.append(Told.heard(rows, judged.changes, judged.flag))
        pending = (*self.state.pending, rows[judged.fresh]) if judged.fresh.any() else self.state.pending
        self.state = replace(self.state, live=judged.state, pending=pending)

    def reach(self, rows: Rows) -> None:
        """Believable rows move the watermarks of their series."""
        reached_us = self.state.reached_us.copy()
        np.maximum.at(reached_us, rows.series, np.minimum(rows.time_us, rows.received_us))
        self.state = replace(self.state, reached_us=reached_us)

    def taken(self, rows: Rows, retro: Told) -> Taken:
        """All of it."""
        return Taken(
            state=self.state,
            time_us=rows.time_us,
            clock=rows.clock,
            flag=self.flag,
            checks=self.checks,
            listened=self.listened,
            beyond=self.beyond,
            alike=self.alike,
            broken=self.broken,
            deaf=self.deaf,
            told=Told.joined([Told.none(), *self.told]).in_order(),
            heard=Told.joined([Told.none(), *self.heard]),
            retro=retro,
            settled=Told.joined([Told.none(), *self.settled]),
            errors=tuple(self.errors),
        )


def chosen(state: JudgeState, series: Index, ladders: Index, listeners: Listeners) -> JudgeState:
    """Some series and ladders by themselves."""
    own = _own(listeners, series)
    return JudgeState(
        window=picked(state.window, series),
        trend=picked(state.trend, series),
        ladders=picked(state.ladders, ladders),
        inputs=tuple(picked(one, at) for one, at in zip(state.inputs, own, strict=True)),
    )


def grafted(onto: JudgeState, series: Index, ladders: Index, listeners: Listeners, of: JudgeState) -> JudgeState:
    """A state in which some series and ladders stand as `of` says of just these."""
    own = _own(listeners, series)
    return JudgeState(
        window=put(onto.window, series, of.window),
        trend=put(onto.trend, series, of.trend),
        ladders=put(onto.ladders, ladders, of.ladders),
        inputs=tuple(put(one, at, new) for one, at, new in zip(onto.inputs, own, of.inputs, strict=True)),
    )


def _own(listeners: Listeners, series: Index) -> list[Index]:
    """Of each listener which of its own series are among some."""
    return [np.flatnonzero(np.isin(one.series, series)) for one in listeners]
