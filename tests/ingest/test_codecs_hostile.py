"""Whatever the bytes, a codec gives readings that can be kept, or refusals that say why.

`make test` throws a sample; `make soak` throws 100,000 payloads at the codecs, and draws them anew. A failure prints
the seed of its payload: `payload_of(format, seed)` makes it again;
a codec that remembers saw those of the seeds before.
"""

import json
import math
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random, SystemRandom
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.codecs import senml, senml_clean, standard
from ingest.codecs.bounds import READINGS_MAX
from ingest.codecs.detect import detect
from ingest.message import Rejection, Rows
from ingest.source import Format, Source
from ingest.times import TIME_US_MAX
from sensors.quantities import QUANTITIES
from sensors.stations import Device, Metric
from tests.builders import SOAK, thorough

NOW_US = 1_795_330_260_000_000
SHARE = {Format.OWN: 0.4}
PAYLOADS = 100_000 if SOAK else 4_000
"""Of all formats together."""
DETAIL_CHARS_MAX = 600
FIRST_SEED = SystemRandom().randrange(2**40) if SOAK else 1

NAMES = (*QUANTITIES, "stage_m@left", "rain_total_mm:2", "level", "", "WL-02/stage_m", "\ud800", "ระดับน้ำ", "x" * 70_000)
NUMBERS = (0, 1, -1, 0.0, -0.0, 2.314, 1e308, -1e308, 5e-324, 2**63, -(2**64), 10**30, 65535, 999, -9999)  # fmt: skip
TIMES = (0, 1, 1_795_330_200, 1_795_330_200_000, 1_795_330_200_000_000, 2**28, 2**28 - 1, -60, 9_223_372_036_855)
TEXTS = (
    "2026-11-22T18:00:05+07:00",
    "22/11/2569 18:00:05",
    "24:00",
    "2026-02-30T00:00:00Z",
    "m",
    "cm",
    "mm/h",
    "Cel",
    "",
)
ODD: tuple[object, ...] = (
    None,
    True,
    False,
    "",
    "NaN",
    math.nan,
    math.inf,
    -math.inf,
    [],
    {},
    [1],
    {"v": 1},
    "\x00",
    "\u202e",
)
FIELDS = (
    *("ts", "values", "n", "bn", "bt", "v", "bv", "u", "t", "stage_m", "deviceInfo", "devEui", "data", "object"),
    *(
        "time",
        "fPort",
        "end_device_ids",
        "device_id",
        "uplink_message",
        "frm_payload",
        "decoded_payload",
        "received_at",
    ),
)
SPARKPLUG_VERBS = (*("NBIRTH", "DBIRTH", "NDATA", "DDATA") * 4, "NDEATH", "DDEATH", "NCMD", "DCMD", "", "STATE")


# Seeds: what devices send, written here by hand.


def varint(number: int) -> bytes:
    number &= 2**64 - 1
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*out, number))


def sparkplug(random: Random) -> bytes:
    metrics = b""
    for index, name in enumerate(random.sample(list(QUANTITIES), 4)):
        value = random.choice(
            (b"\x65" + struct.pack("<f", 2.25), b"\x69" + struct.pack("<d", 2.25), b"\x50\x07", b"\x38\x01")
        )
        kind = {0x65: 9, 0x69: 10, 0x50: 3, 0x38: 1}[value[0]]
        named = b"\x0a" + varint(len(name)) + name.encode() if random.random() < 0.8 else b""
        body = named + b"\x10" + varint(index) + b"\x18" + varint(random.choice(TIMES)) + b"\x20" + varint(kind) + value
        metrics += b"\x12" + varint(len(body)) + body
    session = b"\x12\x0b\x0a\x05bdSeq\x20\x04\x58\x00"
    return b"\x08" + varint(1_795_330_200_000) + metrics + session + b"\x18" + varint(random.randrange(256))


def uplink(form: Format, random: Random) -> bytes:
    fields = {name: random.choice(NUMBERS) for name in random.sample(list(QUANTITIES), 3)}
    frame = random.choice(("AhI0AAMAAAAAAAAAAAuG", "AXVkA2cQAQRogA==", "", "####"))
    if form is Format.CHIRPSTACK:
        device = {"devEui": "a84041000181c061", "deviceProfileName": random.choice(("DL-TBRG", "EM500-UDL", "gauge"))}
        told = {"deviceInfo": device, "time": "2026-11-22T06:50:00Z", "fPort": 85, "data": frame, "object": fields}
    else:
        message = {"f_port": 85, "frm_payload": frame, "decoded_payload": fields, "received_at": "2026-11-22T06:50:00Z"}
        told = {"end_device_ids": {"device_id": "gauge-7"}, "uplink_message": message}
    return json.dumps(told).encode()


