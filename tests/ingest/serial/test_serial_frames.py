"""What instruments on serial lines send, byte by byte: frames, noise, and every way to cut them."""

import csv
import itertools
import json
import math
import random
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.serial.heard import HEAD_BYTES, Fault, Frame, Instrument, Refused
from ingest.serial.hunt import RUN_BYTES_MAX
from ingest.serial.modbus import Modbus, request
from ingest.serial.options import Register
from ingest.serial.plantower import STREAM, WAKE, Plantower
from ingest.serial.sps30 import READ, START, STOP, Sps30, unstuffed
from ingest.serial.ultrasonic import Ultrasonic
from tests.builders import thorough
from tests.ingest.serial import frames
from tests.ingest.serial.frames import heard, pieces, values

TEN = (5.0, 9.5, 12.0, 13.25, 26.0, 37.0, 41.5, 42.0, 42.5, 0.75)
STAGE = Register(reading="stage_m", address=7, type="i16", unit="mm")


def asked(*registers: Register) -> Modbus:
    """A line whose first question is out."""
    line = Modbus(registers or (STAGE,), 60.0)
    line.begin()
    line.turn(0.0)
    return line


class Asked(Modbus):
    """For streams: asks again at once, and is not deaf between two questions."""

    def begin(self) -> bytes:
        super().begin()
        self.turn(0.0)
        return b""


def faults(found: list[Frame | Refused]) -> list[Fault]:
    return [one.fault for one in found if isinstance(one, Refused)]


# ---- recordings of real sensors


def recorded(reference: Path, sensor: str) -> list[tuple[bytes, dict[str, str]]]:
    folder = reference / "data" / "iot" / "pm_serial"
    with (folder / "data.csv").open(newline="") as file:
        sent = [bytes.fromhex(row["hex"]) for row in csv.DictReader(file) if row["sensor"] == sensor]
    with (folder / f"{sensor}.csv").open(newline="") as file:
        read = list(csv.DictReader(file, skipinitialspace=True))
    assert len(sent) == len(read) == 10
    return list(zip(sent, read, strict=True))


@pytest.mark.parametrize("sensor", ["PMSx003", "PMS5003T", "PMS3003"])
def test_every_recorded_plantower_frame_gives_the_values_of_its_record(reference: Path, sensor: str) -> None:
    for frame, read in recorded(reference, sensor):
        assert values(heard(Plantower(), frame)) == [
            {
                "pm1_ug_m3": float(read["pm01"]),
                "pm2_5_ug_m3": float(read["pm25"]),
                "pm10_ug_m3": float(read["pm10"]),
                "pm2_5_cf1_ug_m3": float(read["raw25"]),
            }
        ]


def test_every_recorded_sps30_frame_gives_the_values_of_its_record(reference: Path) -> None:
    for frame, read in recorded(reference, "SPS30"):
        (found,) = values(heard(Sps30(), frame))
        assert found == {
            name: pytest.approx(float(read[column]), abs=0.05)
            for name, column in (("pm1_ug_m3", "pm01"), ("pm2_5_ug_m3", "pm25"), ("pm10_ug_m3", "pm10"))
        }


