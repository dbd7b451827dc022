"""`takean decode`: the technician's first tool."""

import base64
import io
import json
import re
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import cbor2
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from ingest import codecs
from ingest.codecs import detect
from ingest.message import Reason
from ingest.source import Format
from sensors.stations import Device, Metric
from takean import cli, decode, decode_page
from tests.builders import registry, station, thorough

FLAT = b'{"ts": 1795330200000, "values": {"stage_m": 2.314, "battery_v": null}}'
SENML = b'[{"bn": "WL-01/", "bt": 1795330200, "n": "stage_m", "u": "cm", "v": 231.4}]'
PACK = cbor2.dumps([{-2: "WL-01/", -3: 1795330200, 0: "stage_m", 1: "cm", 2: 231.4}])


def varint(number: int) -> bytes:
    """As protobuf writes it."""
    low = bytes((number & 0x7F | (0x80 if number > 0x7F else 0),))
    return low + varint(number >> 7) if number > 0x7F else low


METRIC = b"\x0a\x07stage_m\x18" + varint(1_795_330_200_000) + b"\x20\x09\x65" + struct.pack("<f", 2.25)
SPARKPLUG = b"\x08" + varint(1_795_330_200_000) + b"\x12" + varint(len(METRIC)) + METRIC + b"\x18\x00"
WIRE = (Path(__file__).parents[2] / "docs" / "wire.md").read_text(encoding="utf-8")
PAGE = (Path(__file__).parents[2] / "docs" / "decode.md").read_text(encoding="utf-8")


class Done(NamedTuple):
    """What the command left behind."""

    code: int
    out: str
    err: str

    @property
    def payloads(self) -> Any:
        return json.loads(self.out)["payloads"]


Takean = Callable[..., Done]


@pytest.fixture
def takean(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Takean:
    """Runs `takean decode` in this process; bytes among the words become files, and `-` reads the ones given."""

    def run(*words: str | bytes, stdin: bytes = b"") -> Done:
        files = []
        for number, word in enumerate(words):
            if isinstance(word, bytes):
                (tmp_path / f"payload-{number}").write_bytes(word)
            files.append(str(tmp_path / f"payload-{number}") if isinstance(word, bytes) else word)
        monkeypatch.setattr(sys, "argv", ["takean", "decode", *files])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        monkeypatch.setenv("COLUMNS", "160")
        with pytest.raises(SystemExit) as ended:
            cli.main()
        code = ended.value.code or 0
        assert isinstance(code, int)
        return Done(code, *capfd.readouterr())

    return run


def dump(data: bytes, colon: str = ":") -> bytes:
    """As xxd prints it."""
    lines = []
    for at in range(0, len(data), 16):
        part = data[at : at + 16]
        pairs = " ".join(part[i : i + 2].hex() for i in range(0, len(part), 2))
        lines.append(f"{at:08x}{colon} {pairs:<39}  {''.join(chr(b) if 32 <= b < 127 else '.' for b in part)}")
    return "\n".join(lines).encode()


def hexdump(data: bytes) -> bytes:
    """As hexdump -C prints it."""
    lines = []
    for at in range(0, len(data), 16):
        part = data[at : at + 16]
        shown = "".join(chr(b) if 32 <= b < 127 else "." for b in part)
        lines.append(f"{at:08x}  {part[:8].hex(' ')}  {part[8:].hex(' '):<23}  |{shown}|")
    return "\n".join([*lines, f"{len(data):08x}", ""]).encode()


@pytest.mark.parametrize("payload", [FLAT, SENML, PACK], ids=["flat", "senml", "cbor"])
@pytest.mark.parametrize(
    ("written", "write"),
    [
        ("", lambda b: b),
        ("hex", lambda b: b.hex().encode()),
        ("hex", lambda b: b.hex(" ").upper().encode() + b"\n"),
        ("hex", lambda b: ", ".join(f"0x{x:02x}" for x in b).encode()),
        ("hex", lambda b: b.hex(":").encode()),
        ("hex", dump),
        ("hex", hexdump),
        ("base64", base64.b64encode),
        ("base64", base64.encodebytes),
        ("base64", lambda b: base64.urlsafe_b64encode(b).rstrip(b"=")),
    ],
    ids=["plain", "hex", "spaced", "0x", "colons", "xxd", "hexdump", "base64", "lines", "url"],
)
def test_a_payload_may_be_copied_down_in_any_way(payload: bytes, written: str, write: Callable[[bytes], bytes]) -> None:
    found = detect.detect(write(payload))
    assert found is not None
    assert (found.payload, found.format, found.written) == (payload, Format.OWN, written)


def test_good_readings_are_told_in_thai_with_their_unit(takean: Takean) -> None:
    done = takean(FLAT)
    assert done.code == 0
    assert "own · JSON" in done.out
    assert re.search(r"22 พ\.ย\. 2569 13:50:00 +- +stage_m +2\.314 +m", done.out)
    assert re.search(r"battery_v +ไม่มีค่า · missing +V", done.out)


def test_one_object_holds_what_was_found(takean: Takean) -> None:
    done = takean("--json", FLAT, "-", stdin=PACK.hex().encode())
    assert done.code == 0
    flat, pack = done.payloads
    assert flat["readings"][0] == {
        "time": "2026-11-22T13:50:00+07:00",
        "time_us": 1_795_330_200_000_000,
        "station": "",
        "name": "stage_m",
        "value": 2.314,
        "unit": "m",
        "thai": "ระดับน้ำ",
        "english": "stage",
    }
    assert flat["readings"][1]["value"] is None
    assert (pack["file"], pack["kind"], pack["written"]) == ("-", "CBOR", "hex")
    assert [(r["station"], r["name"], r["value"]) for r in pack["readings"]] == [("WL-01", "stage_m", 2.314)]


def test_the_fields_of_the_object_are_those_of_the_page() -> None:
    for kind in (decode.Report, decode.Decoded, decode.Reading, decode.Refusal):
        fields = re.findall(rf"^\| `{kind.__name__.lower()}\.(\w+)` \|", PAGE, re.MULTILINE)
        assert fields == [field.name for field in msgspec.structs.fields(kind)]


def test_what_is_refused_is_told_with_its_reason(takean: Takean) -> None:
    spoilt = FLAT.replace(b"null", b'"full"')
    done = takean(spoilt)
    assert done.code == 1
    assert "stage_m" in done.out
    assert "refused, bad_number: 'battery_v' is 'full'" in done.out
    assert takean("--json", spoilt, FLAT).code == 1


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b'{"ts": 1795330200000, "values": {"water_level": 2.314}}', "unknown_name"),
        (b'{"ts": 1795330200000, "values": ', "not_json"),
        (PACK[:-3], "not_cbor"),
        (b"2.5 m at the bridge", "wrong_shape"),
        (b"", "wrong_shape"),
        (b"\x00\x01\x02", "wrong_shape"),
    ],
)
def test_what_ingest_would_not_store_is_not_called_good(takean: Takean, payload: bytes, reason: str) -> None:
    done = takean("--json", payload)
    assert done.code == 1
    assert [refusal["reason"] for refusal in done.payloads[0]["refused"]] == [reason]