def flat(random: Random) -> object:
    objects = [
        {
            "ts": random.choice((*TIMES, *TEXTS)),
            "values": {random.choice(NAMES): random.choice(NUMBERS) for _ in range(3)},
        }
        for _ in range(random.randrange(1, 4))
    ]
    return random.choice((objects, objects[0], {random.choice(NAMES): random.choice(NUMBERS) for _ in range(3)}))


KINDS: dict[str, Sequence[object]] = {
    "n": NAMES, "bn": ("WL-01/", "", *NAMES), "v": NUMBERS, "bv": NUMBERS, "s": NUMBERS, "bs": NUMBERS, "t": TIMES,
    "bt": TIMES, "u": TEXTS, "bu": TEXTS, "vs": TEXTS, "vb": (True,), "vd": ("aGk",), "ut": TIMES, "bver": (5, 10),
}  # fmt: skip


def records(random: Random) -> list[dict[str, object]]:
    pack: list[dict[str, object]] = []
    for _ in range(random.randrange(1, 6)):
        labels = ["n", "v", *random.sample(list(KINDS), random.randrange(5))]
        pack.append({label: random.choice(KINDS[label]) for label in labels})
    return pack


LABELS = dict(
    zip(
        ("bs", "bv", "bu", "bt", "bn", "bver", "n", "u", "v", "vs", "vb", "s", "t", "ut", "vd"),
        range(-6, 9),
        strict=True,
    )
)


def seed_of(form: Format, random: Random, real: Sequence[bytes]) -> bytes:
    if real and random.random() < 0.4:
        return random.choice(real)
    if form is Format.SPARKPLUG:
        return sparkplug(random)
    if form is not Format.OWN:
        return uplink(form, random)
    kind = random.randrange(3)
    if kind == 0:
        return json.dumps(flat(random)).encode()
    pack = records(random)
    if kind == 1:
        return json.dumps(pack).encode()
    plain = json.loads(json.dumps(pack).replace("\\ud800", "?"))
    return cbor2.dumps([{LABELS[k]: v for k, v in record.items()} for record in plain])


# What happens to them on the way.


def spoil_bytes(data: bytes, random: Random) -> bytes:
    changed = bytearray(data)
    for _ in range(random.randrange(1, 5)):
        at = random.randrange(len(changed) + 1)
        match random.randrange(6):
            case 0:
                changed[at:at] = random.randbytes(random.randrange(1, 9))
            case 1:
                del changed[at : at + random.randrange(1, 9)]
            case 2 if at < len(changed):
                changed[at] ^= 1 << random.randrange(8)
            case 3 if at < len(changed):
                changed[at] = random.choice(b'\x00\x7f\x80\xff\x9f\xbf\xc4\xfb[]{}",:0-eE')
            case 4:
                del changed[at:]
            case 5:
                changed[at:at] = changed[: random.randrange(60)]
    return bytes(changed)


def spoil_json(data: bytes, random: Random) -> bytes:
    try:
        parsed = json.loads(data)
    except (ValueError, RecursionError):
        return spoil_bytes(data, random)
    places = list(places_of(parsed))
    for holder, key in random.sample(places, min(len(places), random.randrange(1, 4))):
        holder[key] = random.choice((*ODD, *NUMBERS, *TIMES, *TEXTS, *NAMES[:-1]))
    if places and random.random() < 0.3:
        holder, key = random.choice(places)
        if isinstance(holder, dict):
            holder[random.choice((*NAMES, "ts", "values", "n", "x_", "deviceInfo", "object"))] = holder.pop(key, None)
    return json.dumps(parsed).encode()


def places_of(value: Any) -> Iterator[tuple[Any, Any]]:
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(pairs):
        yield value, key
        yield from places_of(inner)


