"""Times as text."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.times import TIME_US_MAX, read_us
from tests.builders import thorough

THAILAND = timezone(timedelta(hours=7))
EXPECTED = datetime(2026, 11, 22, 18, 0, 5, tzinfo=THAILAND)


def us(at: datetime) -> int:
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22T18:00:05+07:00",
        "2026-11-22T18:00:05+0700",
        "2026-11-22T18:00:05+07",
        "2026-11-22T11:00:05Z",
        "2026-11-22t11:00:05z",
        "2026-11-22 11:00:05 +00:00",
        "2026-11-22T05:30:05-05:30",
        "2026-11-22T18:00:05.000000000+07:00",
        "2026-11-22 18:00:05",
        "2026-11-22  18:00:05",
        "2569-11-22T18:00:05",
        "2569-11-22T11:00:05Z",
        "2026/11/22 18:00:05",
        "2569/11/22 18:00:05",
        "22/11/2569 18:00:05",
        "22-11-2569 18:00:05",
        "22/11/2026 18:00:05",
        "22/11/2026 11:00:05Z",
        "๒๒/๑๑/๒๕๖๙ ๑๘:๐๐:๐๕",
    ],
)
def test_these_all_mean_the_same(text: str) -> None:
    assert read_us(text) == us(EXPECTED)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-22 18:00", datetime(2026, 11, 22, 18, 0, tzinfo=THAILAND)),
        ("1/2/2569 9:05", datetime(2026, 2, 1, 9, 5, tzinfo=THAILAND)),
        ("2026-11-22 24:00", datetime(2026, 11, 23, tzinfo=THAILAND)),
        ("2026-12-31T24:00:00.0Z", datetime(2027, 1, 1, tzinfo=UTC)),
        ("29/02/2567 00:00:00", datetime(2024, 2, 29, tzinfo=THAILAND)),
        ("2567-02-29T00:00:00", datetime(2024, 2, 29, tzinfo=THAILAND)),
        ("2026-11-22T00:00:00.25Z", datetime(2026, 11, 22, microsecond=250_000, tzinfo=UTC)),
        ("2026-11-22T00:00:00,25Z", datetime(2026, 11, 22, microsecond=250_000, tzinfo=UTC)),
        ("2026-11-22T00:00:00.123456789Z", datetime(2026, 11, 22, microsecond=123_456, tzinfo=UTC)),
        ("1970-01-01T00:00:00Z", datetime(1970, 1, 1, tzinfo=UTC)),
        ("1970-01-01 07:00", datetime(1970, 1, 1, tzinfo=UTC)),
        ("2262-04-11T23:47:16.854775Z", datetime(2262, 4, 11, 23, 47, 16, 854_775, tzinfo=UTC)),
    ],
)
def test_the_edges_of_the_calendar(text: str, expected: datetime) -> None:
    assert read_us(text) == us(expected)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "18:00:05",
        "2026-11-22",
        "22/11/2569",
        "1795330200000",
        "2026-11-22T",
        "2026-11-22T18",
        "2026-11-22T1800",
        "2026-11-22T18:00:05 ICT",
        "2026-11-22T18:00:05+07:60",
        "2026-11-22T18:00:05+14:01",
        "2026-11-22T18:00:05-99:00",
        "2026-11-22T18:00:60Z",
        "2026-11-22T18:60:00Z",
        "2026-11-22T25:00:00Z",
        "2026-11-22T24:00:01Z",
        "2026-11-22T24:00:00.000000001Z",
        "2026-11-22T18:00:05.Z",
        "2026-11-22T18:00:05.1234567890Z",
        "2026-11-31 18:00",
        "2026-00-01 18:00",
        "0000-01-01 18:00",
        "29/02/2569 00:00:00",
        "2026-02-29T00:00:00",
        "11/22/2026 18:00",
        "22/11-2569 18:00",
        "22/11/69 18:00",
        "6:00 PM 22/11/2026",
        "22/11/2026 6:00 PM",
        "1969-12-31T23:59:59Z",
        "1970-01-01 06:59:59",
        "2262-04-11T23:47:16.854776Z",
        "2805-04-12 06:48",
        "9999-12-31T24:00:00Z",
        "2026-11-22T18:00:05+07:00 ",
        " 2026-11-22T18:00:05",
        "2026-11-22\n18:00:05",
        "٢٠٢٦-١١-٢٢ ١٨:٠٠:٠٥",
        "2026-11-22" + " " * 100_000 + "18:00",
        "\ud800",
    ],
    ids=lambda text: ascii(text[:40]),
)
def test_what_is_no_time_is_none(text: str) -> None:
    assert read_us(text) is None


@thorough(200)
@given(st.text(alphabet="0123456789-:/TZ+., ๒", max_size=30) | st.text(max_size=60))
def test_any_text_is_a_time_that_can_be_kept_or_none(text: str) -> None:
    found = read_us(text)
    assert found is None or 0 <= found <= TIME_US_MAX


@thorough(200)
@given(
    st.datetimes(datetime(1971, 1, 1), datetime(2262, 4, 1)),  # noqa: DTZ001  (the zone is drawn too)
    st.integers(-14 * 60, 14 * 60),
    st.booleans(),
)
def test_what_was_written_is_read(local: datetime, zone_minutes: int, buddhist: bool) -> None:
    at = local.replace(tzinfo=timezone(timedelta(minutes=zone_minutes)))
    text = at.isoformat()
    assert len(text) in (25, 32)
    if buddhist:
        text = f"{at.year + 543}{text[4:]}"
    assert read_us(text) == us(at)
    assert read_us(text[:-6]) == us(local.replace(tzinfo=THAILAND))
