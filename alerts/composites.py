"""What several rules say together of one area: and, or, k of n, in Kleene's logic of three values. Pure.

A composite is decided where the evidence it rests on changes, or is known again after it was not; in the order in which
that came about, so that cutting changes nothing. Between those nothing can be decided: what becomes unknown turns
neither yes into no nor no into yes. True raises, false lowers, unknown keeps.

The live track decides. The settled track has no order among series (each has a watermark of its own), and keeps the
changes of the rules that a composite rests on.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from alerts.rule import CompositeRule, StepRule
from sensors.window import NEVER

if TYPE_CHECKING:
    from alerts.columns import Told
    from alerts.evidence import LadderState
    from sensors.batch import Bool, Int64

TRUE, UNKNOWN, FALSE = 1, 0, -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """One step of one ladder: true while it stands there."""

    ladder: int
    level: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Formula:
    """At least `at_least` of some parts; with `negated` the opposite."""

    parts: tuple["Sign | Formula", ...]
    at_least: int
    negated: bool = False
    one_rule: bool = False
    """Whether the parts are the sensors of one rule, which is true by any of them: as for the level of an area, it is
    known when one of them is, and one that is unknown holds what it held, and nothing else."""

    def value(self, level: Mapping[int, int], known: Mapping[int, bool]) -> int:
        """Kleene's value.

        Parameters
        ----------
        level, known : of the ladders it rests on
        """
        values = [_value(part, level, known) for part in self.parts]
        if self.one_rule and FALSE in values:
            silent = (part for part, value in zip(self.parts, values, strict=True) if value == UNKNOWN)
            values = [v for v in values if v != UNKNOWN] + [UNKNOWN for part in silent if _held(part, level)]
        true, unknown = values.count(TRUE), values.count(UNKNOWN)
        found = TRUE if true >= self.at_least else UNKNOWN if true + unknown >= self.at_least else FALSE
        return -found if self.negated else found

    def possible(self) -> bool:
        """Whether it can ever be known."""
        able = sum(isinstance(part, Sign) or part.possible() for part in self.parts)
        return able >= max(self.at_least, 1)

    def signs(self) -> Iterator[Sign]:
        """What it rests on."""
        for part in self.parts:
            if isinstance(part, Sign):
                yield part
            else:
                yield from part.signs()


def _held(part: Sign | Formula, level: Mapping[int, int]) -> bool:
    return isinstance(part, Formula) or level[part.ladder] >= part.level


def _value(part: Sign | Formula, level: Mapping[int, int], known: Mapping[int, bool]) -> int:
    if isinstance(part, Formula):
        return part.value(level, known)
    if not known[part.ladder]:
        return UNKNOWN
    return TRUE if level[part.ladder] >= part.level else FALSE


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Climbed:
    """One (area, hazard) with the composite rules of its three steps."""

    area: str
    hazard: str
    rules: tuple[CompositeRule | None, ...]
    formulas: tuple[Formula | None, ...]
    members: NDArray[np.intp]
    """Ladders it rests on, ascending."""

    def level(self, before: int, level: Mapping[int, int], known: Mapping[int, bool]) -> int:
        """Its level now: up to the highest step that is true; down from its own while the steps are false. A step
        without a rule is left with the one above it.
        """
        values = [UNKNOWN if one is None else one.value(level, known) for one in self.formulas]
        highest = max((step + 1 for step, value in enumerate(values) if value == TRUE), default=0)
        while before > highest and (self.formulas[before - 1] is None or values[before - 1] == FALSE):
            before -= 1
        return max(before, highest)

    def known(self, level: Mapping[int, int], known: Mapping[int, bool]) -> bool:
        """Whether any of its rules says something."""
        return any(one is not None and one.value(level, known) != UNKNOWN for one in self.formulas)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Composites:
    """All composite rules, by area and hazard."""

    ladders: tuple[Climbed, ...] = ()
    members: NDArray[np.intp] = field(default_factory=lambda: np.zeros(0, dtype=np.intp))
    """Ladders they rest on, ascending."""

    def __len__(self) -> int:
        return len(self.ladders)

    def known(self, state: "LadderState", known: "Bool") -> "Bool":
        """(p,) the same with the composites, which come last: those of which any rule says something."""
        if not self.ladders:
            return known
        level, found = state.level(), known.copy()
        for number, one in enumerate(self.ladders, start=len(known) - len(self)):
            levels, knows = ({int(p): column[p] for p in one.members} for column in (level, known))
            found[number] = one.known(levels, knows)
        return found


def lay(
    rules: Sequence[CompositeRule], ladders: Sequence[tuple[Sequence[str], Sequence[StepRule | None]]]
) -> tuple[Composites, list[str]]:
    """Composite rules over ladders, in every area in which they can be true; and the ids of those that can in none.

    Parameters
    ----------
    rules : each names only rules that stand before it
    ladders : areas and rules of each
    """
    found: dict[tuple[str, str], list[tuple[CompositeRule, Formula] | None]] = {}
    idle: list[str] = []
    owned: dict[str, list[tuple[int, Sequence[StepRule | None]]]] = {}
    named = {id for rule in rules for id in (*rule.all, *rule.any, *rule.none)}
    for ladder, (areas, steps_of) in enumerate(ladders):
        if not any(step is not None and step.id in named for step in steps_of):
            continue  # thousands of areas have nothing that a composite rests on
        for area in dict.fromkeys(areas):
            owned.setdefault(area, []).append((ladder, steps_of))
    parts = {area: _parts(rules, own) for area, own in owned.items()}
    for rule in rules:
        laid = False
        for area, own in parts.items():
            formula = _formula(rule, own)
            if not formula.possible():
                continue
            laid = True
            if rule.level:
                steps = found.setdefault((area, rule.hazard), [None, None, None])
                steps[rule.level - 1] = (rule, formula)
        if not laid:
            idle.append(rule.id)
    climbed = []
    for (area, hazard), held in sorted(found.items(), key=lambda one: one[0]):
        signs = {sign.ladder for one in held if one for sign in one[1].signs()}
        climbed.append(
            Climbed(
                area=area,
                hazard=hazard,
                rules=tuple(one and one[0] for one in held),
                formulas=tuple(one and one[1] for one in held),
                members=np.array(sorted(signs), dtype=np.intp),
            )
        )
    members = np.unique(np.concatenate([one.members for one in climbed])) if climbed else np.zeros(0, dtype=np.intp)
    return Composites(ladders=tuple(climbed), members=members), idle


def _parts(
    rules: Sequence[CompositeRule], ladders: Sequence[tuple[int, Sequence[StepRule | None]]]
) -> Mapping[str, tuple[Sign | Formula, ...]]:
    """Of every rule what is true of an area when it is, by the ladders that speak for it."""
    signs: dict[str, list[Sign]] = {}
    for ladder, steps in ladders:
        for step, rule in enumerate(steps, start=1):
            if rule is not None:
                signs.setdefault(rule.id, []).append(Sign(ladder=ladder, level=step))
    parts: dict[str, tuple[Sign | Formula, ...]] = {id: tuple(own) for id, own in signs.items()}
    for composite in rules:
        parts[composite.id] = (_formula(composite, parts),)
    return parts


def _formula(rule: CompositeRule, parts: Mapping[str, tuple[Sign | Formula, ...]]) -> Formula:
    def either(id: str, *, negated: bool = False) -> Formula:
        return Formula(parts=parts.get(id, ()), at_least=1, negated=negated, one_rule=True)

    wanted = [either(id) for id in rule.all]
    wanted += [either(id, negated=True) for id in rule.none]
    if rule.any:
        counted: Iterable[Sign | Formula] = (
            (sign for id in rule.any for sign in parts.get(id, ())) if rule.each_sensor else map(either, rule.any)
        )
        wanted.append(Formula(parts=tuple(counted), at_least=rule.at_least))
    return Formula(parts=tuple(wanted), at_least=len(wanted))


def judge(
    told: "Told", heard: "Told", *, before: "LadderState", after: "LadderState", cover_us: "Int64", held: Composites
) -> tuple["LadderState", "Told"]:
    """Bring the composites behind what the rules they rest on have said.

    Parameters
    ----------
    told : changes of the live track, in the order in which they came about
    heard : what members heard at each reading, in that order
    before, after : the ladders before and after these; those of the composites come last
    cover_us : (p,) how long evidence is known

    Returns
    -------
    after, told : with the levels and changes of the composites; two batches one after the other give what both at once
        would
    """
    if not len(heard):
        return after, told
    heard, begin = heard.in_order(), len(before.last_us) - len(held)
    active, last_us = after.active.copy(), after.last_us.copy()
    order = np.argsort(heard.ladder, kind="stable")
    ladders = heard.ladder[order]
    found = [told]
    for number, one in enumerate(held.ladders, start=begin):
        edges = zip(np.searchsorted(ladders, one.members), np.searchsorted(ladders, one.members, "right"), strict=True)
        rows = np.sort(np.concatenate([order[a:b] for a, b in edges]))
        if not len(rows):
            continue
        steps = _steps(heard[rows], told[np.isin(told.ladder, one.members)], one, number, before, cover_us)
        last_us[number] = last_us[one.members].max()
        if len(steps):
            found.append(steps)
            active[:, number] = np.arange(len(active)) < steps.to_level[-1]
    after = replace(after, active=active, last_us=last_us, value_us=np.r_[after.value_us[:begin], last_us[begin:]])
    return after, type(told).joined(found).in_order() if len(found) > 1 else told


def _steps(heard: "Told", told: "Told", one: Climbed, number: int, before: "LadderState", cover_us: "Int64") -> "Told":
    """Changes of one composite ladder."""
    cover = cover_us[one.members]
    own_row = np.searchsorted(one.members, heard.ladder)
    # (members, 1 + readings) when each was heard last, before the batch and then as of each reading.
    last_us = np.repeat(before.last_us[one.members, None], len(heard) + 1, axis=1)
    for row in range(len(one.members)):
        mine = np.flatnonzero(own_row == row)
        upto = np.searchsorted(mine, np.arange(len(heard)), "right")
        last_us[row, 1:] = np.r_[last_us[row, 0], heard.time_us[mine]][upto]
    # A member that lags behind the newest of them by more than it covers is unknown.
    lag_us = np.where(last_us == NEVER, np.iinfo(np.int64).max, last_us.max(axis=0) - last_us)
    known = lag_us <= cover[:, None]
    every = np.arange(len(heard))
    again = heard[known[own_row, every + 1] & ~known[own_row, every]]
    moments = type(told).joined([told, again]).in_order()
    column = np.searchsorted(heard.by, moments.by, "right")
    members = one.members.tolist()
    level = dict(zip(members, before.active[:, one.members].sum(axis=0).tolist(), strict=True))
    own, found = int(before.active[:, number].sum()), []
    for k, (ladder, from_level, to_level) in enumerate(
        zip(moments.ladder.tolist(), moments.from_level.tolist(), moments.to_level.tolist(), strict=True)
    ):
        if from_level != to_level:
            level[ladder] = to_level
        new = one.level(own, level, dict(zip(members, known[:, column[k]].tolist(), strict=True)))
        while new != own:
            step = new if new > own else own - 1
            found.append(_step(moments[k : k + 1], number, own, step))
            own = step
    return type(told).joined(found) if found else told[:0]


def _step(decided: "Told", ladder: int, from_level: int, to_level: int) -> "Told":
    return replace(
        decided,
        ladder=np.array([ladder], dtype=np.intp),
        from_level=np.array([from_level], dtype=np.int64),
        to_level=np.array([to_level], dtype=np.int64),
    )
