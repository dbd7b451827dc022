"""Sparkplug B: names from births, numbers from data, deaths of sessions; and whatever the bytes, no wrong number."""

import json
import math
import re
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest import codecs
from ingest.births import ASK_EVERY_US, Births, Heard
from ingest.codecs import sparkplug, sparkplug_payload
from ingest.codecs.sparkplug import Sparkplug
from ingest.message import Reason, Rejection, Rows
from ingest.source import Format, Source, Sources
from ingest.topics import Topics
from sensors.stations import Device, Metric
from tests.builders import T0_US, thorough
from tests.ingest.sparkplug_writer import (
    BOOLEAN,
    DOUBLE,
    FLOAT,
    INT8,
    INT16,
    INT32,
    INT64,
    STRING,
    UINT8,
    UINT16,
    UINT32,
    UINT64,
    M,
    bd_seq,
    chunk,
    fields,
    payload,
    varint,
    whole,
)

T0_MS = T0_US // 1_000
NAMES = {"River/Level": Metric(reading="stage_m", unit="cm"), "Rain": Metric(reading="rain_total_mm")}
DEVICES: dict[tuple[str, str], tuple[str, Device]] = {
    (Format.SPARKPLUG, "G/N"): ("WL-01", Device(via="sparkplug", id="G/N", names=NAMES)),
    (Format.SPARKPLUG, "G/N/D"): ("WL-02", Device(via="sparkplug", id="G/N/D")),
    (Format.SPARKPLUG, "G/M/D"): ("WL-03", Device(via="sparkplug", id="G/M/D")),
}
SOURCES = Sources(Topics("takean/v1"), DEVICES)
BIRTH = payload(
    bd_seq(4),
    M("Node Control/Rebirth", 0, BOOLEAN),
    M("River/Level", 231.4, DOUBLE, alias=1, time_ms=T0_MS),
    M("Rain", 12, UINT16, alias=2, time_ms=T0_MS),
    M("stage_m@spare", 1.5, DOUBLE, alias=3, time_ms=T0_MS),
    M("Motor/Speed", 1480, UINT32, alias=4, time_ms=T0_MS),
    M("Site", "bridge", STRING, alias=5),
    seq=0,
    time_ms=T0_MS,
)
DEVICE_BIRTH = payload(M("stage_m", 0.5, FLOAT, alias=9, time_ms=T0_MS), seq=1, time_ms=T0_MS)


def source(verb: str, name: str = "G/N") -> Source:
    group, node, *device = name.split("/")
    found = SOURCES.find("/".join(["spBv1.0", group, verb, node, *device]))
    assert found is not None
    return found


def run(codec: Sparkplug, verb: str, data: bytes, name: str = "G/N", at_us: int = T0_US) -> tuple[list, list]:  # type: ignore[type-arg]
    """Readings as (station, name, time, value), and refusals as (reason, detail)."""
    rows = Rows()
    refused = codec.decode(data, source(verb, name), at_us, 0, rows)
    found = list(zip(rows.station, rows.name, rows.time_us, rows.value, strict=True))
    return found, [(r.reason, r.detail) for r in refused]


def values(codec: Sparkplug, verb: str, *metrics: M, name: str = "G/N", seq: int | None = None) -> list[object]:
    """Values, or the reasons why there are none."""
    found, refused = run(codec, verb, payload(*metrics, seq=seq, time_ms=T0_MS), name)
    return [row[3] for row in found] + [reason for reason, _ in refused]


@pytest.fixture
def born() -> Sparkplug:
    """A node with one device, both born."""
    codec = Sparkplug()
    assert run(codec, "NBIRTH", BIRTH)[1] == []
    assert run(codec, "DBIRTH", DEVICE_BIRTH, "G/N/D")[1] == []
    codec.take_news()
    return codec


def test_a_birth_is_read_as_its_station_names_it() -> None:
    found, refused = run(Sparkplug(), "NBIRTH", BIRTH)
    assert found == [
        ("WL-01", "stage_m", T0_US, 2.314),
        ("WL-01", "rain_total_mm", T0_US, 12.0),
        ("WL-01", "stage_m@spare", T0_US, 1.5),
    ]
    assert refused == []


def test_data_by_alias_are_what_the_birth_called_them(born: Sparkplug) -> None:
    data = payload(M(value=250.0, alias=1, datatype=DOUBLE), M(value=13, alias=2, field=10), seq=2, time_ms=T0_MS + 60)
    assert run(born, "NDATA", data) == (
        [("WL-01", "stage_m", T0_US + 60_000, 2.5), ("WL-01", "rain_total_mm", T0_US + 60_000, 13.0)],
        [],
    )


