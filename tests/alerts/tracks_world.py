"""Streams of readings for the tracks: several series, gaps, repeats, conflicts, delays and disorder."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from hypothesis import strategies as st

from alerts.columns import Told
from alerts.rules import Rule, RuleSet, compile_rules
from alerts.track_state import TrackState
from alerts.tracks import Tracks
from sensors.batch import Bool, Int64, ReadingBatch
from sensors.stations import Registry
from tests.alerts.rises import rise_rule
from tests.builders import MINUTE_US, T0_US, level_rule, registry, station

REG = registry(station("A"), station("B"), station("C", areas=("other",)))
RULES: tuple[Rule, ...] = (
    level_rule(1, 2.0),
    level_rule(2, 3.0, up_for_s=0.0, down_for_s=60.0),
    level_rule(3, 4.0),
    rise_rule(1, 1.5),
    rise_rule(2, 9.0, hazard="flood", up_for_s=60.0, down_for_s=60.0),
)
BOUND_US = 10 * MINUTE_US
"""Of stations that promise a reading every minute."""


def rules(reg: Registry = REG, own: Sequence[Rule] = RULES) -> RuleSet:
    return compile_rules(own, reg)


def tracks(reg: Registry = REG, own: Sequence[Rule] = RULES) -> Tracks:
    """Every second value contradicts, however little it differs."""
    exact = np.full(len(reg.series), -1.0)
    return Tracks(limits=reg.limits, ladders=rules(reg, own).ladders, shown=exact)


def empty(one: Tracks, reg: Registry = REG) -> TrackState:
    return TrackState.empty(len(reg.series), len(one.ladders))


@dataclass(frozen=True)
class Arrivals:
    """Readings in the order in which they arrive, none of them a repeat."""

    batch: ReadingBatch
    conflict: Bool
    seq: Int64

    @classmethod
    def of(cls, batch: ReadingBatch) -> "Arrivals":
        """What the journal would make of a batch: repeats are left out, second values for one time are conflicts."""
        there: dict[tuple[int, int], list[float]] = {}
        kept, conflict = [], []
        for i in range(len(batch)):
            key, value = (int(batch.series[i]), int(batch.time_us[i])), float(batch.value[i])
            values = there.setdefault(key, [])
            if any(v == value or (np.isnan(v) and np.isnan(value)) for v in values):
                continue
            kept.append(i)
            conflict.append(bool(values))
            values.append(value)
        return cls(batch[np.array(kept, dtype=np.intp)], np.array(conflict, dtype=bool), np.arange(len(kept)) + 1)

    def __getitem__(self, rows: slice) -> "Arrivals":
        return Arrivals(self.batch[rows], self.conflict[rows], self.seq[rows])


def run(
    one: Tracks, arrivals: Arrivals, state: TrackState, cuts: Sequence[int] = (), settle: bool = False
) -> tuple[TrackState, list[Told], list[Told], list[Told]]:
    """All arrivals in pieces; `settle` after each. Returns the state, and what was told, of the past, and settled."""
    told, retro, settled = [], [], []
    edges = [0, *sorted({min(c, len(arrivals.seq)) for c in cuts}), len(arrivals.seq)]
    for a, b in pairwise(edges):
        piece = arrivals[a:b]
        taken = one.take(piece.batch, piece.conflict, piece.seq, state)
        state = taken.state
        told.append(taken.told)
        retro.append(taken.retro)
        settled.append(taken.settled)
        if settle:
            state, final = one.settle(state)
            settled.append(final)
    return state, told, retro, settled


def settled_at_last(one: Tracks, state: TrackState) -> tuple[TrackState, Told]:
    """Settle everything, as if the watermarks had passed."""
    return one.settle(replace(state, reached_us=np.full_like(state.reached_us, np.iinfo(np.int64).max // 2)))


def plain(told: Sequence[Told]) -> list[tuple[object, ...]]:
    """Told columns as rows."""
    names = ("by", "seq", "series", "ladder", "time_us", "value", "flag", "from_level", "to_level", "late")
    return [row for one in told for row in zip(*(getattr(one, n).tolist() for n in names), strict=True)]


def of_track(told: Sequence[Told]) -> list[tuple[object, ...]]:
    """What does not depend on the order of arrival: which ladder changed when, at which value, from and to."""
    names = ("ladder", "time_us", "value", "flag", "from_level", "to_level")
    return sorted(row for one in told for row in zip(*(getattr(one, n).tolist() for n in names), strict=True))


HEIGHTS = [0.5, 1.9, 2.1, 2.9, 3.1, 3.9, 4.5, 39.0, 99.0, float("nan")]
"""Below, between and above the lines; 99 is outside the instrument's range."""


@st.composite
def readings(draw: st.DrawFn, max_pieces: int = 10) -> ReadingBatch:
    """Stretches of readings of three series in order of time, with gaps, slopes and doubtful values."""
    series, times, values, clock = [], [], [], [T0_US] * 3
    for _ in range(draw(st.integers(1, max_pieces))):
        which, count = draw(st.integers(0, 2)), draw(st.integers(1, 8))
        value, slope = draw(st.sampled_from(HEIGHTS)), draw(st.sampled_from([0.0, 0.0, 0.02, 0.2, -0.2]))
        clock[which] += draw(st.sampled_from([0, 0, 0, 1, 2, 3, 4])) * MINUTE_US
        for k in range(count):
            clock[which] += MINUTE_US
            series.append(which)
            times.append(clock[which])
            values.append(value + slope * k)
    return ReadingBatch.of(series=series, time_us=times, value=values, received_us=times)


@st.composite
def disordered(draw: st.DrawFn, whole: ReadingBatch, longest_us: int = BOUND_US) -> ReadingBatch:
    """The same readings, each delayed by less than `longest_us`, in the order of their arrival, some of them twice and
    some contradicted."""
    n = len(whole)
    delay = np.array(draw(st.lists(st.integers(0, longest_us // MINUTE_US - 1), min_size=n, max_size=n))) * MINUTE_US
    twice = np.array(draw(st.lists(st.integers(0, n - 1), max_size=4)), dtype=np.intp)
    later = np.array(
        draw(st.lists(st.integers(0, longest_us // MINUTE_US - 1), min_size=len(twice), max_size=len(twice)))
    )
    received = np.r_[whole.time_us + delay, whole.time_us[twice] + later.astype(np.int64) * MINUTE_US].astype(np.int64)
    order = np.lexsort((draw(st.permutations(range(len(received)))), received))
    rows = np.r_[np.arange(n), twice].astype(np.intp)
    return replace(whole[rows], received_us=received)[order]


@st.composite
def contradicted(draw: st.DrawFn, whole: ReadingBatch) -> ReadingBatch:
    """With second values for some times."""
    rows = np.array(draw(st.lists(st.integers(0, len(whole) - 1), max_size=3)), dtype=np.intp)
    values = draw(st.lists(st.sampled_from(HEIGHTS[:7]), min_size=len(rows), max_size=len(rows)))
    other = replace(whole[rows], value=np.array(values, dtype=np.float64))
    both = [whole, other]
    return ReadingBatch.of(
        series=np.concatenate([b.series for b in both]),
        time_us=np.concatenate([b.time_us for b in both]),
        value=np.concatenate([b.value for b in both]),
        received_us=np.concatenate([b.received_us for b in both]),
    )
