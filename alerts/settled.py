"""The settled track as it stands in the ledger, and the stories it tells: what scoring counts. Pure."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from alerts.episode import Kind

if TYPE_CHECKING:  # the dispatcher has a ledger and no NumPy
    from alerts.columns import Told
    from alerts.ladders import Ladders


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """One final change of a ladder's level; all but the levels, value, flag and seq is its key."""

    kind: Kind
    rules: str
    """Mark of the rules and stations it was judged by: other rules tell another history of the same journal."""
    series: str
    """Its key; behind a space what else tells the ladder from others of the series, see `Ladders.names`."""
    hazard: str
    """Empty for a sign, which tells no story."""
    rise: bool
    """Whether by the slope."""
    time_us: int
    """Judged time of the reading that decided."""
    from_level: int
    to_level: int
    value: float
    flag: int
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SettledStory:
    """One (area, hazard) above normal, from its first step up to its last one down."""

    area: str
    hazard: str
    steps: tuple[tuple[int, int], ...]
    """(time_us, level after it), in order of time."""

    @property
    def opened_us(self) -> int:
        """When it left normal."""
        return self.steps[0][0]

    @property
    def closed_us(self) -> int | None:
        """When it was normal again; None while it is not."""
        time_us, level = self.steps[-1]
        return None if level else time_us

    @property
    def peak_level(self) -> int:
        """Its highest level."""
        return max(level for _, level in self.steps)


def settled_rows(told: "Told", *, kind: Kind, rules: str, ladders: "Ladders") -> list[Settled]:
    """Changes of the settled track as rows of the ledger."""
    columns = (told.ladder, told.time_us, told.from_level, told.to_level, told.value, told.flag, told.seq)
    return [
        Settled(
            kind=kind,
            rules=rules,
            series=ladders.names[ladder],
            hazard=ladders.hazard[ladder],
            rise=bool(ladders.rise[ladder]),
            time_us=time_us,
            from_level=from_level,
            to_level=to_level,
            value=ladders.shown(ladder, value),
            flag=flag,
            seq=seq,
        )
        for ladder, time_us, from_level, to_level, value, flag, seq in zip(
            *(column.tolist() for column in columns), strict=True
        )
    ]


def settled_stories(
    changes: Iterable[Settled], *, rules: str, areas: Callable[[str], Sequence[str]]
) -> list[SettledStory]:
    """Fold the changes that some rules made into stories, one after the other for each (area, hazard).

    Parameters
    ----------
    changes : in any order
    rules : mark of the rules; those of others are left out
    areas : of a ladder by its name (`Ladders.names`): the areas it speaks for
    """
    told = [one for one in changes if one.rules == rules and one.hazard]
    own = [(area, one.hazard, one.time_us, one) for one in told for area in areas(one.series)]
    own.sort(key=lambda found: found[:3])
    stories: list[SettledStory] = []
    for (area, hazard), cell in groupby(own, key=lambda found: found[:2]):
        levels: dict[tuple[str, bool], int] = {}
        steps: list[tuple[int, int]] = []
        for time_us, moment in groupby(cell, key=lambda found: found[2]):
            before = max(levels.values(), default=0)
            levels.update({(one.series, one.rise): one.to_level for *_, one in moment})
            level = max(levels.values())
            if level == before:
                continue
            steps.append((time_us, level))
            if level == 0:
                stories.append(SettledStory(area=area, hazard=hazard, steps=tuple(steps)))
                steps = []
        if steps:
            stories.append(SettledStory(area=area, hazard=hazard, steps=tuple(steps)))
    return stories