def test_data_by_name_need_no_alias_and_no_type(born: Sparkplug) -> None:
    assert values(born, "NDATA", M("River/Level", 250.0), M("Rain", 13, field=10)) == [2.5, 13.0]


def test_a_metric_has_its_own_time_or_that_of_its_payload_or_is_refused(born: Sparkplug) -> None:
    found, _ = run(born, "NDATA", payload(M(alias=1, value=1.0, time_ms=T0_MS - 5), M(alias=1, value=2.0), time_ms=7))
    assert [row[2] for row in found] == [T0_US - 5_000, 7_000]
    for late in None, 2**63 // 10**6 + 1:
        _, refused = run(born, "NDATA", payload(M(alias=1, value=1.0), time_ms=late))
        assert refused == [(Reason.BAD_TIME, "1 metrics without a time from 1970 to 2262: 'River/Level'")]


def test_data_before_any_birth_are_refused_and_the_node_is_asked() -> None:
    codec = Sparkplug()
    assert run(codec, "NDATA", payload(M("Rain", 3, UINT16), seq=5, time_ms=T0_MS)) == (
        [],
        [(Reason.UNBORN, "NDATA of 'G/N': no birth of it has been seen")],
    )
    assert run(codec, "DDATA", payload(M("stage_m", 3, UINT16), seq=6), "G/N/D")[1] == [
        (Reason.UNBORN, "DDATA of 'G/N/D': no birth of its node has been seen")
    ]
    assert run(codec, "DBIRTH", DEVICE_BIRTH, "G/N/D")[1][0][0] is Reason.UNBORN
    assert codec.take_news().unclear == {"G/N"}


def test_what_the_birth_does_not_name_is_refused_and_its_neighbours_are_taken(born: Sparkplug) -> None:
    data = payload(M(alias=77, value=1.0), M(alias=1, value=250.0), M("Wind", 3.0, DOUBLE), M(value=1.0), time_ms=T0_MS)
    found, refused = run(born, "NDATA", data)
    assert [row[3] for row in found] == [2.5]
    assert refused == [(Reason.UNBORN, "3 metrics that its birth does not name: 'alias 77', 'Wind', 'alias None'")]
    assert born.take_news().unclear == {"G/N"}


@pytest.mark.parametrize(
    "metric",
    [
        pytest.param(M(alias=1, value=3, datatype=INT32), id="another type"),
        pytest.param(M("Rain", 3, alias=1, field=10), id="another name"),
    ],
)
def test_what_contradicts_the_birth_is_refused_and_the_node_is_asked(born: Sparkplug, metric: M) -> None:
    assert values(born, "NDATA", metric) == [Reason.WRONG_SHAPE]
    assert born.take_news().unclear == {"G/N"}


def test_an_alias_of_two_metrics_is_an_alias_of_none() -> None:
    codec = Sparkplug()
    birth = payload(M("stage_m", 1.0, DOUBLE, alias=1), M("stage_m@b", 2.0, DOUBLE, alias=1), time_ms=T0_MS, seq=0)
    found, refused = run(codec, "NBIRTH", birth, "G/N")
    assert [row[3] for row in found] == [1.0, 2.0]
    assert refused == [(Reason.WRONG_SHAPE, "aliases that stand for two metrics: 1")]
    assert values(codec, "NDATA", M(alias=1, value=3.0)) == [Reason.UNBORN]


def test_a_new_birth_of_the_node_gives_new_aliases_and_its_devices_must_follow(born: Sparkplug) -> None:
    run(born, "NBIRTH", payload(bd_seq(5), M("Rain", 1, UINT16, alias=1), seq=0, time_ms=T0_MS))
    found, _ = run(born, "NDATA", payload(M(alias=1, value=7, field=10), seq=1, time_ms=T0_MS))
    assert [row[1] for row in found] == ["rain_total_mm"]
    assert values(born, "DDATA", M(alias=9, value=1.0, datatype=FLOAT), name="G/N/D") == [Reason.UNBORN]


WIDTHS = {INT8: 8, INT16: 16, INT32: 32, INT64: 64, UINT8: 8, UINT16: 16, UINT32: 32, UINT64: 64}
SIGNED = (INT8, INT16, INT32, INT64)


