"""The newest reading of each series: in memory for screens, which ask twice a second, and for telling what cannot be a
repeat; on disk so that no start and no trim needs the rows before it.
"""

import threading

import duckdb
import numpy as np

from sensors.batch import Bool, Float64, Int64, ReadingBatch
from sensors.flags import Flags

ROWS = """(
    select series, time_us, value, flag, 0 as checks, false as revision from newest_known
    union all by name
    select series, time_us, coalesce(value, 'nan'::double) as value, flag, checks, revision from reading
    where seq > (select coalesce(max(through_seq), 0) from newest_known)
)"""
"""What is newest of each series, told without a look at the rows up to which that is known."""
_NONE = np.iinfo(np.int64).min


def remember(db: duckdb.DuckDBPyConnection, through_seq: int) -> None:
    """Write down what is newest of each series; `through_seq`: the journal's last row, as far as the caller knows."""
    cursor = db.cursor()
    try:
        cursor.execute("begin")
        cursor.execute(
            f"""
            create temp table known as
            select series, max(time_us) as time_us, arg_max(value, time_us) as value, arg_max(flag, time_us) as flag
            from {ROWS} where not revision group by series
            """  # noqa: S608
        )
        cursor.execute("delete from newest_known")
        cursor.execute("insert into newest_known select *, ? from known", [through_seq])
        cursor.execute("drop table known")
        cursor.execute("commit")
    finally:
        cursor.close()


class Newest:
    """In memory. `ahead` and `note` are for the thread that writes, the others for any.

    Parameters
    ----------
    time_us, value, flag : (n,) of each series, as `queries.latest` gives them
    """

    def __init__(self, time_us: Int64, value: Float64, flag: Flags) -> None:
        self._time_us = np.where(time_us == 0, _NONE, time_us)
        self._value = value
        self._flag = flag
        self._lock = threading.Lock()

    def of(self, series: list[int]) -> tuple[Int64, Float64, Flags]:
        """Time, value and flag of each; time 0, NaN and MISSING where there is none."""
        with self._lock:
            time_us, value, flag = self._time_us[series], self._value[series], self._flag[series]
        return np.where(time_us == _NONE, 0, time_us), value, flag

    def ahead(self, batch: ReadingBatch) -> Bool:
        """Whether each row is newer than all stored and all earlier rows of its series: then it cannot be a repeat."""
        order = np.argsort(batch.series, kind="stable")
        series, time = batch.series[order], batch.time_us[order]
        starts = np.r_[True, series[1:] != series[:-1]]
        # Strictly rising within each series and above what is stored: the usual case, one comparison a row.
        rising = np.where(starts, time > self._time_us[series], np.r_[True, time[1:] > time[:-1]])
        group = np.cumsum(starts) - 1
        broken = np.zeros(int(group[-1]) + 1, dtype=np.bool_)
        broken[group[~rising]] = True
        ahead = np.empty(len(batch), dtype=np.bool_)
        ahead[order] = ~broken[group]  # one row out of order sends its whole series the careful way
        return ahead

    def note(self, batch: ReadingBatch, conflict: Bool, flag: Flags) -> None:
        """Take in rows that were stored. A revision stands beside a row of its time: it is never newer."""
        newer = np.flatnonzero(~conflict & (batch.time_us > self._time_us[batch.series]))
        order = newer[np.lexsort((batch.time_us[newer], batch.series[newer]))]
        series = batch.series[order]
        rows = order[np.r_[series[1:] != series[:-1], True]] if len(order) else order
        at = batch.series[rows]
        with self._lock:
            self._time_us[at], self._value[at], self._flag[at] = batch.time_us[rows], batch.value[rows], flag[rows]

    def reflag(self, series: int, time_us: int, flag: int) -> None:
        """Take in another flag of one reading, where that is the newest."""
        with self._lock:
            if self._time_us[series] == time_us:
                self._flag[series] = flag
