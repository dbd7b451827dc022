"""Dates for people."""

import pytest

from alerts.words import thai_clock, thai_date
from api.screens.words import moment


def test_a_date_is_thai_and_of_bangkok() -> None:
    assert thai_date(1_795_285_800_000_000) == "อาทิตย์ 22 พ.ย. 2569"
    assert thai_clock(1_795_285_800_000_000) == "01:30"


@pytest.mark.parametrize("time_us", [-(2**62), -62_135_640_000_000_000, 2**62])
def test_an_impossible_time_takes_no_screen_away(time_us: int) -> None:
    for language in ("th", "en"):
        assert moment(time_us, 0, language=language).date