def typed(datatype: int) -> Sparkplug:
    codec = Sparkplug()
    run(codec, "NBIRTH", payload(M("stage_m", is_null=True, datatype=datatype, alias=1), seq=0, time_ms=T0_MS))
    return codec


@thorough(200)
@given(
    datatype=st.sampled_from([*WIDTHS]),
    data=st.data(),
    field=st.sampled_from([10, 11]),
    wide=st.sampled_from([0, 32, 64]),
)
def test_whole_numbers_are_read_by_their_type_however_wide_they_were_written(
    datatype: int, data: st.DataObject, field: int, wide: int
) -> None:
    bits = WIDTHS[datatype]
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if datatype in SIGNED else (0, (1 << bits) - 1)
    value = data.draw(st.integers(low, high))
    written = value % (1 << max(wide, bits)) if value < 0 else value
    assert values(typed(datatype), "NDATA", M(alias=1, value=written, field=field)) == [float(value)]


@pytest.mark.parametrize(
    ("datatype", "raw"),
    [(INT8, 256), (INT8, 2**32 - 129), (INT16, 65_536), (UINT8, 2**32 - 1), (UINT16, 65_536), (UINT32, 2**32)],
)
def test_a_number_that_its_type_cannot_have_is_refused_and_never_cut_to_size(datatype: int, raw: int) -> None:
    for field in 10, 11:
        assert values(typed(datatype), "NDATA", M(alias=1, value=raw, field=field)) == [Reason.BAD_NUMBER]


@pytest.mark.parametrize(
    ("datatype", "metric"),
    [
        (DOUBLE, M(alias=1, value=math.nan, field=13)),
        (DOUBLE, M(alias=1, value=math.inf, field=13)),
        (FLOAT, M(alias=1, value=-math.inf, field=12)),
        (DOUBLE, M(alias=1, value=3, field=10)),
        (INT32, M(alias=1, value=3.0, field=13)),
        (DOUBLE, M(alias=1)),
        (INT32, M(alias=1, value="3", field=15)),
    ],
)
def test_what_is_no_number_is_refused(datatype: int, metric: M) -> None:
    assert values(typed(datatype), "NDATA", metric) == [Reason.BAD_NUMBER]


@thorough(200)
@given(st.floats(-(2.0**126), 2.0**126, width=32))
def test_a_float_is_the_shortest_decimal_that_is_the_same_float(value: float) -> None:
    (found,) = values(typed(FLOAT), "NDATA", M(alias=1, value=value, field=12))
    assert isinstance(found, float)
    assert np.float32(found) == np.float32(value)
    same = (float(f"{value:.{digits}g}") for digits in range(1, 10))
    assert found == next(short for short in same if np.float32(short) == np.float32(value))


def test_a_threshold_in_a_float_is_reached() -> None:
    assert values(typed(FLOAT), "NDATA", M(alias=1, value=2.3, field=12)) == [2.3]


@pytest.mark.parametrize(
    "metric",
    [
        M(alias=1, is_null=True),
        M(alias=1, value=3.0, quality=0),
        M(alias=1, value=3.0, quality=500),
        M(alias=1, quality=0),
    ],
)
def test_null_bad_and_stale_are_measured_and_missing(metric: M) -> None:
    (found,) = values(typed(DOUBLE), "NDATA", metric)
    assert isinstance(found, float)
    assert math.isnan(found)


def test_good_and_historical_are_readings(born: Sparkplug) -> None:
    good = M(alias=1, value=100.0, quality=192), M(alias=1, value=200.0, is_historical=True)
    assert values(born, "NDATA", *good) == [1.0, 2.0]
    assert values(born, "NDATA", M(alias=1, value=100.0, quality=0, property="engLow")) == [1.0], "no quality at all"


def test_a_transient_metric_is_a_reading_only_where_the_registry_names_it(born: Sparkplug) -> None:
    assert values(born, "NDATA", M(alias=1, value=100.0, is_transient=True)) == [1.0]
    assert values(born, "NDATA", M(alias=3, value=100.0, is_transient=True)) == []


def test_text_that_the_registry_calls_a_reading_is_refused() -> None:
    birth = payload(M("Rain", "much", STRING), seq=0, time_ms=T0_MS)
    assert run(Sparkplug(), "NBIRTH", birth)[1] == [
        (Reason.BAD_NUMBER, "1 metrics without a number that their type can have: 'Rain'")
    ]


