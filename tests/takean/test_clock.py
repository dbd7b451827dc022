"""The virtual clock goes on after a kill as if nothing had happened."""

from pathlib import Path

import pytest

from takean import clock


def test_a_virtual_clock_runs_at_its_speed_and_is_continued(tmp_path: Path) -> None:
    path = tmp_path / "clock.json"
    first = clock.virtual(path, origin_us=1_000, speed=120.0)
    again = clock.virtual(path, origin_us=999_999, speed=1.0)
    assert again == first
    before, shown, after = clock.real_us(), first.now_us(), clock.real_us()
    assert (before - first.real_origin_us) * 120 + 1_000 <= shown <= (after - first.real_origin_us) * 120 + 1_000


def test_the_real_clock_shows_real_time() -> None:
    before, shown, after = clock.real_us(), clock.REAL.now_us(), clock.real_us()
    assert before <= shown <= after


@pytest.mark.parametrize("text", ["", "{}", '{"origin_us": 1}', "[]"])
def test_a_damaged_clock_says_what_to_do(tmp_path: Path, text: str) -> None:
    path = tmp_path / "clock.json"
    path.write_text(text)
    with pytest.raises(ValueError, match="remove the file"):
        clock.virtual(path, origin_us=0, speed=1.0)
