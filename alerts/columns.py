"""Readings and changes of levels as columns that stand by themselves, whatever batch they came in."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from alerts.evidence import LevelChanges
from sensors.batch import Bool, Float64, Int64, ReadingBatch
from sensors.flags import Flags


class Columns:
    """A frozen dataclass of equal-length arrays."""

    __slots__ = ()

    def __getitem__(self, index: slice | NDArray[Any]) -> Self:
        """Rows by slice, mask or positions."""
        return type(self)(**{f.name: getattr(self, f.name)[index] for f in fields(self)})  # type: ignore[arg-type]

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """One after the other; at least one part."""
        if len(parts) == 1:
            return parts[0]
        names = [f.name for f in fields(cls)]  # type: ignore[arg-type]
        return cls(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows(Columns):
    """Readings with all that the tracks must know to place them."""

    seq: Int64
    """Arrival number."""
    series: NDArray[np.int32]
    time_us: Int64
    """Judged time."""
    device_us: Int64
    """The device's own time, the key of the reading."""
    received_us: Int64
    value: Float64
    clock: Flags

    def __len__(self) -> int:
        return len(self.seq)

    @classmethod
    def none(cls) -> Self:
        """No reading."""
        empty = np.empty(0, dtype=np.int64)
        return cls(
            seq=empty,
            series=empty.astype(np.int32),
            time_us=empty,
            device_us=empty,
            received_us=empty,
            value=empty.astype(np.float64),
            clock=empty.astype(np.uint8),
        )

    def batch(self) -> ReadingBatch:
        """As the checks and rules take them: at their judged times."""
        return ReadingBatch(series=self.series, time_us=self.time_us, value=self.value, received_us=self.received_us)

    def in_time(self) -> NDArray[np.intp]:
        """Positions by series, judged time and device's time: the same however the readings arrived."""
        return np.lexsort((self.device_us, self.time_us, self.series))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Told(Columns):
    """Changes of the level of ladders, with the reading that decided each."""

    by: Int64
    """Arrival number of the reading that brought the change about: the deciding one, or one that came late."""
    seq: Int64
    """Arrival number of the deciding reading."""
    series: NDArray[np.int32]
    ladder: NDArray[np.intp]
    decider: NDArray[np.intp]
    """The ladder that the deciding reading moved: the same, but for what composite rules say."""
    time_us: Int64
    """Judged time of the deciding reading."""
    value: Float64
    """What that ladder listened to there: the value, the slope per hour, or what else its rules name."""
    flag: Flags
    from_level: Int64
    to_level: Int64
    late: Bool
    """Whether it came out by looking again, because of a reading that arrived out of order."""

    def __len__(self) -> int:
        return len(self.seq)

    @classmethod
    def none(cls) -> Self:
        """No change."""
        empty = np.empty(0, dtype=np.int64)
        return cls(
            by=empty,
            seq=empty,
            series=empty.astype(np.int32),
            ladder=empty.astype(np.intp),
            decider=empty.astype(np.intp),
            time_us=empty,
            value=empty.astype(np.float64),
            flag=empty.astype(np.uint8),
            from_level=empty,
            to_level=empty,
            late=empty.astype(np.bool_),
        )

    @classmethod
    def of(cls, rows: Rows, changes: LevelChanges, flag: Flags) -> Self:
        """Changes that the fold over some rows found, with the flags it gave them."""
        if not len(changes):
            return cls.none()
        at = changes.row
        return cls(
            by=rows.seq[at],
            seq=rows.seq[at],
            series=rows.series[at],
            ladder=changes.ladder,
            decider=changes.ladder,
            time_us=rows.time_us[at],
            value=changes.value,
            flag=flag[at],
            from_level=changes.from_level,
            to_level=changes.to_level,
            late=np.zeros(len(at), dtype=np.bool_),
        )

    @classmethod
    def heard(cls, rows: Rows, changes: LevelChanges, flag: Flags) -> Self:
        """What members of composite rules heard at each of some rows: no change of their own."""
        if not len(changes.told_row):
            return cls.none()
        at, level = changes.told_row, np.zeros(len(changes.told_row), dtype=np.int64)
        return cls(
            by=rows.seq[at],
            seq=rows.seq[at],
            series=rows.series[at],
            ladder=changes.told_ladder,
            decider=changes.told_ladder,
            time_us=rows.time_us[at],
            value=changes.told_value,
            flag=flag[at],
            from_level=level,
            to_level=level,
            late=np.zeros(len(at), dtype=np.bool_),
        )

    def renumbered(self, series: NDArray[np.intp], ladders: NDArray[np.intp]) -> Self:
        """Told of a part of the series and ladders: with the numbers that these have in the whole."""
        return replace(
            self,
            series=series[self.series].astype(np.int32),
            ladder=ladders[self.ladder],
            decider=ladders[self.decider],
        )

    def in_order(self) -> Self:
        """In the order in which they came about; those of one arrival stay in theirs."""
        return self[np.argsort(self.by, kind="stable")]