def test_a_unit_that_does_not_convert_is_refused() -> None:
    names = {"Level": Metric(reading="stage_m", unit="mV")}
    device = Device(via="sparkplug", id="G/N", names=names)
    rows, codec = Rows(), Sparkplug()
    told = Source(format=Format.SPARKPLUG, station="WL-01", device=device, id="G/N", verb="NBIRTH")
    refused = codec.decode(payload(M("Level", 1.0, DOUBLE), time_ms=T0_MS), told, T0_US, 0, rows)
    assert [each.reason for each in refused] == [Reason.UNKNOWN_UNIT]
    assert rows.value == []


def test_of_a_device_without_names_every_number_is_offered_so_that_somebody_sees_it() -> None:
    codec = Sparkplug()
    run(codec, "NBIRTH", BIRTH)
    controls = bd_seq(4), M("Node Control/Scan Rate", 1_000, INT64), M("Device Control/Rate", 1_000, INT64)
    offered = M("stage_m", 1.0, DOUBLE), M("Motor", 9, UINT32), M("On", 1, BOOLEAN)
    birth = payload(*controls, *offered, time_ms=T0_MS)
    found, _ = run(codec, "DBIRTH", birth, "G/N/D")
    assert [row[:2] for row in found] == [("WL-02", "stage_m"), ("WL-02", "Motor")]


def test_a_node_nobody_registered_is_decoded_under_its_own_id() -> None:
    codec = Sparkplug()
    run(codec, "NBIRTH", payload(M("Level", 2.0, DOUBLE, alias=1), time_ms=T0_MS), "X/Y")
    found, refused = run(codec, "NDATA", payload(M(alias=1, value=3.0), time_ms=T0_MS), "X/Y")
    assert (found, refused) == ([("X/Y", "Level", T0_US, 3.0)], [])
    news = codec.take_news()
    assert news == sparkplug.News()


def test_a_node_that_only_carries_devices_has_no_readings_of_its_own() -> None:
    codec = Sparkplug()
    assert run(codec, "NBIRTH", payload(bd_seq(1), M("CPU", 3.0, DOUBLE), seq=0, time_ms=T0_MS), "G/M") == ([], [])
    assert run(codec, "DBIRTH", DEVICE_BIRTH, "G/M/D")[0] == [("WL-03", "stage_m", T0_US, 0.5)]


@pytest.mark.parametrize(
    ("verb", "name"), [("NDATA", "G/N/D"), ("DDATA", "G/N"), ("NDEATH", "G/N/D"), ("DDEATH", "G/N"), ("DBIRTH", "G/N")]
)
def test_a_topic_that_is_neither_of_a_node_nor_of_a_device_is_refused(verb: str, name: str) -> None:
    (refused,) = run(Sparkplug(), verb, BIRTH, name)[1]
    assert refused[0] is Reason.FOREIGN_TOPIC


def test_commands_to_nodes_are_passed_over() -> None:
    codec = Sparkplug()
    assert run(codec, "NCMD", b"\xff") == ([], [])
    assert run(codec, "DCMD", b"\xff", "G/N/D") == ([], [])


# Deaths and numbering.


def death(session: int | None) -> bytes:
    return payload(*([bd_seq(session)] if session is not None else []))


@pytest.mark.parametrize("session", [4, None])
def test_a_death_ends_the_session_of_the_node_and_of_all_its_devices(born: Sparkplug, session: int | None) -> None:
    assert run(born, "NDEATH", death(session), at_us=T0_US + 5) == ([], [])
    news = born.take_news()
    assert news.deaths == {"G/N": T0_US + 5}
    assert news.states == {"G/N": False, "G/N/D": False}
    assert values(born, "NDATA", M(alias=1, value=1.0)) == [Reason.UNBORN]
    assert values(born, "DDATA", M(alias=9, value=1.0), name="G/N/D") == [Reason.UNBORN]


def test_a_late_death_of_an_older_session_is_no_death(born: Sparkplug) -> None:
    assert run(born, "NDEATH", death(3)) == ([], [])
    assert not born.take_news().deaths
    assert values(born, "NDATA", M(alias=1, value=100.0)) == [1.0]


def test_a_death_of_a_device_is_its_own(born: Sparkplug) -> None:
    assert run(born, "DDEATH", payload(seq=2, time_ms=T0_MS), "G/N/D") == ([], [])
    news = born.take_news()
    assert (news.deaths, news.states) == ({"G/N/D": T0_US}, {"G/N/D": False})
    assert values(born, "DDATA", M(alias=9, value=1.0), name="G/N/D") == [Reason.UNBORN]
    assert values(born, "NDATA", M(alias=1, value=100.0)) == [1.0]