def test_frames_of_other_sensors_are_refused_and_never_read(reference: Path) -> None:
    with (reference / "data" / "iot" / "pm_serial" / "data.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if not row["sensor"].startswith(("PMS", "SPS"))]
    foreign = b"".join(bytes.fromhex(row["hex"]) for row in rows)
    assert len(rows) == 46
    for instrument in (Plantower(), Sps30(), Asked((STAGE,), 60.0)):
        assert values(heard(instrument, foreign)) == []


def test_the_published_frames_of_level_gauges_are_read(reference: Path) -> None:
    published = json.loads((reference / "data" / "iot" / "serial_level_frames.json").read_text(encoding="utf-8"))
    for each in published["ultrasonic_uart"]["examples"]:
        unit, per_m = ("mm", 1000) if "distance_mm" in each else ("cm", 100)
        found = values(heard(Ultrasonic(unit), bytes.fromhex(each["frame"]) * 3))
        assert found == [{"distance_m": each[f"distance_{unit}"] / per_m}] * 3
    one, other = published["modbus_rtu"]["examples"]
    register = Register(reading="stage_m", address=0)
    assert request(register) == bytes.fromhex(one["request"])
    line = asked(register)
    assert values(list(line.feed(bytes.fromhex(one["response"])))) == [{"stage_m": 1.0}]
    body = bytes.fromhex(other["request"])
    assert frames.crc(body[:-2]) == body[-2:]


# ---- frames of our own making


def test_a_plantower_frame_gives_the_atmosphere_and_cf1() -> None:
    assert values(heard(Plantower(), frames.plantower())) == [
        {"pm1_ug_m3": 2.0, "pm2_5_ug_m3": 6.0, "pm10_ug_m3": 8.0, "pm2_5_cf1_ug_m3": 7.0}
    ]


@pytest.mark.parametrize(("length", "words"), [(20, (1, 2, 3, 1, 2, 3, 0, 0, 0x51)), (36, (*range(1, 17), 0x9100))])
def test_shorter_and_longer_plantower_frames_are_read(length: int, words: tuple[int, ...]) -> None:
    (found,) = values(heard(Plantower(), frames.plantower(words, length=length)))
    assert (found["pm2_5_cf1_ug_m3"], found["pm2_5_ug_m3"]) == (words[1], words[4])


def test_a_plantower_that_warms_up_or_contradicts_itself_is_refused() -> None:
    zeros = frames.plantower((0,) * 12)
    odd = frames.plantower((1, 2, 3, 1, 2, 3, 0, 0, 0, 0, 0, 0))
    blank = frames.plantower((0,) * 9, length=20)
    found = heard(Plantower(), zeros, odd, blank)
    assert faults(found) == [Fault.WARMING_UP, Fault.INCONSISTENT, Fault.WARMING_UP]
    assert [one.head for one in found if isinstance(one, Refused)] == [zeros, odd, blank]


def test_a_plantower_is_woken_and_its_answers_to_that_are_no_refusals() -> None:
    sensor = Plantower()
    assert sensor.begin() == WAKE + STREAM
    answer = b"\x42\x4d\x00\x04\xe1\x01"
    answer += struct.pack(">H", sum(answer))
    assert list(sensor.feed(frames.plantower() + answer + frames.plantower())) == heard(
        Plantower(), frames.plantower() * 2
    )


def test_an_ultrasonic_ranger_speaks_in_its_unit_and_without_an_echo_in_none() -> None:
    assert values(heard(Ultrasonic("mm"), frames.ultrasonic(2314) * 2)) == [{"distance_m": 2.314}] * 2
    assert values(heard(Ultrasonic("cm"), frames.ultrasonic(417) * 2)) == [{"distance_m": 4.17}] * 2
    for raw in (0, 0xFFFD, 0xFFFE, 0xFFFF, 7500):
        found = values(heard(Ultrasonic("mm", [7500]), frames.ultrasonic(raw) * 2))
        assert [math.isnan(each["distance_m"]) for each in found] == [True, True], raw


def test_noise_is_no_distance() -> None:
    noise = random.Random(20261122).randbytes(300_000)  # five minutes of a floating wire
    chance = sum(noise[at] == 0xFF and sum(noise[at : at + 3]) & 0xFF == noise[at + 3] for at in range(len(noise) - 4))
    assert chance > 2, "a sum of one byte alone would let it in"
    assert values(heard(Ultrasonic("mm"), noise)) == []


def test_a_ranger_is_believed_at_the_second_frame_after_noise_and_from_then_on_at_each() -> None:
    ranger, frame = Ultrasonic("mm"), frames.ultrasonic(2314)
    assert heard(ranger, b"\x07" + frame) == []
    assert len(values(list(ranger.feed(frame)))) == 2
    assert len(values(list(ranger.feed(frame)))) == 1
    assert values(list(ranger.feed(b"\x07" + frame))) == []
    assert len(values(list(ranger.feed(frame)))) == 2


def test_a_ranger_whose_distance_holds_the_mark_of_a_frame_is_read() -> None:
    stream = b"".join(frames.ultrasonic(distance) for distance in (0x07FF, 0xFF07 & 0x7FFF, 0x0FFF, 1953))
    assert [found["distance_m"] for found in values(heard(Ultrasonic("mm"), stream[1:]))] == [
        0x7F07 / 1000,
        0x0FFF / 1000,
        1.953,
    ]


def test_an_sps30_is_started_asked_once_a_second_and_laid_to_rest() -> None:
    sensor = Sps30()
    assert sensor.begin() == START
    assert sensor.turn(10.0) == (READ, ())
    assert sensor.turn(10.5) == (b"", ())
    assert sensor.due_s == 11.0
    assert list(sensor.feed(frames.sps30(None, command=0))) == [], "the answer to START is no measurement"
    assert list(sensor.feed(frames.sps30(None, command=0, state=0x43))) == [], "nor that it measures already"
    assert values(list(sensor.feed(frames.sps30(TEN)))) == [{"pm1_ug_m3": 5.0, "pm2_5_ug_m3": 9.5, "pm10_ug_m3": 13.25}]
    (nothing_new,) = values(list(sensor.feed(frames.sps30(None))))
    assert all(map(math.isnan, nothing_new.values()))
    assert sensor.end() == STOP


def test_an_sps30_that_lost_its_power_is_started_again() -> None:
    sensor = Sps30()
    assert faults(heard(sensor, frames.sps30(None, state=0x43))) == [Fault.WARMING_UP]
    assert sensor.turn(10.0)[0] == START
    assert sensor.turn(11.0)[0] == READ


def test_an_sps30_with_a_fault_or_without_numbers_is_refused() -> None:
    bad = [(*TEN[:1], math.nan, *TEN[2:]), (*TEN[:3], math.inf, *TEN[4:]), (-1.0, *TEN[1:]), TEN[:5]]
    found = heard(Sps30(), frames.sps30(TEN, state=0x80), frames.sps30(None, state=4), *map(frames.sps30, bad))
    assert faults(found) == [Fault.INSTRUMENT] * 2 + [Fault.INCONSISTENT] * 4
    assert values(found) == []


def test_every_byte_survives_the_stuffing_of_an_sps30() -> None:
    every = bytes(range(256))
    stuffed = every.replace(b"}", b"}]").replace(b"~", b"}^").replace(b"\x11", b"}1").replace(b"\x13", b"}3")
    assert unstuffed(stuffed) == every
    assert unstuffed(b"\x7d\x00") is None
    assert unstuffed(b"\x7d") is None


@pytest.mark.parametrize(
    ("register", "words", "expected"),
    [
        (Register(reading="stage_m", address=0, type="i16", unit="mm"), (0xFFF6,), -0.01),
        (Register(reading="stage_m", address=0, unit="cm"), (231,), 2.31),
        (Register(reading="rain_total_mm", address=0, type="u32", scale=0.1), (1, 2), 6553.8),
        (Register(reading="rain_total_mm", address=0, type="u32", order="CDAB"), (2, 1), 65538.0),
        (Register(reading="stage_m", address=0, type="i32", unit="mm"), (0xFFFF, 0xFFFE), -0.002),
        (Register(reading="stage_m", address=0, type="f32"), (0x3F80, 0), 1.0),
        (Register(reading="stage_m", address=0, type="f32", order="CDAB"), (0, 0x3F80), 1.0),
        (Register(reading="stage_m", address=0, type="f32", order="BADC"), (0x803F, 0), 1.0),
        (Register(reading="stage_m", address=0, type="f32", order="DCBA"), (0, 0x803F), 1.0),
        (Register(reading="stage_m", address=0, order="DCBA"), (0x0100,), 1.0),
        (Register(reading="distance_m@b", address=0, scale=-0.001, offset=5.0), (1500,), 3.5),
        (Register(reading="stage_m", address=0, missing=(65535,)), (65535,), math.nan),
        (Register(reading="stage_m", address=0, type="f32"), (0x7FC0, 0), math.nan),
        (Register(reading="stage_m", address=0, type="f32"), (0x7F80, 0), math.nan),
    ],
)
def test_registers_become_readings_in_their_canonical_unit(
    register: Register, words: tuple[int, ...], expected: float
) -> None:
    (found,) = values(list(asked(register).feed(frames.modbus(*words))))
    assert found == {register.reading: pytest.approx(expected, nan_ok=True)}


def test_modbus_asks_one_register_after_the_other_and_waits_for_each() -> None:
    rain = Register(reading="rain_total_mm", address=3, function="input", device=2)
    line = Modbus((STAGE, rain), 60.0)
    line.begin()
    assert line.turn(100.0)[0] == request(STAGE)
    assert line.turn(100.9)[0] == b"", "it has a second"
    line.feed(frames.modbus(2314))
    assert line.turn(101.0)[0] == request(rain), "at once"
    assert line.turn(102.0) == (b"", []), "who does not answer is no refusal, and the round is over"
    assert line.due_s == 112.0, "five rounds for one reading"
    assert line.turn(112.0)[0] == request(STAGE)


def test_an_answer_that_is_broken_refused_or_cut_off_concerns_its_register_alone() -> None:
    for answer, fault in (
        (frames.modbus(2314)[:-1] + b"\0", Fault.CHECKSUM),
        (frames.modbus(2314)[:-1], Fault.CHECKSUM),
        (b"\x01\x83\x02" + frames.crc(b"\x01\x83\x02"), Fault.INSTRUMENT),
        (b"hello", Fault.NOISE),
    ):
        line = asked()
        found = [*line.feed(answer), *line.turn(1.0)[1]]
        assert found == [Refused(fault, answer, ("stage_m",))]


def test_an_adapter_that_echoes_the_question_and_a_stray_byte_do_no_harm() -> None:
    line = asked()
    for round_s in (0.0, 12.0):
        assert line.turn(round_s)[0] == (request(STAGE) if round_s else b"")
        assert list(line.feed(b"\0" + request(STAGE) + frames.modbus(2314) + b"\0")) == [Frame({"stage_m": 2.314})]
        assert line.due_s == round_s + 12.0


def test_an_answer_that_comes_late_is_not_taken_for_another_registers() -> None:
    depth = Register(reading="depth_m", address=8, unit="mm")
    rain = Register(reading="rain_total_mm", address=0, device=2)
    line = Modbus((STAGE, depth, rain), 5.0)
    line.begin()
    assert line.turn(0.0)[0] == request(STAGE)
    assert line.turn(1.0)[0] == request(rain), "the other device can be asked"
    assert list(line.feed(frames.modbus(2314))) == [], "this was the stage"
    assert values(list(line.feed(frames.modbus(7, device=2)))) == [{"rain_total_mm": 7.0}]
    assert line.turn(1.5)[0] == b""
    assert list(line.feed(frames.modbus(2314))) == []
    assert line.turn(2.0)[0] == request(STAGE), "the next round"


def test_an_answer_of_another_device_or_of_another_length_is_not_ours() -> None:
    for answer in (frames.modbus(1, device=2), frames.modbus(1, 2), frames.modbus(1, function=4)):
        assert values(list(asked().feed(answer))) == []


# ---- properties

STREAMS: dict[str, tuple[Callable[[], Instrument], list[bytes]]] = {
    "plantower": (
        Plantower,
        [
            frames.plantower(),
            frames.plantower((0,) * 12),
            frames.plantower((1, 66, 77, 1, 66, 77, 0x424D, 4, 3, 2, 1, 0)),
        ],
    ),
    "ultrasonic": (lambda: Ultrasonic("mm"), [frames.ultrasonic(d) for d in (1953, 0x00FF, 0xFF00, 0xFFFF, 255)]),
    "sps30": (
        Sps30,
        [frames.sps30(TEN), frames.sps30(None), frames.sps30((1e-3,) * 10), frames.sps30(None, command=0, state=0x43)],
    ),
    "modbus": (lambda: Asked((STAGE,), 60.0), [frames.modbus(2314), frames.modbus(0x0103), b"\x01\x03\x02"]),
}


@pytest.mark.parametrize("kind", STREAMS)
@given(data=st.data())
@thorough(60)
def test_any_cutting_of_a_stream_gives_the_same(kind: str, data: st.DataObject) -> None:
    make, good = STREAMS[kind]
    parts = st.one_of(
        st.sampled_from(good),
        st.binary(max_size=6),
        st.sampled_from(good).flatmap(lambda frame: st.integers(0, len(frame)).map(lambda end: frame[:end])),
    )
    stream = b"".join(data.draw(st.lists(parts, max_size=12)))
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=20))
    assert _same(heard(make(), *pieces(stream, cuts)), heard(make(), stream))


