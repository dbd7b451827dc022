"""What the tracks remember, and what they answer."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from alerts.columns import Rows, Told
from alerts.judgement import Judged, JudgeState
from sensors.batch import Bool, Int64
from sensors.clocks import ClockState
from sensors.flags import Flags
from sensors.window import NEVER


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrackState:
    """All that judgement remembers."""

    clocks: ClockState
    live: JudgeState
    settled: JudgeState
    retro: JudgeState
    reached_us: Int64
    """(series,) newest min(judged time, arrival) of the believable readings; NEVER before the first. The watermark
    lies the bound before it."""
    pending: tuple[Rows, ...]
    """Believable readings behind the watermark, in pieces, in order of arrival."""

    @classmethod
    def empty(cls, series: int, ladders: int) -> Self:
        """Nothing heard yet."""
        nothing = JudgeState.empty(series, ladders)
        return cls(
            clocks=ClockState.empty(series),
            live=nothing,
            settled=nothing,
            retro=nothing,
            reached_us=np.full(series, NEVER, dtype=np.int64),
            pending=(),
        )

    def all_pending(self) -> Rows:
        """The pieces as one."""
        return Rows.joined(self.pending) if self.pending else Rows.none()


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
    broken: Bool
    deaf: Bool
    told: Told
    """What the live track says, in the order in which it came about."""
    retro: Told
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
            broken=columns("broken"),
            deaf=columns("deaf"),
            told=Told.joined([part.told for part in parts]),
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
    broken: Bool
    deaf: Bool
    told: list[Told] = field(default_factory=list)
    retro: list[Told] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @classmethod
    def blank(cls, n: int, state: TrackState) -> Self:
        """Nothing found yet."""
        return cls(
            state=state,
            flag=np.zeros(n, dtype=np.uint8),
            checks=np.zeros(n, dtype=np.uint32),
            listened=np.zeros(n, dtype=np.bool_),
            broken=np.zeros(n, dtype=np.bool_),
            deaf=np.zeros(n, dtype=np.bool_),
        )

    def note(self, at: NDArray[np.intp], judged: Judged, *, speaks: bool = True) -> None:
        """Flags of the rows at some positions; `speaks` whether the rules that heard them speak for now."""
        self.flag[at], self.checks[at] = judged.flag, judged.checks
        self.listened[at] = judged.listened & speaks
        self.broken[at], self.deaf[at] = judged.broken, judged.deaf
        self.errors += judged.errors

    def step(self, at: NDArray[np.intp], rows: Rows, judged: Judged) -> None:
        """Rows that came in order and stepped the live fold."""
        self.note(at, judged)
        self.told.append(Told.of(rows, judged.changes, judged.flag))
        pending = (*self.state.pending, rows[judged.fresh]) if judged.fresh.any() else self.state.pending
        self.state = replace(self.state, live=judged.state, pending=pending)

    def taken(self, rows: Rows, beyond: Bool, state: TrackState) -> Taken:
        """All of it."""
        return Taken(
            state=state,
            time_us=rows.time_us,
            clock=rows.clock,
            flag=self.flag,
            checks=self.checks,
            listened=self.listened,
            beyond=beyond,
            broken=self.broken,
            deaf=self.deaf,
            told=Told.joined([Told.none(), *self.told]).in_order(),
            retro=Told.joined([Told.none(), *self.retro]).in_order(),
            settled=Told.none(),
            errors=tuple(self.errors),
        )