def test_one_count_goes_through_a_node_and_its_devices_and_round_the_corner(born: Sparkplug) -> None:
    for k in range(2, 600):
        name, alias, verb = ("G/N", 1, "NDATA") if k % 3 else ("G/N/D", 9, "DDATA")
        assert len(values(born, verb, M(alias=alias, value=1.0, field=12 + (alias == 1)), name=name, seq=k % 256)) == 1
    news = born.take_news()
    assert not news.gaps
    assert not news.unclear


def test_a_missing_number_is_said_and_the_data_are_taken(born: Sparkplug) -> None:
    assert values(born, "NDATA", M(alias=1, value=100.0), seq=4) == [1.0]
    news = born.take_news()
    assert news.gaps == {"G/N": "2 was expected, 4 came"}
    assert news.unclear == {"G/N"}
    assert values(born, "NDATA", M(alias=1, value=100.0), seq=4) == [1.0], "the same again"
    assert values(born, "NDATA", M(alias=1, value=100.0), seq=5) == [1.0]
    assert not born.take_news().gaps


def test_a_birth_begins_the_count_anew(born: Sparkplug) -> None:
    values(born, "NDATA", M(alias=1, value=100.0), seq=2)
    run(born, "NBIRTH", BIRTH)
    values(born, "NDATA", M(alias=1, value=100.0), seq=1)
    assert not born.take_news().gaps


def test_a_batch_that_comes_once_more_meets_what_it_met(born: Sparkplug) -> None:
    """Its births and deaths have changed the names meanwhile: data before them must not be read by those behind."""
    new = payload(bd_seq(5), M("Rain", 1, UINT16, alias=1), seq=0, time_ms=T0_MS)
    batch = [
        ("NDATA", payload(M(alias=1, value=100.0), seq=2, time_ms=T0_MS)),
        ("NDEATH", death(4)),
        ("NBIRTH", new),
        *(("NDATA", payload(M(alias=1, value=9, field=10), seq=seq, time_ms=T0_MS)) for seq in (1, 2, 3)),
    ]
    first = [run(born, verb, data) for verb, data in batch]
    born.go_back()
    assert [run(born, verb, data) for verb, data in batch] == first
    assert not [refused for _, refused in first if refused]
    news = born.take_news()
    assert (news.gaps, news.deaths) == ({}, {"G/N": T0_US})


# Bounds.


def test_too_much_is_refused_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    many = payload(*(M(f"stage_m@{k}", 1.0, DOUBLE) for k in range(2_001)), time_ms=T0_MS)
    found, refused = run(Sparkplug(), "NBIRTH", many)
    assert (found, refused) == ([], [(Reason.TOO_MANY, "2001 readings in one message; at most 2000")])
    more = payload(*(M("x", 1.0, DOUBLE) for _ in range(5_001)), time_ms=T0_MS)
    assert run(Sparkplug(), "NBIRTH", more)[1][0][0] is Reason.NOT_SPARKPLUG
    assert run(Sparkplug(), "NBIRTH", b"\0" * (sparkplug.PAYLOAD_BYTES_MAX + 1))[1][0][0] is Reason.TOO_LARGE
    monkeypatch.setattr(sparkplug, "NAMES_MAX", 30)
    codec = Sparkplug()
    run(codec, "NBIRTH", BIRTH)
    assert run(codec, "DBIRTH", DEVICE_BIRTH, "G/N/D")[1][0][0] is Reason.TOO_MANY
    assert values(codec, "DDATA", M(alias=9, value=1.0), name="G/N/D") == [Reason.UNBORN]


def test_strangers_are_remembered_up_to_a_bound() -> None:
    codec = Sparkplug()
    for k in range(sparkplug.STRANGERS_MAX + 1):
        run(codec, "NBIRTH", payload(M("a", 1.0, DOUBLE, alias=1), time_ms=T0_MS, seq=0), f"X/{k}")
    assert values(codec, "NDATA", M(alias=1, value=1.0), name="X/0") == [Reason.UNBORN]
    assert values(codec, "NDATA", M(alias=1, value=1.0), name=f"X/{sparkplug.STRANGERS_MAX}") == [1.0]
    assert len(codec._strangers) == sparkplug.STRANGERS_MAX
    assert len(codec._seq) <= sparkplug.STRANGERS_MAX


