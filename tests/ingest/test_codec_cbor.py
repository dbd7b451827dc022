"""SenML CBOR: written by another program, read here."""

import math
import struct
import time
from decimal import Decimal
from pathlib import Path

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.codecs import cbor, decode
from ingest.message import Reason, Rejection, Rows
from ingest.source import Format, Source
from tests.builders import thorough

OWN = Source(format=Format.OWN, station="WL-01")
NOW_US = 1_795_330_260_000_000


def run(payload: bytes) -> tuple[Rows, list[Rejection]]:
    rows = Rows()
    refused = decode(payload, OWN, NOW_US, 0, rows)
    return rows, refused


PACK = [{-2: "WL-01/", -3: 1795330200, 0: "stage_m", 1: "cm", 2: 231.4}, {0: "battery_v", 6: -60, 2: 3.91}]


def test_a_pack_is_read() -> None:
    rows, refused = run(cbor2.dumps(PACK))
    assert refused == []
    assert list(zip(rows.name, rows.time_us, rows.value, strict=True)) == [
        ("stage_m", 1_795_330_200_000_000, 2.314),
        ("battery_v", 1_795_330_140_000_000, 3.91),
    ]


def test_the_example_of_the_wire_page_is_read() -> None:
    page = (Path(__file__).parents[2] / "docs" / "wire.md").read_text(encoding="utf-8")
    example = page[page.index("## SenML CBOR") :].split("```")[1]
    rows, refused = run(bytes.fromhex(example))
    assert refused == []
    assert (rows.name, rows.value) == (["stage_m", "battery_v"], [2.314, 3.91])
    assert rows.time_us == [1_795_330_200_000_000] * 2


@pytest.mark.parametrize(
    "payload",
    [
        b"\xd9\xd9\xf7" + cbor2.dumps(PACK),
        b"\x9f" + b"".join(cbor2.dumps(record) for record in PACK) + b"\xff",
        b"\x82" + b"".join(b"\xbf" + cbor2.dumps(record)[1:] + b"\xff" for record in PACK),
        cbor2.dumps([{"bn": "WL-01/", "bt": 1795330200, "n": "stage_m", "u": "cm", "v": 231.4}, PACK[1]]),
        cbor2.dumps([{**PACK[0], 2: Decimal("231.4")}, PACK[1]]),
    ],
    ids=["self-described", "streamed", "maps without a length", "labels as text", "decimal fraction"],
)
def test_a_pack_may_be_written_otherwise(payload: bytes) -> None:
    assert run(payload) == run(cbor2.dumps(PACK))


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (Decimal("273.15"), 273.15),
        (Decimal("-2E+3"), -2000.0),
        (Decimal("1E-400"), 0.0),
        (0, 0.0),
        (-1, -1.0),
        (2**64 - 1, 2.0**64),
        (-(2**64), -(2.0**64)),
        (1.5, 1.5),
        (100000.0, 100000.0),
        (5e-324, 5e-324),
    ],
)
def test_every_kind_of_number_is_a_number(number: object, expected: float) -> None:
    rows, refused = run(cbor2.dumps([{0: "x", 2: number}], canonical=True))
    assert (rows.value, refused) == ([expected], [])


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, -math.inf, Decimal("1E+400"), None, cbor2.undefined, True, "2.3", b"\x02"], ids=repr
)
def test_what_is_no_number_does_not_lose_its_neighbours(value: object) -> None:
    if isinstance(value, Decimal):
        payload = b"\x83\xa2\x00\x61a\x02\x01\xa2\x00\x61b\x02\xc4\x82\x19\x01\x90\x01\xa2\x00\x61c\x02\x03"
    else:
        payload = cbor2.dumps([{0: "a", 2: 1}, {0: "b", 2: value}, {0: "c", 2: 3}])
    rows, (refusal,) = run(payload)
    assert (rows.name, rows.value) == (["a", "c"], [1.0, 3.0])
    assert refusal.reason is Reason.BAD_NUMBER


@pytest.mark.parametrize("record", [{0: "b", 3: "on"}, {0: "b", 4: True}, {0: "b", 8: b"\x00"}])
def test_text_switches_and_data_are_refused_one_by_one(record: dict[int, object]) -> None:
    rows, (refusal,) = run(cbor2.dumps([{0: "a", 2: 1}, record, {0: "c", 2: 3}]))
    assert rows.name == ["a", "c"]
    assert refusal.reason is Reason.BAD_NUMBER


def tagged(tag: int, value: object = 1) -> bytes:
    return b"\x81\xa2\x00\x61a\x02" + cbor2.dumps(cbor2.CBORTag(tag, value))


@pytest.mark.parametrize("tag", [0, 1, 2, 3, 5, 25, 28, 29, 30, 35, 37, 100, 256, 258, 1004, 43000, 2**32, 2**64 - 1])
def test_no_tag_is_followed(tag: int) -> None:
    for payload in (tagged(tag), tagged(tag, b"\x01" * 9), cbor2.dumps(cbor2.CBORTag(tag, PACK)), tagged(tag, [1, 2])):
        rows, (refusal,) = run(payload)
        assert not rows.value
        assert refusal.reason is Reason.WRONG_SHAPE