def test_a_relative_time_counts_from_the_arrival(takean: Takean) -> None:
    done = takean("--json", "--received", "22/11/2569 18:00", b'[{"n": "stage_m", "t": -60, "v": 1}]')
    assert done.payloads[0]["readings"][0]["time"] == "2026-11-22T17:59:00+07:00"


def test_a_pack_that_names_another_station_too_is_of_the_first(takean: Takean) -> None:
    both = b'[{"n": "WL-01/stage_m:left", "u": "cm", "v": 231.4}, {"n": "WL-02/stage_m", "u": "cm", "v": 300}]'
    done = takean("--json", both)
    assert done.code == 1
    first, other = done.payloads[0]["readings"]
    assert (first["station"], first["name"], first["value"], first["unit"]) == ("WL-01", "stage_m@left", 2.314, "m")
    assert (other["name"], other["unit"]) == ("WL-02/stage_m", None)


def test_a_topic_says_whose_it_is(takean: Takean) -> None:
    done = takean("--json", "--topic", "takean/v1/WL-01/data", SENML)
    assert [(r["station"], r["name"]) for r in done.payloads[0]["readings"]] == [("WL-01", "stage_m")]
    other = takean("--json", "--topic", "takean/drill/v1/WL-02/data", SENML)
    assert other.code == 1
    assert [r["reason"] for r in other.payloads[0]["refused"]] == ["unknown_name"]


def test_the_registry_says_what_a_station_has(takean: Takean) -> None:
    from takean.settings import SAMPLE

    stations = str(SAMPLE / "stations.toml")
    wind = b'{"ts": 1795330200000, "values": {"pm10_ug_m3": 3}}'
    assert takean("--stations", stations, "--station", "WL-01", FLAT).code == 0
    assert takean("--stations", stations, "--station", "WL-01", wind).code == 1


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("nowhere.bin",), "nowhere.bin"),
        (("--format", "xml", FLAT), "things_stack"),
        (("--topic", "a/b", FLAT), "no readings come by such a topic"),
        (("--received", "today", FLAT), "time of day"),
        ((b"x" * (4 * 1024 * 1024 + 1),), "more than"),
        (("--stations", "nowhere.toml", FLAT), "nowhere.toml"),
        ((), "FILE"),
    ],
)
def test_a_wrong_use_says_what_is_right(takean: Takean, words: tuple[str | bytes, ...], expected: str) -> None:
    done = takean(*words)
    assert done.code == 2
    assert expected in "".join((done.err + done.out).split("\n")).replace("│", "")


