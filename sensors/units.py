"""Units, and how to come from one to another. Used at the border only: inside, every value is canonical."""

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class _Unit:
    """A unit as a linear function of the base unit of its dimension: base = scale * value + offset."""

    base: str
    scale: Fraction = Fraction(1)
    offset: float = 0.0


# Names: IANA "SenML Units" and "Secondary Units" (RFC 8428 section 12.1, RFC 8798), as far as our quantities need them.
# mg/m3 is not registered; dust instruments print it. Fahrenheit is not registered and is not taken.
_UNITS: dict[str, _Unit] = {
    "m": _Unit("m"),
    "cm": _Unit("m", Fraction(1, 100)),
    "mm": _Unit("m", Fraction(1, 1_000)),
    "Cel": _Unit("Cel"),
    "K": _Unit("Cel", offset=-273.15),
    "m/s": _Unit("m/s"),
    "V": _Unit("V"),
    "mV": _Unit("V", Fraction(1, 1_000)),
    "%RH": _Unit("%RH"),
    "%EL": _Unit("%EL"),
    "ug/m3": _Unit("ug/m3"),
    "mg/m3": _Unit("ug/m3", Fraction(1_000)),
}


def _steps() -> dict[tuple[str, str], tuple[int, int, float]]:
    """Every way there is: (from, to) -> factor as numerator and denominator, then offset."""
    steps = {}
    for unit, source in _UNITS.items():
        for to, target in _UNITS.items():
            if source.base == target.base:
                ratio = source.scale / target.scale
                offset = (source.offset - target.offset) / float(target.scale)
                steps[unit, to] = (ratio.numerator, ratio.denominator, offset)
    return steps


_STEPS = _steps()


def convert(value: float, unit: str, to: str) -> float | None:
    """Express a value in another unit.

    Parameters
    ----------
    value : in `unit`; NaN stays NaN
    unit, to : names as in the SenML registries

    Returns
    -------
    The value in `to`; None where there is no way from one to the other. A factor is applied as a multiplication and a
    division by whole numbers, because 0.01 and 0.001 are no exact floats: 231.4 cm is 2.314 m and not its neighbour.
    """
    if unit == to:
        return value
    step = _STEPS.get((unit, to))
    if step is None:
        return None
    numerator, denominator, offset = step
    return value * numerator / denominator + offset