HOSTILE = {
    "cut off": BIRTH[:-3],
    "a length beyond the end": varint(2 << 3 | 2) + varint(1_000) + b"x",
    "an endless varint": b"\x08" + b"\xff" * 20,
    "a group that never ends": b"\x0b" * 100,
    "a name that is not UTF-8": payload(M(b"\xff\xfe", 1.0, DOUBLE), time_ms=T0_MS),
    "a name beyond the bound": payload(M("n" * 513, 1.0, DOUBLE), time_ms=T0_MS),
    "a seq beyond 255": payload(M("Rain", 1, UINT16), seq=256, time_ms=T0_MS),
    "nothing": b"",
    "no metric": whole(1, T0_MS) + whole(3, 0),
    "only what nobody knows": chunk(99, b"something"),
    "JSON": b'{"metrics": []}',
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_is_no_sparkplug_is_refused_with_a_reason(data: bytes) -> None:
    found, refused = run(Sparkplug(), "NBIRTH", data)
    assert found == []
    assert [reason for reason, _ in refused] == [Reason.NOT_SPARKPLUG]
    assert refused[0][1]


def test_nested_beyond_measure_is_refused_or_passed_over_and_never_crashes() -> None:
    data = b""
    for _ in range(3_000):
        data = chunk(9, chunk(2, chunk(9, data)))
    run(Sparkplug(), "NBIRTH", chunk(2, chunk(1, b"Rain") + data))
    deep = b""
    for _ in range(3_000):
        deep = chunk(18, chunk(2, deep))
    run(Sparkplug(), "NBIRTH", chunk(2, chunk(1, b"Rain") + whole(4, UINT16) + whole(10, 3) + deep))


metrics = st.builds(
    M,
    name=st.none() | st.sampled_from(["Rain", "River/Level", "stage_m", "bdSeq", "x"]) | st.text(max_size=8),
    value=st.none() | st.integers(0, 2**64 - 1) | st.floats(width=32),
    datatype=st.none() | st.integers(0, 40),
    alias=st.none() | st.integers(0, 10),
    time_ms=st.none() | st.integers(0, 2**64 - 1),
    quality=st.none() | st.sampled_from([0, 192, 500, 7]),
    is_null=st.none() | st.booleans(),
    field=st.just(10),
).map(lambda m: M(**{**m.__dict__, "field": 13 if isinstance(m.value, float) else 10}))
said = st.builds(
    lambda ms, seq, time_ms: payload(*ms, seq=seq, time_ms=time_ms),
    st.lists(metrics, max_size=5),
    st.none() | st.integers(0, 300),
    st.none() | st.integers(0, 2**64 - 1),
)
mutated = st.builds(
    lambda data, at, with_: data[: at % (len(data) + 1)] + with_ + data[at % (len(data) + 1) + len(with_) :],
    st.sampled_from([BIRTH, DEVICE_BIRTH]) | said,
    st.integers(0, 10_000),
    st.binary(max_size=4),
)
verbs = st.sampled_from(["NBIRTH", "NDATA", "NDEATH"])


@thorough(400)
@given(st.lists(st.tuples(verbs, st.binary(max_size=120) | said | mutated), min_size=1, max_size=4))
def test_any_bytes_are_readings_or_refusals(messages: list[tuple[str, bytes]]) -> None:
    codec = Sparkplug()
    run(codec, "NBIRTH", BIRTH)
    for verb, data in messages:
        rows = Rows()
        refused = codec.decode(data, source(verb), T0_US, 3, rows)
        assert len({len(c) for c in (rows.station, rows.name, rows.time_us, rows.value, rows.message)}) == 1
        assert all(type(value) is float and not math.isinf(value) for value in rows.value)
        assert all(type(at) is int and 0 <= at < 2**63 // 1000 for at in rows.time_us)
        assert set(rows.station) <= {"WL-01"}
        assert all(each.detail and len(each.detail) < 600 and each.detail.encode() for each in refused)
        assert rows.value or refused or verb == "NDEATH" or _says_nothing(data)


def _says_nothing(data: bytes) -> bool:
    """Whether a payload has metrics, and none that could be a reading."""
    return len(sparkplug_payload.parse(data).metrics) > 0


# Across restarts, and asking.


class Asked:
    """Births on a file, and what they asked."""

    def __init__(self, path: Path | None) -> None:
        self.said: list[tuple[str, bytes]] = []
        self.births = Births(path, DEVICES, ask=lambda topic, data: self.said.append((topic, data)))
        self.now_us = T0_US

    def send(self, verb: str, data: bytes, name: str = "G/N") -> tuple[list[float], list[Rejection], Heard]:
        rows = Rows()
        refused = self.births.codec(data, source(verb, name), self.now_us, 0, rows)
        return rows.value, refused, self.births.settle(self.now_us)


DATA = payload(M(alias=1, value=100.0), time_ms=T0_MS)
DEVICE_DATA = payload(M(alias=9, value=1.5, datatype=FLOAT), time_ms=T0_MS)


@pytest.mark.parametrize("how", ["closed", "killed"])
def test_a_restart_between_birth_and_data_still_decodes_and_asks_once(tmp_path: Path, how: str) -> None:
    first = Asked(tmp_path / "births.sqlite")
    first.send("NBIRTH", BIRTH)
    first.send("DBIRTH", DEVICE_BIRTH, "G/N/D")
    assert first.said == []
    assert first.births._database is not None
    written = first.births._database.total_changes
    first.send("NDATA", DATA)
    assert first.births._database.total_changes == written, "data write nothing"
    if how == "closed":
        first.births.close()
    again = Asked(tmp_path / "births.sqlite")
    assert again.send("NDATA", DATA)[:2] == ([1.0], [])
    assert again.send("DDATA", DEVICE_DATA, "G/N/D")[:2] == ([1.5], [])
    assert [topic for topic, _ in again.said] == ["spBv1.0/G/NCMD/N"]
    again.send("NBIRTH", BIRTH)
    again.now_us += 2 * ASK_EVERY_US
    again.send("NDATA", DATA)
    assert len(again.said) == 1, "confirmed by a birth, nobody need be asked"
    again.births.close()


def test_what_one_device_changes_is_all_that_is_written(tmp_path: Path) -> None:
    box = Asked(tmp_path / "births.sqlite")
    box.send("NBIRTH", BIRTH)
    many = payload(*(M(f"m{i}" + "x" * 400, 1.0, DOUBLE, alias=i) for i in range(200)), time_ms=T0_MS)
    for device in range(20):
        box.send("DBIRTH", many, f"G/N/D{device}")
    log = tmp_path / "births.sqlite-wal"
    assert box.births._database is not None
    box.births._database.execute("pragma wal_checkpoint(truncate)")
    box.send("DDEATH", payload(time_ms=T0_MS), "G/N/D7")
    assert log.stat().st_size < 4 * len(many), "not the births of all twenty"
    box.births.close()
    again = Asked(tmp_path / "births.sqlite")
    known = again.births._codec.nodes["G/N"].births
    assert set(known) == {"G/N", *(f"G/N/D{device}" for device in range(20) if device != 7)}
    again.send("NBIRTH", BIRTH)
    again.births.close()
    assert set(Asked(tmp_path / "births.sqlite").births._codec.nodes["G/N"].births) == {"G/N"}


def test_a_death_outlives_a_restart(tmp_path: Path) -> None:
    first = Asked(tmp_path / "births.sqlite")
    first.send("NBIRTH", BIRTH)
    first.send("NDEATH", death(4))
    first.births.close()
    again = Asked(tmp_path / "births.sqlite")
    assert [each.reason for each in again.send("NDATA", DATA)[1]] == [Reason.UNBORN]
    again.births.close()


def test_births_that_cannot_be_read_or_written_are_asked_for(tmp_path: Path) -> None:
    first = Asked(tmp_path / "births.sqlite")
    first.send("NBIRTH", BIRTH)
    assert first.births._database is not None
    first.births._database.execute("update birth set birth = x'ff'")
    first.births.close()
    again = Asked(tmp_path / "births.sqlite")
    assert [each.reason for each in again.send("NDATA", DATA)[1]] == [Reason.UNBORN]
    again.births.close()
    assert again.send("NBIRTH", BIRTH)[:2] == ([2.314, 12.0, 1.5], []), "a file that is away holds up no reading"


def test_births_of_nodes_that_are_no_longer_registered_are_forgotten(tmp_path: Path) -> None:
    first = Asked(tmp_path / "births.sqlite")
    first.send("NBIRTH", BIRTH)
    first.births.close()
    again = Births(tmp_path / "births.sqlite", {}, ask=lambda *_: None)
    assert again._codec.nodes == {}
    again.close()


def test_a_node_is_asked_at_most_once_a_minute_and_whatever_its_clock_does() -> None:
    box = Asked(None)
    for step_us in 0, 1, ASK_EVERY_US - 2, 1, 5, -2 * ASK_EVERY_US:
        box.now_us += step_us
        box.send("NDATA", DATA)
    assert len(box.said) == 3
    box.send("NDATA", DATA, "X/Y")
    assert len(box.said) == 3, "strangers are asked nothing"


def test_the_question_is_a_rebirth_command() -> None:
    box = Asked(None)
    box.send("NDATA", DATA)
    ((topic, data),) = box.said
    assert topic == "spBv1.0/G/NCMD/N"
    parts = fields(data)
    assert parts[0] == (1, T0_MS)
    (metric,) = (value for number, value in parts if number == 2)
    assert isinstance(metric, bytes)
    assert dict(fields(metric)) == {1: b"Node Control/Rebirth", 3: T0_MS, 4: BOOLEAN, 14: 1}


def test_a_death_of_the_node_is_that_of_every_station_behind_it() -> None:
    box = Asked(None)
    box.send("NBIRTH", BIRTH)
    box.send("DBIRTH", DEVICE_BIRTH, "G/N/D")
    heard = box.send("NDEATH", death(4))[2]
    assert heard == Heard(deaths={"WL-01": T0_US, "WL-02": T0_US}, states={"WL-01": False, "WL-02": False})
    assert box.send("NBIRTH", BIRTH)[2].states == {"WL-01": True}
    box.send("DBIRTH", DEVICE_BIRTH, "G/N/D")
    assert box.send("DDEATH", payload(seq=2), "G/N/D")[2].deaths == {"WL-02": T0_US}


def test_a_node_without_a_station_takes_its_devices_along() -> None:
    box = Asked(None)
    assert box.send("NDEATH", death(None), "G/M")[2].deaths == {"WL-03": T0_US}


def test_a_gap_is_told_when_the_node_is_asked() -> None:
    box = Asked(None)
    box.send("NBIRTH", BIRTH)
    assert box.send("NDATA", payload(M(alias=1, value=1.0), seq=9, time_ms=T0_MS))[2].gaps == {
        "G/N": "1 was expected, 9 came"
    }
    assert box.send("NDATA", payload(M(alias=1, value=1.0), seq=20, time_ms=T0_MS))[2].gaps == {}


def test_the_list_of_codecs_has_one_that_remembers_by_itself() -> None:
    one, other = codecs.standard()[Format.SPARKPLUG], codecs.standard()[Format.SPARKPLUG]
    one(BIRTH, source("NBIRTH"), T0_US, 0, Rows())
    rows = Rows()
    assert one(DATA, source("NDATA"), T0_US, 0, rows) == []
    assert rows.value == [1.0]
    assert [each.reason for each in other(DATA, source("NDATA"), T0_US, 0, rows)] == [Reason.UNBORN]


# Against the published description.


def test_our_description_agrees_with_the_published_one(reference: Path) -> None:
    """Numbers and types of the fields that we read."""
    published = (reference / "data/iot/sparkplug/sparkplug_b.proto").read_text()
    wire = {"uint64": 0, "uint32": 0, "bool": 0, "string": 2, "bytes": 2, "double": 1, "float": 5}
    found: dict[str, dict[str, tuple[int, int]]] = {}
    place: list[str] = []
    for line in published.splitlines():
        if opened := re.match(r"\s*(message|enum|oneof) (\w+)", line):
            place.append(opened[2])
        elif line.strip().startswith("}"):
            place.pop()
        elif field := re.match(r"\s*(?:optional |repeated )?(\w+)\s+(\w+)\s*=\s*(\d+);", line):
            message = [name for name in place if name != "value"][-1]
            found.setdefault(message, {})[field[2]] = int(field[3]), wire.get(field[1], 2)
    ours = sparkplug_payload._Payload.DESCRIPTOR.file
    kinds = {1: 1, 2: 5, 4: 0, 8: 0, 11: 2, 12: 2}
    for message in ours.message_types_by_name.values():
        said = {field.name: (field.number, kinds[field.type]) for field in message.fields}
        assert said.items() <= found[message.name].items(), message.name
    types = dict(re.findall(r"^\s+(\w+)\s*= (\d+);", published[: published.index("message Payload")], re.MULTILINE))
    numeric = ["Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64", "Float", "Double"]
    assert {int(types[name]) for name in numeric} == sparkplug_payload.NUMERIC
    assert int(types["Boolean"]) == sparkplug_payload.BOOLEAN
    assert json.loads((reference / "data/iot/sparkplug/payload.json").read_text())["title"] == "Sparkplug B Payload"


def test_a_float_is_read_by_its_bits() -> None:
    assert struct.unpack("<f", struct.pack("<f", 2.3))[0] != 2.3, "or the rounding above proves nothing"