@pytest.mark.parametrize(
    "payload",
    [
        b"\x80",
        cbor2.dumps({"ts": 1795330200000, "values": {"stage_m": 1}}),
        cbor2.dumps([1, "a", [2]]),
        cbor2.dumps([{0: "a", 2: [1]}]),
        cbor2.dumps([{0: "a", 2: {1: 1}}]),
        cbor2.dumps([{9: 1, 0: "a", 2: 1}]),
        cbor2.dumps([{-7: 1, 0: "a", 2: 1}]),
        cbor2.dumps([{1.5: 1, 0: "a", 2: 1}]),
        cbor2.dumps([{True: 1, 0: "a", 2: 1}]),
        cbor2.dumps([{b"n": "a", 2: 1}]),
        cbor2.dumps([{(1, 2): 1, 0: "a", 2: 1}]),
        cbor2.dumps([{0: "a", "n": "b", 2: 1}]),
        b"\x81\xa2\x02\x01\x02\x02",
        b"\x81\xa2\x00\x61a\x02\xc4\x82\xc4\x82\x01\x01\x01",
        b"\x81\xa2\x00\x61a\x02" + b"\xc4\x82" * 50_000,
        b"\x81" * 100_000,
        b"\x9f" * 100_000,
        b"\xd9\xd9\xf7" * 50_000,
    ],
    ids=lambda payload: payload[:12].hex(),
)
def test_cbor_that_is_no_senml_is_said_to_be_so(payload: bytes) -> None:
    rows, refused = run(payload)
    assert {refusal.reason for refusal in refused} == {Reason.WRONG_SHAPE}
    assert not rows.value


@pytest.mark.parametrize(
    "payload",
    [
        cbor2.dumps(PACK)[:-1],
        cbor2.dumps(PACK) + b"\x00",
        b"\x9b" + b"\xff" * 8,
        b"\x9a\x7f\xff\xff\xff",
        b"\x81\xbb" + b"\xff" * 8,
        b"\x81\xa1\x00\x7b" + b"\xff" * 8,
        b"\x81\xa1\x08\x5a\x7f\xff\xff\xff",
        b"\x81\xa1\x00\x61\xff",
        b"\x81\xa1\x00\x7f\x61a\xff",
        b"\x81\xa1\x00\x1c",
        b"\x81\xa1\x02\xf8\x20",
        b"\x81\xa1\x02\xff",
        b"\x81\xa1\x02\xc4\x81\x01",
        b"\x81\xa1\x02\xc4",
        b"\x81\xa1\x02\xfb\x00",
        b"\xdb",
    ],
    ids=lambda payload: payload[:12].hex(),
)
def test_malformed_cbor_is_said_to_be_so(payload: bytes) -> None:
    rows, (refusal,) = run(payload)
    assert refusal.reason is Reason.NOT_CBOR
    assert not rows.value


@pytest.mark.parametrize("cut", range(1, 40))
def test_a_pack_that_is_cut_off_gives_nothing(cut: int) -> None:
    rows, (refusal,) = run(cbor2.dumps(PACK)[:cut])
    assert refusal.reason is Reason.NOT_CBOR
    assert not rows.value


def test_more_records_than_the_bound_are_refused_as_a_whole() -> None:
    rows, (refusal,) = run(cbor2.dumps([{0: "stage_m", 2: 1}] * 2001))
    assert refusal.reason is Reason.TOO_MANY
    assert not rows.value
    assert len(run(cbor2.dumps([{0: "stage_m", 2: 1}] * 2000))[0].value) == 2000


@pytest.mark.parametrize("payload", [b"\x9f" + b"\xa0" * 250_000, b"\x81\xbf" + b"\x60\x00" * 120_000])
def test_small_things_in_great_number_do_not_hold_up_the_rest(payload: bytes) -> None:
    before = time.process_time()
    rows, (refusal,) = run(payload)
    assert time.process_time() - before < 0.5
    assert refusal
    assert not rows.value


scalars = (
    st.none() | st.booleans() | st.integers(-(2**64), 2**64 - 1) | st.floats() | st.text(max_size=30)
    | st.binary(max_size=300) | st.decimals(-(10**12), 10**12, places=3)
)  # fmt: skip
labels = st.integers(-6, 8) | st.text(alphabet="xyz", max_size=3)


@thorough(150)
@given(st.lists(st.dictionaries(labels, scalars, max_size=9), max_size=9), st.booleans())
def test_another_program_reads_the_same(pack: list[dict[int | str, object]], canonical: bool) -> None:
    names = ("bs", "bv", "bu", "bt", "bn", "bver", "n", "u", "v", "vs", "vb", "s", "t", "ut", "vd")
    payload = cbor2.dumps(pack, canonical=canonical)
    expected = [
        {names[k + 6] if isinstance(k, int) else k: float(v) if isinstance(v, Decimal) else v for k, v in each.items()}
        for each in cbor2.loads(payload)
    ]
    assert [plain(record) for record in cbor.records(payload, 10)] == [plain(record) for record in expected]


def plain(record: object) -> dict[str, object]:
    """NaN is not itself, and true is 1."""
    assert isinstance(record, dict)
    return {
        k: (type(v).__name__, struct.pack(">d", v) if isinstance(v, float) and not math.isnan(v) else repr(v))
        for k, v in record.items()
    }
