"""Which late rows are repeats or contradictions of what is stored, wherever that lies."""

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sensors.batch import Bool, ReadingBatch
from sensors.store import DAY_US, State, queries
from sensors.store.answers import columns
from sensors.store.retention_rows import TrimmedDays


def states_of_late(
    db: duckdb.DuckDBPyConnection, trimmed: TrimmedDays, batch: ReadingBatch, ids: NDArray[np.int32], late: Bool
) -> NDArray[np.uint8]:
    """State of each late row: compared with the store and with the rows of this batch that arrived before it.

    Parameters
    ----------
    ids : (n,) numbers of the series in the journal
    late : (n,) rows that may be there already; at least one

    Returns
    -------
    states : of the late rows only
    """
    times = batch.time_us[late]
    files = trimmed.files(np.unique(times // DAY_US).tolist())
    if files and trimmed.doubted:
        files = trimmed.sound(files)
    there, values = queries.stored(files, revised=False)
    rows = {"i": np.arange(len(batch)), "series": ids, "time_us": batch.time_us, "value": batch.value, "late": late}
    db.register("arriving", pa.table(rows))
    try:
        found = columns(
            db,
            f"""
            with there as (
                select series, time_us, value, -1 as i from {there}
                where time_us between $low and $high and series in (select distinct series from arriving where late)
                union all select series, time_us, value, i from arriving
            )
            select a.i, bool_or(there.value is not distinct from a.value) as same
            from arriving a join there on there.series = a.series and there.time_us = a.time_us and there.i < a.i
            where a.late group by a.i
            """,  # noqa: S608
            {"low": int(times.min()), "high": int(times.max()), **values},
        )
    finally:
        db.unregister("arriving")
    states = np.full(len(batch), State.STORED, dtype=np.uint8)
    states[found["i"]] = np.where(found["same"].astype(bool), State.REPEAT, State.CONFLICT)
    return states[late]