def test_what_devices_write_cannot_move_the_cursor_nor_colour_the_page(takean: Takean) -> None:
    done = takean(json.dumps({"ts": 1, "values": {"[red]\x1b[2J\u202e": 1, "a\nb": "\x07"}}).encode())
    assert done.code == 1
    assert not set("\x1b\x07\u202e") & set(done.out)
    assert "[red]" in done.out


CHIRPSTACK = {
    "deviceInfo": {"devEui": "A84041000181C061", "deviceProfileName": "gauge"},
    "time": "2026-11-22T06:50:00+00:00",
    "fPort": 2,
    "object": {"stage_m": 2.314},
}
THINGS_STACK = {
    "end_device_ids": {"device_id": "gauge-7"},
    "received_at": "2026-11-22T06:50:00Z",
    "uplink_message": {"f_port": 2, "decoded_payload": {"stage_m": 2.314}, "received_at": "2026-11-22T06:50:00Z"},
}


@pytest.mark.parametrize(
    ("payload", "form", "name"),
    [
        (json.dumps(CHIRPSTACK).encode(), Format.CHIRPSTACK, "a84041000181c061"),
        (b'{"devEUI": "qEBBAAGBwGE=", "data": ""}', Format.CHIRPSTACK, "a84041000181c061"),
        (json.dumps(THINGS_STACK).encode(), Format.THINGS_STACK, "gauge-7"),
        (SPARKPLUG, Format.SPARKPLUG, ""),
    ],
    ids=["chirpstack", "chirpstack 3", "things stack", "sparkplug"],
)
def test_other_formats_are_told_by_what_they_hold(payload: bytes, form: Format, name: str) -> None:
    for written in (payload, payload.hex().encode(), base64.b64encode(payload)):
        found = detect.detect(written)
        assert found is not None
        assert (found.format, found.id, found.payload) == (form, name, payload)


@pytest.mark.parametrize("uplink", [CHIRPSTACK, THINGS_STACK], ids=["chirpstack", "things_stack"])
def test_an_uplink_of_a_network_server_is_read(takean: Takean, uplink: dict[str, object]) -> None:
    done = takean("--json", json.dumps(uplink).encode())
    assert done.code == 0, done.out
    assert [(r["time"], r["name"], r["value"]) for r in done.payloads[0]["readings"]] == [
        ("2026-11-22T13:50:00+07:00", "stage_m", 2.314)
    ]


def test_a_payload_of_sparkplug_is_read_as_a_birth(takean: Takean) -> None:
    done = takean("--json", SPARKPLUG)
    assert done.payloads[0]["format"] == "sparkplug"
    assert [(r["name"], r["time_us"], r["value"]) for r in done.payloads[0]["readings"]] == [
        ("stage_m", 1_795_330_200_000_000, 2.25)
    ], done.out


def test_a_bare_frame_is_read_with_its_model(takean: Takean) -> None:
    frame = bytes((2, 0x12, 0x34, 0, 3)) + bytes(8) + (2950).to_bytes(2, "big")  # Decentlab: version, id, flags, words
    for written in (frame, frame.hex().encode(), base64.b64encode(frame)):
        done = takean("--json", "--model", "DL-TBRG", written)
        (payload,) = done.payloads
        assert payload["kind"] == "frame"
        assert payload["format"] == "chirpstack"
        assert {(r["name"], r["value"]) for r in payload["readings"]} >= {("battery_v", 2.95)}, done.out


def test_what_the_label_says_is_a_parameter(takean: Takean) -> None:
    frame = bytes.fromhex("02 1234 0003 0004 0258 0009 0001 0bc4")
    done = takean("--json", "--model", "DL-TBRG", "--parameter", "resolution_mm=0.2", frame)
    assert done.code == 0, done.out
    assert {r["name"]: r["value"] for r in done.payloads[0]["readings"]} == {
        "rain_mm": 0.8,
        "rain_total_mm": 13109.0,
        "battery_v": 3.012,
    }
    done = takean("--model", "DL-TBRG", frame)
    assert done.code == 1
    assert "ถอดรหัสของอุปกรณ์นี้ไม่ได้" in done.out
    assert "--parameter" in done.out
    done = takean("--model", "DL-TBRG", "--parameter", "resolution_mm", frame)
    assert done.code == 2
    assert "NAME=NUMBER" in done.err


