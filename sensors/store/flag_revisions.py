"""Flags that were said anew. Every revision is kept; readers show the newest, see `queries.with_flags`."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensors.batch import Bool, Int64
from sensors.checks.verdicts import Verdicts
from sensors.flags import Flags, pack, roll_up, unpack
from sensors.store import BY_CHECKS, DAY_US, Revision
from sensors.store.answers import Cursors


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Flagging:
    """n readings of a journal with a flag each."""

    series: NDArray[np.int32]
    """As the journal numbers them."""
    time_us: Int64
    flag: Flags
    checks: NDArray[np.uint32]

    def __getitem__(self, rows: Bool) -> "Flagging":
        return Flagging(
            series=self.series[rows], time_us=self.time_us[rows], flag=self.flag[rows], checks=self.checks[rows]
        )


class FlagRevisions:
    """Of one journal. Additions one at a time, `stamps` at any."""

    def __init__(self, cursors: Cursors) -> None:
        self._cursors = cursors
        self.stamps: Mapping[int, str] = self._stamps()
        """Day -> what tells its newest revision from any other, also of another past."""

    def add(self, now: Flagging, before: Flagging, *, by: str, at_us: int, reason: str = "") -> None:
        """Write some down, in one commit.

        Parameters
        ----------
        now, before : of the same readings
        """
        if not len(now.series):
            return
        self._cursors.read(
            """
            insert into revision_of_flag
                (number, series, time_us, flag, checks, flag_before, checks_before, revised_by, at_us, reason)
            select (select coalesce(max(number), 0) from revision_of_flag) + unnest(range(1, len($series) + 1)),
                unnest($series::integer[]), unnest($time::bigint[]), unnest($flag::utinyint[]),
                unnest($checks::uinteger[]), unnest($flag_before::utinyint[]), unnest($checks_before::uinteger[]),
                $by, $at, $reason
            """,
            {
                "series": now.series.tolist(),
                "time": now.time_us.tolist(),
                "flag": now.flag.tolist(),
                "checks": now.checks.tolist(),
                "flag_before": before.flag.tolist(),
                "checks_before": before.checks.tolist(),
                "by": by,
                "at": at_us,
                "reason": reason,
            },
        )
        self.stamps = self._stamps()

    def by_people(self, readings: Flagging) -> Bool:
        """(n,) which readings a person has spoken of."""
        spoken = self._cursors.read(
            "select distinct series, time_us from revision_of_flag where revised_by <> $checks "
            "and time_us between $low and $high",
            {"checks": BY_CHECKS, "low": int(readings.time_us.min()), "high": int(readings.time_us.max())},
        )
        there = set(zip(spoken["series"].tolist(), spoken["time_us"].tolist(), strict=True))
        pairs = zip(readings.series.tolist(), readings.time_us.tolist(), strict=True)
        return np.array([pair in there for pair in pairs], dtype=np.bool_)

    def of(self, series: int, *, from_us: int, to_us: int, limit: int) -> list[Revision]:
        """The newest of one series with from_us <= time < to_us, newest first."""
        found = self._cursors.read(
            """
            select number, time_us, flag, checks, flag_before, revised_by, reason, at_us from revision_of_flag
            where series = $series and time_us >= $low and time_us < $high order by number desc limit $limit
            """,
            {"series": series, "low": from_us, "high": to_us, "limit": limit},
        )
        rows = zip(*(column.tolist() for column in found.values()), strict=True)
        return [
            Revision(
                number=number,
                time_us=time_us,
                flag=flag,
                checks=checks,
                flag_before=before,
                by=by,
                reason=why,
                at_us=at,
            )
            for number, time_us, flag, checks, before, by, why, at in rows
        ]

    def _stamps(self) -> dict[int, str]:
        found = self._cursors.read(
            f"""
            select time_us // {DAY_US} as day,
                concat_ws(' ', max(number), arg_max(concat_ws(' ', at_us, revised_by), number)) as stamp
            from revision_of_flag group by day
            """,  # noqa: S608
            {},
        )
        return {int(day): str(stamp) for day, stamp in zip(found["day"], found["stamp"], strict=True)}


def rechecked(before: Flagging, verdicts: Verdicts) -> Flagging:
    """The same readings with what some checks say now.

    Parameters
    ----------
    verdicts : their series as the journal numbers them; of readings that are not there nothing is said
    """
    place = {pair: i for i, pair in enumerate(zip(before.series.tolist(), before.time_us.tolist(), strict=True))}
    per_check = unpack(before.checks)
    columns = (verdicts.series, verdicts.time_us, verdicts.check, verdicts.flag)
    for series, time_us, check, flag in zip(*(column.tolist() for column in columns), strict=True):
        if (at := place.get((series, time_us))) is not None:
            per_check[check, at] = flag
    return Flagging(series=before.series, time_us=before.time_us, flag=roll_up(per_check), checks=pack(per_check))
