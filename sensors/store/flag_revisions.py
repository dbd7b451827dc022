"""Flags that were said anew. Every revision is kept; readers show the newest, see `queries.with_flags`."""

from collections.abc import Mapping

from sensors.store import DAY_US
from sensors.store.answers import Cursors


class FlagRevisions:
    """Of one journal. Additions one at a time, `stamps` at any."""

    def __init__(self, cursors: Cursors) -> None:
        self._cursors = cursors
        self.stamps: Mapping[int, str] = self._stamps()
        """Day -> what tells its newest revision from any other, also of another past."""

    def add(
        self, series: int, time_us: int, *, now: tuple[int, int], before: tuple[int, int], by: str, at_us: int
    ) -> None:
        """Write one down.

        Parameters
        ----------
        now, before : flag and checks
        """
        self._cursors.read(
            """
            insert into revision_of_flag
            select coalesce(max(number), 0) + 1, $series, $time, $flag, $checks, $flag_before, $checks_before, $by, $at
            from revision_of_flag
            """,
            {
                "series": series,
                "time": time_us,
                "flag": now[0],
                "checks": now[1],
                "flag_before": before[0],
                "checks_before": before[1],
                "by": by,
                "at": at_us,
            },
        )
        self.stamps = self._stamps()

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