@pytest.mark.parametrize("kind", STREAMS)
def test_a_stream_split_at_every_byte_gives_the_same(kind: str) -> None:
    make, good = STREAMS[kind]
    stream = b"\xff\x42\x7e" + good[0] + b"\x01\x42\x4d\xff" + b"".join(good)
    whole = heard(make(), stream)
    assert values(whole)
    assert _same(heard(make(), *(stream[i : i + 1] for i in range(len(stream)))), whole)
    for cut in range(len(stream)):
        assert _same(heard(make(), stream[:cut], stream[cut:]), whole)


@pytest.mark.parametrize("kind", ["plantower", "sps30", "ultrasonic"])
@given(noise=st.binary(max_size=40), lost=st.integers(0, 200))
@thorough(100)
def test_after_noise_and_a_lost_byte_the_stream_is_found_again(kind: str, noise: bytes, lost: int) -> None:
    make, good = STREAMS[kind]
    frame = good[0]
    broken = frame * 3
    at = lost % len(broken)
    found = heard(make(), noise + broken[:at] + broken[at + 1 :] + frame * 20)
    expected = values(heard(make(), frame * 2))[0]
    assert values(found)[-15:] == [expected] * 15


@pytest.mark.parametrize("kind", STREAMS)
@given(chunks=st.lists(st.binary(max_size=600), max_size=8))
@thorough(60)
def test_noise_is_refused_in_bounded_pieces_and_fills_no_memory(kind: str, chunks: list[bytes]) -> None:
    instrument = STREAMS[kind][0]()
    found = heard(instrument, *chunks)
    assert len(instrument._hunt._buffer) <= 522  # type: ignore[attr-defined]
    assert all(0 < len(one.head) <= HEAD_BYTES for one in found if isinstance(one, Refused))