def payload_of(form: Format, seed: int, real: Sequence[bytes] = ()) -> bytes:
    random = Random(seed)
    data = seed_of(form, random, real)
    match random.randrange(10):
        case 0 | 1 | 2:
            return data
        case 3:
            return random.randbytes(random.randrange(300))
        case 4:  # deep, long, or wide
            opened = random.choice(
                (b"[", b'{"a":', b"\x81", b"\xa1\x00", b'{"ts":1,"values":{"a":', b"\x12\x7f", b'{"object":')
            )
            return opened * random.choice((1, 50, 5_000)) + data
        case 5 | 6:
            return spoil_bytes(data, random)
        case _:
            return spoil_json(data, random) if data[:1] in b"[{" else spoil_bytes(data, random)


# What must hold.


def source_of(form: Format, seed: int, payload: bytes = b"") -> Source:
    random = Random(seed)
    if form is Format.OWN:
        return Source(format=form, station="WL-01", id="WL-01")
    found = detect(payload)
    id = (found.id if found else "") or "group/node"
    verb = random.choice(SPARKPLUG_VERBS) if form is Format.SPARKPLUG else ""
    if verb.startswith("D"):
        id += "/device"
    names = {name: Metric(reading=name, unit=q.unit) for name, q in QUANTITIES.items() if random.random() < 0.5}
    model = random.choice(("", "DL-TBRG", "DL-PM", "DL-MBX", "EM500-UDL", "EM310-UDL", "AM319", "none"))
    device = Device(via=form.value, id=id, model=model, names=names)  # type: ignore[arg-type]
    return Source(
        format=form,
        station="WL-01",
        device=random.choice((None, device)),
        id=id,
        verb=verb,
        is_registered=bool(seed % 2),
    )


def check(form: Format, rows: Rows, refused: list[Rejection]) -> None:
    columns = (rows.station, rows.name, rows.time_us, rows.value, rows.message)
    assert len({len(column) for column in columns}) == 1
    assert len(rows.value) <= READINGS_MAX
    assert set(rows.station) <= {"WL-01"}
    assert set(rows.message) <= {7}
    for name, time_us, value in zip(rows.name, rows.time_us, rows.value, strict=True):
        assert type(value) is float
        assert not math.isinf(value)
        assert type(time_us) is int
        assert 0 <= time_us <= TIME_US_MAX
        name.encode()
    for refusal in refused:
        assert refusal.reason.value
        assert refusal.detail.isprintable()
        assert 0 < len(refusal.detail) <= DETAIL_CHARS_MAX
    if form is Format.OWN:  # elsewhere there are births, deaths, and frames for the network only
        assert rows.value or refused


def real_payloads(reference: Path, form: Format) -> list[bytes]:
    """Published examples and recorded uplinks, read in place."""
    folder = reference / "data" / "iot"
    if form is Format.CHIRPSTACK:
        found = sorted(folder.glob("lorawan/*/ChirpStack/payload*.json"))
    elif form is Format.THINGS_STACK:
        found = sorted([*folder.glob("lorawan/*/Things*/payload*.json"), *folder.glob("the_things_stack/*.json")])
    else:
        dump = (folder / "senml" / "ex3.gen.cbor.hex").read_text()
        packed = bytes.fromhex("".join(line[5:].partition("|")[0] for line in dump.splitlines()))
        return [packed, *(path.read_bytes() for path in sorted(folder.glob("senml/*.json")))]
    return [path.read_bytes() for path in found]


def throw(form: Format, seeds: range, real: Sequence[bytes]) -> tuple[int, int]:
    """Readings and refusals that came of the payloads; AssertionError names the one that failed."""
    codec = standard()[form]
    taken = denied = 0
    for seed in seeds:
        payload = payload_of(form, seed, real)
        rows = Rows()
        try:
            refused = codec(payload, source_of(form, seed, payload), NOW_US, 7, rows)
            check(form, rows, refused)
        except Exception as error:
            raise AssertionError(f"payload_of({form!s}, {seed}): {payload[:500]!r}") from error
        taken, denied = taken + len(rows.value), denied + len(refused)
    return taken, denied


def seeds_of(form: Format, share: float) -> range:
    others = (1 - SHARE[Format.OWN]) / (len(Format) - 1)
    return range(FIRST_SEED, FIRST_SEED + round(PAYLOADS * SHARE.get(form, others) * share))


@pytest.mark.parametrize("form", list(Format))
def test_any_payload_is_readings_or_refusals(form: Format) -> None:
    taken, denied = throw(form, seeds_of(form, 0.5), ())
    assert taken, "the payloads are too spoilt to test anything"
    assert denied


