"""Grammar of topics."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.topics import Leaf, Topics, is_station_name

STATIONS = st.from_regex(r"[A-Za-z0-9_-]{1,32}", fullmatch=True)


@settings(derandomize=True, deadline=None, max_examples=100)
@given(STATIONS, st.sampled_from(["takean/v1", "takean/drill/v1"]))
def test_what_is_built_is_read_back(station: str, prefix: str) -> None:
    topics = Topics(prefix)
    assert topics.parse(topics.data(station)) == (station, Leaf.DATA)
    assert topics.parse(topics.status(station)) == (station, Leaf.STATUS)
    assert topics.parse(topics.cmd(station)) == (station, Leaf.CMD)


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "takean/v1",
        "takean/v1/WL-01",
        "takean/v1/WL-01/",
        "takean/v1//data",
        "takean/v1/WL-01/data/",
        "/takean/v1/WL-01/data",
        "takean/v1/WL-01/DATA",
        "takean/v1/+/data",
        "takean/v1/#",
        "takean/v1/WL 01/data",
        "takean/v1/WL-01\n/data",
        "takean/v1/" + "x" * 33 + "/data",
        "takean/v1/สถานี/data",
        "takean/v2/WL-01/data",
        "takean/drill/v1/WL-01/data",
    ],
)
def test_a_topic_of_no_station_is_none(topic: str) -> None:
    assert Topics("takean/v1").parse(topic) is None


def test_a_drill_never_reads_a_real_topic() -> None:
    real, drill = Topics("takean/v1"), Topics("takean/drill/v1")
    assert drill.parse(real.data("WL-01")) is None
    assert real.parse(drill.data("WL-01")) is None


@pytest.mark.parametrize("prefix", ["", "/takean", "takean/", "takean//v1", "takean/+", "takean/#", "a\0b"])
def test_a_prefix_that_no_topic_could_have_is_refused(prefix: str) -> None:
    with pytest.raises(ValueError, match="prefix"):
        Topics(prefix)


def test_station_names_have_an_end() -> None:
    assert is_station_name("x" * 32)
    assert not is_station_name("x" * 33)
    assert not is_station_name("")
    assert not is_station_name("WL-01\n")