def test_a_device_of_the_things_stack_is_found_without_its_tenant() -> None:
    device = Device(via="things_stack", id="flood@ttn/gauge-7", names={"h": Metric(reading="stage_m", unit="cm")})
    held = registry(msgspec.structs.replace(station("A"), device=device))
    uplink = {
        "end_device_ids": {"device_id": "gauge-7", "application_ids": {"application_id": "flood"}},
        "uplink_message": {"received_at": "2026-11-22T06:50:00Z", "decoded_payload": {"h": 231.4}},
    }
    asked = decode.Asked(registry=held)
    told = decode.explain("x", json.dumps(uplink).encode(), asked, codecs=codecs.standard(), received_us=0)
    assert [(r.station, r.name, r.value) for r in told.readings] == [("A", "stage_m", 2.314)]


def test_many_refusals_are_counted_on_the_page_and_all_in_the_object() -> None:
    bad = json.dumps([{"n": "stage_m", "vs": "high"}] * 300).encode()
    told = decode.explain("x", bad, decode.Asked(), codecs=codecs.standard(), received_us=0)
    page = io.StringIO()
    Console(file=page, width=100).print(decode_page.told(told))
    assert len(told.refused) == 300
    assert "and 280 more" in page.getvalue()


def test_every_reason_of_a_codec_is_said_in_thai() -> None:
    ways_in = {Reason.UNREGISTERED, Reason.NOT_MQTT, Reason.RETAINED, Reason.BAD_FRAME}
    assert decode_page.THAI.keys() == set(Reason) - ways_in


@pytest.mark.parametrize("codec", list(Format))
def test_a_format_may_be_said_beforehand(takean: Takean, codec: Format) -> None:
    assert codec in codecs.standard()
    done = takean("--json", "--format", codec, b"\x00nothing")
    assert done.code == 1
    assert done.payloads[0]["format"] == codec


def test_the_examples_of_the_standard_are_read(takean: Takean, reference: Path) -> None:
    folder = reference / "data" / "iot"
    done = takean(
        "--json",
        *(str(folder / "senml" / name) for name in ("ex3.gen.cbor.hex", "ex3.json")),
        str(folder / "the_things_stack" / "02_uplink_message.json"),
        str(folder / "lorawan" / "Decentlab_DL-PM" / "ChirpStack" / "payload.json"),
    )
    dumped, plain, things, chirp = done.payloads
    assert (dumped["kind"], dumped["written"]) == ("CBOR", "hex")
    assert dumped["readings"] == plain["readings"]
    assert (things["format"], things["device"]) == ("things_stack", "app1/dev1")
    assert (chirp["format"], chirp["device"]) == ("chirpstack", "70b3d57ba0003bb8")
    assert takean("--model", "DL-PM", str(folder / "lorawan/Decentlab_DL-PM/ChirpStack/payload.json")).code == 0


@thorough(80)
@given(
    st.one_of(
        st.binary(max_size=100),
        st.text(max_size=60).map(lambda t: t.encode("utf-8", "replace")),
        st.from_regex(rb"[0-9a-fx: |{\[\n]+", fullmatch=True),
    )
)
def test_anything_at_all_is_told(data: bytes) -> None:
    for asked in (decode.Asked(), decode.Asked(model="DL-TBRG"), decode.Asked(format=Format.SPARKPLUG)):
        found = decode.explain("x", data, asked, codecs=codecs.standard(), received_us=1_795_330_200_000_000)
        assert found.readings or found.refused
        page = io.StringIO()
        Console(file=page, width=60).print(decode_page.told(found))
        assert page.getvalue().startswith("x: ")
        assert msgspec.json.decode(msgspec.json.encode(found), type=decode.Decoded) == found


def test_what_else_a_device_behind_a_network_measures_is_passed_over_as_ingest_does() -> None:
    device = Device(via="chirpstack", id="a84041000181c061", names={"h": Metric(reading="stage_m", unit="cm")})
    held = registry(msgspec.structs.replace(station("A"), device=device))
    for fields, names, reasons in (
        ({"h": 231.4, "wind_m_s": 3}, ["stage_m"], []),
        ({"wind_m_s": 3}, ["wind_m_s"], [Reason.UNKNOWN_NAME]),
    ):
        uplink = {"deviceInfo": {"devEui": device.id}, "time": "2026-11-22T06:50:00Z", "object": fields}
        asked = decode.Asked(registry=held)
        told = decode.explain("x", json.dumps(uplink).encode(), asked, codecs=codecs.standard(), received_us=0)
        assert [r.name for r in told.readings] == names
        assert [r.reason for r in told.refused] == reasons
