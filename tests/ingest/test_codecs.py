"""Choosing a codec, and what holds for all of them."""

import json
import math
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.codecs import decode
from ingest.codecs.bounds import PAYLOAD_BYTES_MAX
from ingest.message import Reason, Rejection, Rows
from ingest.source import Format, Source

OWN = Source(format=Format.OWN, station="WL-01")
RECEIVED_US = 1_795_330_200_000_000
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
field_names = st.sampled_from(
    ["ts", "values", "seq", "n", "bn", "bt", "bu", "bv", "bs", "bver", "u", "v", "vs", "vb", "vd", "s", "t", "x_"]
)
values = json_values | st.floats(-1e20, 1e20) | st.integers(-(10**12), 10**13) | st.sampled_from(["stage_m", "m", "cm"])
records = st.dictionaries(field_names, values | st.dictionaries(st.text(max_size=5), values, max_size=4), max_size=6)


def run(payload: bytes) -> tuple[Rows, list[Rejection]]:
    rows = Rows()
    refused = decode(payload, OWN, RECEIVED_US, 3, rows)
    return rows, refused


def check_rows(rows: Rows) -> None:
    lengths = {len(column) for column in (rows.station, rows.name, rows.time_us, rows.value, rows.message)}
    assert len(lengths) == 1
    assert len(rows.value) <= 2000
    assert all(type(value) is float and not math.isinf(value) for value in rows.value)
    assert all(type(time_us) is int and 0 <= time_us < 2**63 // 1000 for time_us in rows.time_us)
    assert all(name.encode() is not None for name in rows.name)


@settings(derandomize=True, deadline=None, max_examples=250)
@given(
    st.one_of(
        st.binary(max_size=200),
        st.text(string.printable + '[]{}":,', max_size=100).map(str.encode),
        json_values.map(lambda value: json.dumps(value).encode()),
        records.map(lambda value: json.dumps(value).encode()),
        st.lists(records, max_size=5).map(lambda value: json.dumps(value).encode()),
    )
)
def test_any_bytes_are_readings_or_refusals(payload: bytes) -> None:
    rows, refused = run(payload)
    check_rows(rows)
    for refusal in refused:
        assert refusal.detail
        refusal.detail.encode()
        assert len(refusal.detail) < 400


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.integers(0, 80), st.integers(0, 255))
def test_one_wrong_byte_is_readings_or_refusals(place: int, byte: int) -> None:
    good = b'{"ts": 1795330200000, "seq": 412, "values": {"stage_m": 2.314, "battery_v": 3.91}}'
    rows, refused = run(good[:place] + bytes((byte,)) + good[place + 1 :])
    check_rows(rows)
    assert rows.value or refused


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b" ",
        b"{",
        b'{"ts": 1795330200000, "values": {"stage_m": 2.3',
        b'{"ts": 1, "values": {"stage_m": 1}} trailing',
        b"\xff\xfe{\x00}\x00",
        b'\xef\xbb\xbf{"ts": 1, "values": {"stage_m": 1}}',
        b'{"ts": 1, "values": {"st\xe2ge": 1}}',
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b'[{"n":' + b"[" * 200_000,
        b'{"ts": 1, "values": {"a": ' + b"[" * 200_000,
    ],
    ids=lambda payload: repr(payload[:30]),
)
def test_not_json_is_said_to_be_so(payload: bytes) -> None:
    rows, (refusal,) = run(payload)
    assert refusal.reason is Reason.NOT_JSON
    assert not rows.value


@pytest.mark.parametrize("payload", [b"5", b'"text"', b"null", b"true", b"[]", b"{}", b"[[]]", b"[1, 2]", b"NaN"])
def test_json_of_no_known_form_is_said_to_be_so(payload: bytes) -> None:
    rows, (refusal,) = run(payload)
    assert refusal.reason is Reason.WRONG_SHAPE
    assert not rows.value


def test_a_payload_over_the_bound_is_not_even_parsed() -> None:
    rows, (refusal,) = run(b" " * (PAYLOAD_BYTES_MAX + 1))
    assert refusal.reason is Reason.TOO_LARGE
    assert not rows.value


def test_a_payload_at_the_bound_is_parsed() -> None:
    payload = b'{"ts": 1, "values": {"stage_m": 1}}'
    rows, refused = run(payload + b" " * (PAYLOAD_BYTES_MAX - len(payload)))
    assert (rows.value, refused) == ([1.0], [])


def test_rows_of_several_messages_stand_behind_each_other() -> None:
    rows = Rows()
    for index, station in enumerate(["WL-01", "WL-02"]):
        assert not decode(
            b'{"ts": 5, "values": {"stage_m": 1, "rain_mm": 2}}',
            Source(format=Format.OWN, station=station),
            RECEIVED_US,
            index,
            rows,
        )
    assert rows.station == ["WL-01", "WL-01", "WL-02", "WL-02"]
    assert rows.message == [0, 0, 1, 1]
    assert rows.name == ["stage_m", "rain_mm"] * 2
    assert rows.time_us == [5000] * 4
