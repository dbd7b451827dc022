"""What the next reading says of a leap that was waiting for it (QARTOD test 6)."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from sensors.batch import Bool, Float64, Int64, ReadingBatch
from sensors.checks.reception import GAP_CADENCES, newer, put
from sensors.checks.verdicts import Verdicts
from sensors.flags import GOOD, SUSPECT, UNKNOWN, Check, Flags
from sensors.groups import Groups
from sensors.sensor import Limits
from sensors.window import NEVER


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Newest:
    """The two newest believable readings of each series; arrays as in `sensors.window.Window`."""

    last_us: Int64
    last_value: Float64
    earlier_value: Float64
    waits: Bool
    """(series,) whether the newest leapt, and the next one is to say what it was."""

    @classmethod
    def empty(cls, series: int) -> Self:
        """Nothing heard yet."""
        return cls(
            last_us=np.full(series, NEVER, dtype=np.int64),
            last_value=np.full(series, np.nan),
            earlier_value=np.full(series, np.nan),
            waits=np.zeros(series, dtype=np.bool_),
        )


def spikes(
    batch: ReadingBatch, spike: Flags, believable: Bool, newest: Newest, limits: Limits
) -> tuple[Verdicts, Newest]:
    """Decide what waited: a leap that came back is a spike, one that stayed or went on is a front.

    What stops half way back stays UNKNOWN, and so does a leap after which the readings have a gap.

    Parameters
    ----------
    batch : n stored readings in order of arrival
    spike : (n,) what check 5 said of them when they came
    believable : (n,)

    Returns
    -------
    verdicts : SUSPECT for spikes, never FAIL: it may be the crest of the century. GOOD for fronts.
    """
    rows = Groups.of(batch.series)
    order = rows.order
    at = order[newer(rows, batch.time_us[order], believable[order], newest.last_us)]
    if not len(at):
        return Verdicts.of(Check.SPIKE, batch.series[:0], batch.time_us[:0], spike[:0]), newest
    some = Groups.adjacent(batch.series[at])
    time_us, value, most = batch.time_us[at], batch.value[at], limits.spike[some.series]
    before_us, before = some.before(time_us, newest.last_us), some.before(value, newest.last_value)
    earlier = some.before(before, newest.earlier_value)
    change, leapt = value - before, before - earlier
    waits = (spike[at] == UNKNOWN) & (np.abs(change) > most)
    step_us = np.where(before_us == NEVER, 0, time_us - before_us)
    asked = some.before(waits, newest.waits) & (step_us <= GAP_CADENCES * limits.cadence_us[some.series])
    large = np.abs(change) > most
    returned = asked & large & (np.abs(value - earlier) <= most)
    stayed = asked & (~large | (np.sign(change) == np.sign(leapt)))
    decided = returned | stayed
    flag = np.where(returned, SUSPECT, GOOD)[decided]
    ends = some.ends
    last = some.series[ends]
    after = Newest(
        last_us=put(newest.last_us, last, time_us[ends]),
        last_value=put(newest.last_value, last, value[ends]),
        earlier_value=put(newest.earlier_value, last, before[ends]),
        waits=put(newest.waits, last, waits[ends]),
    )
    return Verdicts.of(Check.SPIKE, some.series[decided], before_us[decided], flag), after