@pytest.mark.parametrize("form", [form for form in Format if form is not Format.SPARKPLUG])
def test_any_spoilt_real_payload_is_readings_or_refusals(form: Format, reference: Path) -> None:
    taken, denied = throw(form, seeds_of(form, 0.5), real_payloads(reference, form))
    assert taken
    assert denied


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.sampled_from((*TEXTS, *TIMES)),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=4), inner, max_size=5)
    ),
    max_leaves=15,
)
packable = st.lists(st.dictionaries(st.integers(-7, 9), anything, max_size=6), max_size=4)


@pytest.mark.parametrize("form", list(Format))
@thorough(60)
@given(
    payload=st.one_of(
        st.binary(max_size=200),
        anything.map(lambda value: json.dumps(value).encode()),
        packable.map(cbor2.dumps),
        st.binary(max_size=60).map(lambda tail: b"\x12" + varint(len(tail)) + tail),
    ),
    seed=st.integers(0, 1000),
)
def test_anything_at_all_is_readings_or_refusals(form: Format, payload: bytes, seed: int) -> None:
    rows = Rows()
    check(form, rows, standard()[form](payload, source_of(form, seed, payload), NOW_US, 7, rows))


def test_the_hostile_payloads_can_fail() -> None:
    """The check is no better than what it finds in a codec that is wrong."""
    with pytest.raises(AssertionError):
        check(Format.OWN, Rows(["WL-01"], ["a"], [1], [math.inf], [7]), [])
    with pytest.raises(AssertionError):
        check(Format.OWN, Rows(["WL-02"], ["a"], [1], [1.0], [7]), [])
    with pytest.raises(AssertionError):
        check(Format.OWN, Rows(), [])


def test_the_short_way_through_senml_reads_what_the_long_way_reads() -> None:
    random = Random(FIRST_SEED)
    short = 0
    for _ in range(20_000 if SOAK else 1_000):
        pack = records(random)
        if random.random() < 0.8:  # mostly such as devices send
            plain = ("bn", "bt", "bu", "bv", "n", "u", "t", "v")
            pack = [{k: v for k, v in r.items() if k in plain and v not in NAMES[-3:]} for r in pack]
        text = json.dumps(pack)
        if random.random() < 0.3:
            text = spoil_json(text.encode(), random).decode()
        rows, again = Rows(), Rows()
        if text[:1] != "[" or not senml_clean.decode(text.encode(), NOW_US, "WL-01", 7, rows):
            assert not rows.value
            continue
        short += 1
        assert senml.decode(json.loads(text), NOW_US, "WL-01", 7, again) == [], text
        assert rows == again, text
        packed = Rows()
        assert senml_clean.decode(json.loads(text), NOW_US, "WL-01", 7, packed)
        assert packed == again, text
    assert short > 50


def test_flat_json_says_exactly_what_was_measured() -> None:
    """The writer here shares nothing with the codec: texts put together by hand."""
    random = Random(FIRST_SEED)
    codec = standard()[Format.OWN]
    for _ in range(20_000 if SOAK else 400):
        expected, objects = [], []
        for _ in range(random.randrange(1, 5)):
            time_ms = random.randrange(0, TIME_US_MAX // 1000)
            values = {}
            for name in random.sample(list(QUANTITIES), random.randrange(1, 5)):
                value = random.choice(
                    (random.uniform(-1e4, 1e4), random.randrange(-999, 999), random.choice(NUMBERS), None)
                )
                expected.append((name, time_ms * 1000, "nan" if value is None else float(value)))
                values[name] = "null" if value is None else repr(value)
            fields = ", ".join(f'"{name}": {value}' for name, value in values.items())
            ts = random.choice((str(time_ms), f"{time_ms}.0"))
            parts = [f'"ts": {ts}', f'"values": {{{fields}}}', '"seq": 5']
            random.shuffle(parts)
            objects.append("{" + ",".join(parts) + "}")
        text = objects[0] if len(objects) == 1 else "[" + ", ".join(objects) + "]"
        rows = Rows()
        assert codec(text.encode(), source_of(Format.OWN, 0), NOW_US, 7, rows) == []
        got = zip(rows.name, rows.time_us, ("nan" if math.isnan(v) else v for v in rows.value), strict=True)
        assert list(got) == expected, text