@pytest.mark.parametrize("kind", STREAMS)
def test_one_wrong_bit_is_never_a_wrong_number(kind: str) -> None:
    make, good = STREAMS[kind]
    frame = good[0] if kind == "modbus" else good[0] * 2
    expected = values(heard(make(), frame))[0]
    for at, bit in itertools.product(range(len(frame)), range(8)):
        wrong = frame[:at] + bytes((frame[at] ^ 1 << bit,)) + frame[at + 1 :]
        assert all(found == expected for found in values(heard(make(), wrong))), (at, bit)


def test_an_sps30_frame_whose_edge_was_lost_does_not_take_the_next_one_with_it() -> None:
    frame = frames.sps30(TEN)
    assert len(values(heard(Sps30(), frame[:-1] + frame))) == 2
    assert len(values(heard(Sps30(), frame + frame[1:]))) == 2


def test_a_wrong_baud_rate_is_many_refusals_and_no_reading() -> None:
    found = heard(Plantower(), b"\x00\xfe\x10" * 1000)
    assert faults(found) == [Fault.NOISE] * (3000 // RUN_BYTES_MAX)


def test_what_was_going_on_when_the_line_was_opened_is_no_refusal() -> None:
    frame = frames.plantower()
    assert heard(Plantower(), frame[9:] + frame) == heard(Plantower(), frame)
    (first, refused, last) = heard(Plantower(), frame + frame[9:] + frame)
    assert (first, last) == (heard(Plantower(), frame)[0],) * 2
    assert refused == Refused(Fault.NOISE, frame[9:])


def _same(one: list[Frame | Refused], other: list[Frame | Refused]) -> bool:
    return repr(one) == repr(other)  # NaN is not equal to itself


def test_what_others_say_on_a_modbus_line_between_two_questions_is_no_refusal() -> None:
    line = asked()
    line.feed(frames.modbus(2314))
    assert list(line.feed(frames.modbus(7) * 100)) == []
    assert line.turn(12.0) == (request(STAGE), [])
