"""Raw dust readings of a batch put right, each with the newest humidity of its station that arrived before it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from sensors.air.pm_correction import FORMS, LOCAL, local, usual
from sensors.batch import Bool, Float64, Int64, ReadingBatch
from sensors.groups import Groups
from sensors.origin import Origin
from sensors.window import NEVER

HUMIDITY_US = 3_600_000_000
"""A humidity serves readings up to an hour away, by the device's own times: in an hour it moves by some 10 %, which is
1 ug/m3."""
_EQUATIONS = [form.equation for form in FORMS.values()]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Corrections:
    """How each derivation corrects dust, as columns; nothing where it does not."""

    form: Int64
    """(d,) position in `FORMS`, len(FORMS) for local coefficients, -1 where it is not of dust."""
    line: Float64
    """(3, d) factor, per humidity and offset of local coefficients; 0 without."""
    keeper: Int64
    """(d,) the first derivation with the same humidity: there it is remembered for all of them."""

    @classmethod
    def of(cls, found: Sequence[tuple[int, int, Origin, str]], size: int) -> Self:
        """Lay out.

        Parameters
        ----------
        found : of each derivation of dust its number, the series of the humidity (-1 for none), its origin and the
            quantity of its raw reading
        size : number of all derivations
        """
        form, line, keeper = np.full(size, -1, dtype=np.int64), np.zeros((3, size)), np.arange(size)
        first: dict[int, int] = {}
        for k, humidity, origin, raw in found:
            keeper[k] = first.setdefault(humidity, k) if humidity >= 0 else k
            name = origin.correction or usual(raw)
            form[k] = len(FORMS) if name == LOCAL else list(FORMS).index(name)
            if origin.local is not None:
                line[:, k] = origin.local.factor, origin.local.per_humidity, origin.local.offset
        return cls(form=form, line=line, keeper=keeper)

    def correct(self, kind: Int64, raw: Float64, humidity_pct: Float64) -> Float64:
        """(n,) corrected readings, ug/m3.

        Parameters
        ----------
        kind : (n,) derivation of each, of dust
        raw : (n,) ug/m3
        humidity_pct : (n,) NaN where it is not known
        """
        form = self.form[kind]
        value = local(raw, humidity_pct, *self.line[:, kind])
        for number, equation in enumerate(_EQUATIONS):
            value = np.where(form == number, equation(raw, humidity_pct), value)
        return value


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Damp:
    """Answer of `humidity_of`."""

    humidity_pct: Float64
    """(n,) that serves each row; NaN where none does."""
    last_us: Int64
    """(d,) device time of the newest humidity that arrived; NEVER before the first."""
    last_value: Float64
    """(d,) %"""


def humidity_of(rows: ReadingBatch, keeper: Int64, sound: Bool, last_us: Int64, last_value: Float64) -> Damp:
    """Find the humidity that arrived last before each row of its keeper; any cutting gives the same.

    Parameters
    ----------
    rows : n readings of dust and of humidity
    keeper : (n,) derivation at which the humidity is remembered
    sound : (n,) rows that are a humidity one can believe
    last_us, last_value : (d,) what was remembered before these rows; not modified
    """
    groups = Groups.of(keeper.astype(np.int32))
    time_us, value = rows.time_us[groups.order], rows.value[groups.order]
    newest = groups.newest(sound[groups.order])
    at_us, damp = groups.at(newest, time_us, last_us), groups.at(newest, value, last_value)
    heard = at_us != NEVER
    near = heard & (np.abs(time_us - np.where(heard, at_us, time_us)) <= HUMIDITY_US)
    humidity_pct = np.empty(len(rows))
    humidity_pct[groups.order] = np.where(near, damp, np.nan)
    after_us, after = last_us.copy(), last_value.copy()
    touched, ends = groups.series[groups.ends], groups.ends
    after_us[touched], after[touched] = at_us[ends], damp[ends]
    return Damp(humidity_pct=humidity_pct, last_us=after_us, last_value=after)
