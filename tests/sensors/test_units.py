"""Conversion at the border."""

import math
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensors.quantities import QUANTITIES
from sensors.units import convert


@pytest.mark.parametrize(
    ("value", "unit", "to", "expected"),
    [
        (231.4, "cm", "m", 2.314),
        (2314.0, "mm", "m", 2.314),
        (2.314, "m", "mm", 2314.0),
        (1.2, "cm", "mm", 12.0),
        (3910.0, "mV", "V", 3.91),
        (0.0351, "mg/m3", "ug/m3", 35.1),
        (273.15, "K", "Cel", 0.0),
        (0.0, "Cel", "K", 273.15),
        (62.0, "%RH", "%RH", 62.0),
    ],
)
def test_a_value_keeps_its_meaning_in_another_unit(value: float, unit: str, to: str, expected: float) -> None:
    assert convert(value, unit, to) == pytest.approx(expected, rel=1e-15, abs=1e-12)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.floats(-1e6, 1e6), st.sampled_from([("cm", 100), ("mm", 1000)]))
def test_a_length_is_rounded_once(value: float, unit: tuple[str, int]) -> None:
    assert convert(value, unit[0], "m") == float(Fraction(value) / unit[1])


@pytest.mark.parametrize(("unit", "to"), [("V", "m"), ("ft", "m"), ("m", "ft"), ("", "m"), ("CM", "m")])
def test_no_way_is_none(unit: str, to: str) -> None:
    assert convert(1.0, unit, to) is None


def test_an_unknown_unit_is_itself() -> None:
    assert convert(1.5, "lx", "lx") == 1.5


def test_not_a_number_stays_so() -> None:
    converted = convert(math.nan, "cm", "m")
    assert converted is not None
    assert math.isnan(converted)


@pytest.mark.parametrize("quantity", QUANTITIES.values(), ids=lambda quantity: quantity.name)
def test_every_canonical_unit_is_known(quantity: object) -> None:
    unit = getattr(quantity, "unit", "")
    assert convert(1.0, unit, unit) == 1.0
    assert convert(1.0, "lx", unit) is None


@settings(derandomize=True, deadline=None, max_examples=200)
@given(
    st.floats(-1e6, 1e6),
    st.sampled_from([("m", "mm"), ("m", "cm"), ("cm", "mm"), ("V", "mV"), ("Cel", "K"), ("ug/m3", "mg/m3")]),
)
def test_there_and_back_is_the_same(value: float, pair: tuple[str, str]) -> None:
    there = convert(value, *pair)
    assert there is not None
    assert convert(there, pair[1], pair[0]) == pytest.approx(value, rel=1e-12, abs=1e-9)
