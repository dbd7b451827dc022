"""How flags of a journal are said anew: by a person, or by a second look of the checks."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sensors.checks.verdicts import Verdicts
from sensors.store import BY_CHECKS, Revision
from sensors.store.answers import Cursors
from sensors.store.flag_revisions import Flagging, FlagRevisions, rechecked
from sensors.store.queries import Columns, Values

ROWS_MAX = 20_000
"""Readings that a person may flag at once."""
Asks = Callable[[str, Values], Columns]
"""Asks something of a query for rows, with the values of that query."""
RowsOf = Callable[[int, int, Asks], Columns]
"""Low and high times between which all rows are wanted, and who asks."""


class Reviews:
    """Of one journal; from any thread.

    Parameters
    ----------
    ids : (series,) numbers of the registered series in the journal
    id_of : of every key it knows
    shown : told what the newest flag of a registered series, time and reading is
    """

    def __init__(
        self,
        cursors: Cursors,
        flags: FlagRevisions,
        *,
        rows_of: RowsOf,
        ids: NDArray[np.int32],
        id_of: Mapping[str, int],
        shown: Callable[[int, int, int], None],
    ) -> None:
        self._cursors, self._flags, self._rows_of = cursors, flags, rows_of
        self._ids, self._id_of, self._shown = ids, id_of, shown
        self._place = {int(id): at for at, id in enumerate(ids)}
        self._turn = threading.Lock()

    def revise(self, key: str, time_us: int, flag: int, checks: int, *, by: str, at_us: int) -> None:
        """See `SeriesStore.revise`."""
        with self._turn:
            before = self._standing(key, time_us, time_us + 1)
            if not len(before.series):
                raise KeyError(f"{key}: nothing was measured at {time_us}")
            now = replace(before, flag=np.full_like(before.flag, flag), checks=np.full_like(before.checks, checks))
            self._write(now, before, by=by, at_us=at_us, reason="")

    def review(self, key: str, *, from_us: int, to_us: int, flag: int, by: str, reason: str, at_us: int) -> int:
        """See `Reviewer`; what the checks said of them stays beside it. At most ROWS_MAX readings."""
        with self._turn:
            before = self._standing(key, from_us, to_us)
            now = replace(before, flag=np.full_like(before.flag, flag))
            self._write(now, before, by=by, at_us=at_us, reason=reason)
            return len(before.series)

    def recheck(self, verdicts: Verdicts, *, at_us: int) -> int:
        """Write down what a second look says, but nothing against a person; of how many readings that changed anything.

        Parameters
        ----------
        verdicts : their series are indexes of registered ones
        """
        if not len(verdicts):
            return 0
        asked = replace(verdicts, series=self._ids[verdicts.series])
        low, high = int(asked.time_us.min()), int(asked.time_us.max())
        pairs = {"asked_series": asked.series.tolist(), "asked_time": asked.time_us.tolist(), "low": low, "high": high}

        def ask(rows: str, values: Values) -> Columns:
            return self._cursors.read(
                f"""
                with asked as (
                    select unnest($asked_series::integer[]) as series, unnest($asked_time::bigint[]) as time_us
                )
                select r.series, r.time_us, r.flag, r.checks from {rows} r
                semi join asked a on a.series = r.series and a.time_us = r.time_us
                where r.time_us between $low and $high and not r.revision
                """,  # noqa: S608
                {**pairs, **values},
            )

        with self._turn:
            before = _flagging(self._rows_of(low, high, ask))
            if not len(before.series):
                return 0
            before = before[~self._flags.by_people(before)]
            now = rechecked(before, asked)
            other = now.checks != before.checks
            self._write(now[other], before[other], by=BY_CHECKS, at_us=at_us, reason="")
            return int(other.sum())

    def revisions(self, key: str, *, from_us: int, to_us: int, limit: int) -> list[Revision]:
        """See `Reviewer`."""
        return self._flags.of(self._id_of.get(key, -1), from_us=from_us, to_us=to_us, limit=limit)

    def _standing(self, key: str, from_us: int, to_us: int) -> Flagging:
        """First values of a series as they are flagged now."""
        asked = {"of": self._id_of.get(key, -1), "low": from_us, "high": to_us, "most": ROWS_MAX + 1}

        def ask(rows: str, values: Values) -> Columns:
            return self._cursors.read(
                f"""
                select series, time_us, flag, checks from {rows}
                where series = $of and time_us >= $low and time_us < $high and not revision limit $most
                """,  # noqa: S608
                {**asked, **values},
            )

        found = _flagging(self._rows_of(from_us, to_us, ask))
        if len(found.series) > ROWS_MAX:
            raise ValueError(f"{key}: more than {ROWS_MAX} readings in one review; choose a shorter span")
        return found

    def _write(self, now: Flagging, before: Flagging, *, by: str, at_us: int, reason: str) -> None:
        self._flags.add(now, before, by=by, at_us=at_us, reason=reason)
        for series, time_us, flag in zip(now.series.tolist(), now.time_us.tolist(), now.flag.tolist(), strict=True):
            if series in self._place:
                self._shown(self._place[series], time_us, flag)


def _flagging(found: Columns) -> Flagging:
    return Flagging(
        series=found["series"].astype(np.int32),
        time_us=found["time_us"].astype(np.int64),
        flag=found["flag"].astype(np.uint8),
        checks=found["checks"].astype(np.uint32),
    )
