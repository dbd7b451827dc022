"""What a broken, confused or hostile device sends in place of readings."""

import gzip
import json
from collections.abc import Callable
from typing import NamedTuple

from tests.live.records import Reading

Bytes = Callable[[int], bytes]
"""A payload of its own for every number."""

FINE_US = 1_000
"""Payloads carry milliseconds."""


class Bad(NamedTuple):
    """A payload of which nothing can be stored."""

    what: str
    make: Bytes
    reasons: tuple[str, ...]
    """Of docs/wire.md, one for each quarantine row."""


def flat(values: str, ts: str = "1795330200000") -> Bytes:
    """Flat JSON; `seq` makes each payload one of its own."""
    return lambda n: f'{{"ts": {ts}, "seq": {n}, "values": {values}}}'.encode()


def senml(record: str) -> Bytes:
    """A SenML pack of one record; the time of a record that stands before makes each payload one of its own."""
    return lambda n: f'[{{"bt": {1_795_330_200 + n}}}, {record}]'.encode()


BAD = (
    Bad("cut off", lambda n: b'{"ts": 1795330200000, "seq": %d, "values": {"stage_m": 1.' % n, ("not_json",)),
    Bad("empty", lambda _: b"", ("not_json",)),
    Bad("binary", lambda n: bytes(range(256)) + n.to_bytes(8), ("not_json",)),
    Bad("compressed", lambda n: gzip.compress(b"%d" % n), ("not_json",)),
    Bad("CBOR, and no SenML", lambda n: b"\xa2btsi" + n.to_bytes(8) + b"fvalues\xa0", ("wrong_shape",)),
    Bad("CBOR, cut off", lambda n: b"\x82\xa2\x00gstage_m\x02\x1b" + n.to_bytes(8), ("not_cbor",)),
    Bad("UTF-16", lambda n: f'{{"ts": {n}}}'.encode("utf-16"), ("not_json",)),
    Bad("nested deeply", lambda n: b"[" * 100_000 + b"%d" % n, ("not_json",)),
    Bad("nested deeply and closed", lambda n: b"[" * 20_000 + b"%d" % n + b"]" * 20_000, ("not_json",)),
    Bad("objects nested deeply", lambda n: b'{"a":' * 20_000 + b"%d" % n + b"}" * 20_000, ("not_json",)),
    Bad("a number", lambda n: b"%d" % n, ("wrong_shape",)),
    Bad("a text", lambda n: b'"%d"' % n, ("wrong_shape",)),
    Bad("null", lambda n: b"null" + b" " * (n % 1000), ("wrong_shape",)),
    Bad("values as an array", flat("[1, 2]"), ("wrong_shape",)),
    Bad("no values", lambda n: b'{"ts": 1795330200000, "seq": %d}' % n, ("wrong_shape",)),
    Bad("a value as text", flat('{"stage_m": "1.5"}'), ("bad_number",)),
    Bad("a value as truth", flat('{"stage_m": true}'), ("bad_number",)),
    Bad("a value as an object", flat('{"stage_m": {"v": 1.5}}'), ("bad_number",)),
    Bad("NaN", flat('{"stage_m": NaN}'), ("bad_number",)),
    Bad("minus infinity", flat('{"stage_m": -Infinity}'), ("bad_number",)),
    Bad("1e400", flat('{"stage_m": 1e400}'), ("bad_number",)),
    Bad("400 digits", flat('{"stage_m": ' + "9" * 400 + "}"), ("bad_number",)),
    Bad("time as text", flat('{"stage_m": 1.5}', '"2026-11-22"'), ("bad_time",)),
    Bad("time before 1970", flat('{"stage_m": 1.5}', "-1"), ("bad_time",)),
    Bad("time after 2262", flat('{"stage_m": 1.5}', "9223372036855000"), ("bad_time",)),
    Bad("time in nanoseconds", flat('{"stage_m": 1.5}', "1795330200000000000"), ("bad_time",)),
    Bad("no time", lambda n: b'{"seq": %d, "values": {"stage_m": 1.5}}' % n, ("bad_time",)),
    Bad("a reading nobody registered", flat('{"pm2_5_ug_m3": 12}'), ("unknown_name",)),
    Bad("a name that is half a character", flat('{"\\ud800": 1}'), ("unknown_name",)),
    Bad("a name of 60,000 characters", flat('{"' + "x" * 60_000 + '": 1}'), ("unknown_name",)),
    Bad(
        "2,001 readings",
        lambda n: json.dumps({"ts": 1795330200000 + n, "values": {f"r{i}": i for i in range(2_001)}}).encode(),
        ("too_many",),
    ),
    Bad("SenML: a text value", senml('{"n": "stage_m", "vs": "high"}'), ("bad_number",)),
    Bad("SenML: a truth value", senml('{"n": "stage_m", "vb": true}'), ("bad_number",)),
    Bad("SenML: no value", senml('{"n": "stage_m", "u": "m"}'), ("bad_number",)),
    Bad("SenML: a foreign unit", senml('{"n": "stage_m", "u": "Pa", "v": 1}'), ("unknown_unit",)),
    Bad("SenML: another station's name", senml('{"bn": "S-9/", "n": "stage_m", "u": "m", "v": 9}'), ("unknown_name",)),
    Bad("SenML: a version to come", senml('{"bver": 11, "n": "stage_m", "v": 1}'), ("wrong_shape",)),
    Bad("SenML: must be understood", senml('{"bx_": 1, "n": "stage_m", "v": 1}'), ("wrong_shape",)),
    Bad("SenML: NaN", senml('{"n": "stage_m", "v": NaN}'), ("bad_number",)),
    Bad("SenML: a sum without end", senml('{"n": "stage_m", "bv": 1e308, "v": 1e308}'), ("bad_number",)),
)


class Mixed(NamedTuple):
    """A pack of which the good half is stored and the bad half refused."""

    what: str
    make: Callable[[Reading], bytes]
    reasons: tuple[str, ...]


def _s(reading: Reading) -> str:
    return f"{reading.time_us / 1e6:.3f}"


def _ms(reading: Reading) -> int:
    return reading.time_us // FINE_US


MIXED = (
    Mixed(
        "one of two values is text",
        lambda r: b'{"ts": %d, "values": {"stage_m": %.3f, "battery_v": "low"}}' % (_ms(r), r.stage_m),
        ("bad_number",),
    ),
    Mixed(
        "one of two names is unknown",
        lambda r: b'{"ts": %d, "values": {"stage_m": %.3f, "x": 1}}' % (_ms(r), r.stage_m),
        ("unknown_name",),
    ),
    Mixed(
        "one of three objects is good",
        lambda r: (
            b'[{"ts": "x", "values": {"stage_m": 9}}, {"ts": %d, "values": {"stage_m": %.3f}}, 7]' % (_ms(r), r.stage_m)
        ),
        ("bad_time", "wrong_shape"),
    ),
    Mixed(
        "NaN beside a number",
        lambda r: b'{"ts": %d, "values": {"battery_v": NaN, "stage_m": %.3f}}' % (_ms(r), r.stage_m),
        ("bad_number",),
    ),
    Mixed(
        "SenML: a record between two bad ones",
        lambda r: (
            f'[{{"n": "stage_m", "vs": "x"}}, {{"n": "stage_m", "u": "cm", "v": {r.stage_m * 100:.1f}, "t": {_s(r)}}},'
            f' {{"n": "stage_m", "u": "kg", "v": 1}}]'
        ).encode(),
        ("bad_number", "unknown_unit"),
    ),
)
