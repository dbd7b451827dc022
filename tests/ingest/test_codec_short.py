"""The short way for a whole batch gives what the long way gives, or leaves it to that."""

import json
import math

from hypothesis import given
from hypothesis import strategies as st

from ingest.codecs import decode, short
from ingest.codecs.bounds import PAYLOAD_BYTES_MAX, READINGS_MAX
from ingest.message import Rows
from ingest.source import Format, Source
from tests.builders import thorough

SOURCE = Source(format=Format.OWN, station="WL-01")
names = st.sampled_from(["stage_m", "rain_mm", "stage_m@2", "", "ค่า", "\ud800"])
numbers = st.none() | st.integers(-(10**20), 10**20) | st.floats() | st.booleans() | st.sampled_from(["1.5", [], {}])
objects = st.fixed_dictionaries(
    {"ts": st.integers(-5, 10**13) | st.floats() | st.sampled_from([2**63, "2026-11-22T18:00:00", None])},
    optional={"values": st.dictionaries(names, numbers, max_size=3), "seq": numbers},
)
payloads = st.one_of(
    objects.map(json.dumps),
    st.lists(objects, max_size=3).map(json.dumps),
    objects.map(json.dumps).flatmap(lambda text: st.integers(0, len(text)).map(lambda end: text[:end])),
).map(str.encode) | st.binary(max_size=20)


@thorough(300)
@given(st.lists(payloads, max_size=6))
def test_what_it_takes_is_what_the_long_way_reads(batch: list[bytes]) -> None:
    taken = short.decode(batch)
    rows = Rows()
    for number, payload in enumerate(batch):
        if number not in taken.left:
            assert decode(payload, SOURCE, 0, number, rows) == []
    assert (taken.at.tolist(), taken.name, taken.time_us.tolist()) == (rows.message, rows.name, rows.time_us)
    assert [None if math.isnan(v) else v for v in taken.value.tolist()] == [
        None if math.isnan(v) else v for v in rows.value
    ]


def test_what_devices_send_takes_it() -> None:
    one = b'{"ts": 1795330200000, "seq": 4, "values": {"stage_m": 2.314, "battery_v": null}}'
    assert short.decode([one, b"[" + one + b"," + one + b"]"]).left == []


def test_a_bad_payload_leaves_its_neighbours_where_they_were() -> None:
    good = [b'{"ts": %d, "values": {"stage_m": %d}}' % (i, i) for i in range(4)]
    taken = short.decode([good[0], b"[", good[1], b"", b"\xff", good[2], good[3], b"x"])
    assert taken.left == [1, 3, 4, 7]
    assert taken.at.tolist() == [0, 2, 5, 6]
    assert taken.value.tolist() == [0.0, 1.0, 2.0, 3.0]


def test_a_pack_over_the_bound_is_left_and_its_neighbours_are_not() -> None:
    many = json.dumps({"ts": 1, "values": {f"n{i}": 1 for i in range(READINGS_MAX // 2 + 1)}}).encode()
    good = b'{"ts": 7, "values": {"stage_m": 1}}'
    taken = short.decode([good, b"[" + many + b"," + many + b"]", good])
    assert taken.left == [1]
    assert taken.at.tolist() == [0, 2]


def test_a_payload_cannot_lend_its_readings_to_another() -> None:
    """Joined before they are read, these three would be two objects that look like three."""
    batch = [b'{"ts": 1, "values": {"stage_m": 1}, "x": "', b'"}', b'{"ts": 2, "values": {"stage_m": 2}},{"ts": 3}']
    assert short.decode(batch).left == [0, 1, 2]


def test_a_payload_over_the_bound_is_left() -> None:
    good = b'{"ts": 7, "values": {"stage_m": 1}}'
    taken = short.decode([good, good + b" " * PAYLOAD_BYTES_MAX, good])
    assert (taken.at.tolist(), taken.left) == ([0, 2], [1])
