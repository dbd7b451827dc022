"""Which readings a mirror can hold, and which it is spared, visibly. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from sensors.batch import Bool
from sensors.store.arrivals import Arrivals

REMEMBERED = 100_000
"""Readings whose moments are remembered at least, for servers whose clock is coarser than ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a kind of server holds."""

    step_us: int
    """Two readings of one series nearer than this are one to it."""
    value_max: float
    """Values of larger size would spoil others beside them."""
    time_us: tuple[int, int]
    """First and last moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """What becomes of the rows of a chunk."""

    send: Bool
    valued: Bool
    """(n,) whether a row that is sent carries its value."""
    refused: Mapping[str, Bool]
    """Why a row, or its value, is not sent."""


@dataclass(slots=True)
class Fitting:
    """Decides for one mirror, in order of arrival.

    Of readings of one series within one step the first that arrived stays, as in the journal. Further back than
    REMEMBERED readings nobody looks: there the server keeps one of the two.
    """

    limits: Limits
    _young: dict[tuple[str, int], int] = field(default_factory=dict)
    """Series and step -> the exact time that holds it."""
    _old: dict[tuple[str, int], int] = field(default_factory=dict)

    def fit(self, rows: Arrivals) -> Fitted:
        """Look at a chunk; one that comes again finds its own readings and is judged alike."""
        low_us, high_us = self.limits.time_us
        is_shown = ~rows.revision  # a revision is kept beside what came first, and no screen shows it
        in_time = (rows.time_us >= low_us) & (rows.time_us <= high_us)
        taken = self._taken(rows, is_shown & in_time)
        send = is_shown & in_time & ~taken
        there = np.isfinite(rows.value)
        small = ~there | (np.abs(np.where(there, rows.value, 0.0)) <= self.limits.value_max)
        return Fitted(
            send=send,
            valued=there & small,
            refused={"time": is_shown & ~in_time, "precision": taken, "range": send & ~small},
        )

    def _taken(self, rows: Arrivals, among: Bool) -> Bool:
        """(n,) rows whose step holds another reading of their series that came before."""
        taken = np.zeros(len(rows.seq), dtype=np.bool_)
        step_us = self.limits.step_us
        if step_us == 1:  # the journal holds one reading of a series at a time
            return taken
        at = np.flatnonzero(among)
        held_us = []
        for series, time_us in zip(rows.series[at].tolist(), rows.time_us[at].tolist(), strict=True):
            step = (rows.keys[series], time_us // step_us)
            held = self._young.get(step, self._old.get(step))
            if held is None:
                held = self._young[step] = time_us
                if len(self._young) >= REMEMBERED:
                    self._old, self._young = self._young, {}
            held_us.append(held)
        taken[at] = np.array(held_us, dtype=np.int64) != rows.time_us[at]
        return taken
