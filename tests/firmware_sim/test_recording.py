"""Recorded series: read as they are, gaps stay gaps, mistakes are named."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from firmware_sim.device import install, payloads
from firmware_sim.instruments import exact
from firmware_sim.recording import recording
from firmware_sim.sites import Site
from firmware_sim.truth import Truth

OWN = """time_utc,stage_m,comment
2026-11-22T00:00:00Z,0.875,
2026-11-22T00:15:00Z,0.9,good
2026-11-22T00:30:00Z,,
2026-11-22T00:45:00Z,1.25,
2026-11-22T01:45:00Z,2.125,after an hour away
"""
START_US = 1_795_305_600_000_000
QUARTER_US = 900_000_000


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "own.csv"
    path.write_text(OWN, encoding="utf-8")
    return path


def replayed(truth: Truth, *, quantity: str = "stage_m", cadence_s: float = 900.0) -> list[tuple[int, float]]:
    site = Site(
        station="S", lat=15, lon=104, readings=(quantity,), cadence_s=cadence_s, stream="s", river_km=5, bankfull_m=5
    )
    (device,) = install([site], set_us=truth.start_us, seed=1, instrument=exact, clocks_true=True)
    told = [json.loads(m.payload) for m in payloads(device, truth, truth.start_us, truth.end_us + 1)]
    return [(t["ts"] * 1_000, t["values"][quantity]) for t in told]


def test_a_recording_is_played_as_it_stands_and_its_gaps_are_silent(own: Path) -> None:
    expected = [(0, 0.875), (1, 0.9), (3, 1.25), (7, 2.125)]
    truth = recording(own, station="S", column="stage_m")
    assert replayed(truth) == [(START_US + n * QUARTER_US, v) for n, v in expected]


def test_a_packed_recording_is_the_same(own: Path, tmp_path: Path) -> None:
    packed = tmp_path / "own.csv.gz"
    packed.write_bytes(gzip.compress(own.read_bytes()))
    one, two = (recording(p, station="S", column="stage_m").course("S", "stage_m") for p in (own, packed))
    np.testing.assert_array_equal(one.time_us, two.time_us)
    np.testing.assert_array_equal(one.value, two.value)


def test_recorded_rain_is_what_fell_since_the_row_before(tmp_path: Path) -> None:
    path = tmp_path / "rain.csv"
    path.write_text(
        "time_utc,mm\n2026-11-22T00:00Z,0.5\n2026-11-22T00:15Z,\n2026-11-22T00:30Z,1.27\n2026-11-22T00:45Z,0\n",
        encoding="utf-8",
    )
    truth = recording(path, station="S", column="mm", quantity="rain_mm")
    assert [v for _, v in replayed(truth, quantity="rain_mm")] == [0.5, 1.27, 0.0]


def test_times_without_a_zone_are_utc_and_others_are_converted(tmp_path: Path) -> None:
    path = tmp_path / "zones.csv"
    path.write_text("seen_utc,stage_m\n2026-11-22 00:00:00,1\n2026-11-22T07:15:00+07:00,2\n", encoding="utf-8")
    times = recording(path, station="S", column="stage_m").course("S", "stage_m").time_us
    np.testing.assert_array_equal(times, [START_US, START_US + QUARTER_US])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("time_utc,x\n2026-11-22T00:00Z,1\n", r"no column 'stage_m'; it has time_utc, x"),
        (
            "when,stage_m\n2026-11-22T00:00Z,1\n",
            r"expected a time column time_utc, or name the time column; it has when",
        ),
        ("time_utc,stage_m\n", r"no rows below the header"),
        ("time_utc,stage_m\nyesterday,1\n", r"column time_utc, line 2: 'yesterday' is not an ISO 8601 time"),
        ("time_utc,stage_m\n2026-11-22T00:00Z,high\n", r"column stage_m, line 2: 'high' is not a number"),
        ("time_utc,stage_m\n2026-11-22T00:00Z,inf\n", r"column stage_m, line 2: 'inf' is not a number"),
        ("time_utc,stage_m\n2026-11-22T00:00Z,\n", r"column stage_m is empty in all 1 rows"),
        (
            "time_utc,stage_m\n2026-11-22T00:15Z,1\n2026-11-22T00:00Z,1\n",
            r"column time_utc, line 3: 2026-11-22T00:00Z does not come after 2026-11-22T00:15Z",
        ),
        (
            "time_utc,stage_m\n2026-11-22T00:00Z,1\n2026-11-22T00:00Z,2\n",
            r"line 3: 2026-11-22T00:00Z does not come after 2026-11-22T00:00Z; expected rising times without repeats",
        ),
        ("", r"cannot be read as CSV"),
    ],
)
def test_a_mistake_is_refused_with_file_column_and_expectation(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "wrong.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=message) as refused:
        recording(path, station="S", column="stage_m")
    assert str(path) in str(refused.value)


def test_a_file_that_is_not_there_or_not_packed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be read as CSV"):
        recording(tmp_path / "none.csv", station="S", column="stage_m")
    broken = tmp_path / "broken.csv.gz"
    broken.write_bytes(b"not packed")
    with pytest.raises(ValueError, match="cannot be read as CSV"):
        recording(broken, station="S", column="stage_m")


def test_a_quantity_that_nobody_knows_is_refused(own: Path) -> None:
    with pytest.raises(ValueError, match="cannot be played as 'comment'"):
        recording(own, station="S", column="comment")


def test_a_real_river_is_played_value_by_value(reference: Path) -> None:
    path = reference / "data" / "flood" / "uk" / "calder_mytholmroyd_2015.csv.gz"
    truth = recording(path, station="S", column="stage_m")
    told = replayed(truth)
    assert len(told) == 32_160
    assert max(v for _, v in told) == 5.735
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        assert [v for _, v in told] == [float(line.split(",")[1]) for line in list(lines)[1:]]
