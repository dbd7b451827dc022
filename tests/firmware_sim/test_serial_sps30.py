"""An SPS30 answers as its data sheet says, through frames that are stuffed."""

import csv
import math
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_sim.serial import Sps30, shdlc
from firmware_sim.serial.sps30 import Command, Mode, State, Trouble, measured
from tests.builders import thorough

AIR = {"pm2_5_ug_m3": 12.0}
START = bytes.fromhex("7e0000020103f97e")
READ = bytes.fromhex("7e000300fc7e")
STOP = bytes.fromhex("7e000100fe7e")


def ask(command: Command, data: bytes = b"", *, address: int = 0) -> bytes:
    return shdlc.frame(bytes((address, command, len(data))) + data)


def answered(sent: bytes, command: Command) -> tuple[int, bytes]:
    (content,), rest = shdlc.split(sent)
    assert rest == b""
    assert (content[0], content[1], content[3]) == (0, command, len(content) - 4)
    return content[2], content[4:]


def measuring(now_s: float = 0.0) -> tuple[Sps30, State]:
    sensor = Sps30()
    return sensor, sensor.step(sensor.start(now_s), START, AIR, now_s)[0]


def test_published_requests_are_what_this_framing_makes() -> None:
    assert (ask(Command.START, b"\x01\x03"), ask(Command.READ), ask(Command.STOP)) == (START, READ, STOP)


@thorough(200)
@given(st.lists(st.binary(min_size=1, max_size=259), max_size=4))
def test_any_content_comes_back_from_a_stream_of_frames(contents: list[bytes]) -> None:
    stream = b"".join(shdlc.frame(content) for content in contents)
    assert not {0x11, 0x13} & set(stream)
    assert stream.count(0x7E) == 2 * len(contents)
    assert shdlc.split(stream) == (contents, b"")


@thorough(50)
@given(st.binary(max_size=60), st.lists(st.integers(0, 6), max_size=8))
def test_a_request_is_found_behind_rubbish_however_it_is_cut(rubbish: bytes, cuts: list[int]) -> None:
    sensor, state = measuring()
    asked, sent = rubbish + READ + READ, b""
    for size in [*cuts, 200]:
        piece, asked = asked[:size], asked[size:]
        state, answer = sensor.step(state, piece, AIR, 5.0)
        sent += answer
    contents, _ = shdlc.split(sent)
    assert any(len(content) == 44 for content in contents)


def test_it_measures_a_second_after_it_was_told_to_and_gives_each_sample_once() -> None:
    sensor, state = measuring(100.0)
    given_at = []
    for tenth in range(36):
        state, sent = sensor.step(state, READ, AIR, 100.0 + tenth / 10)
        trouble, data = answered(sent, Command.READ)
        assert trouble == Trouble.NONE
        if data:
            given_at.append(tenth / 10)
            assert struct.unpack(">10f", data)[1] == 12.0
    assert given_at == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("request_", [READ, STOP, ask(Command.CLEAN)])
def test_what_needs_a_measurement_is_refused_while_it_is_idle(request_: bytes) -> None:
    sensor = Sps30()
    state, sent = sensor.step(sensor.start(0.0), request_, AIR, 1.0)
    assert answered(sent, Command(request_[2])) == (Trouble.NOT_NOW, b"")
    assert state.mode is Mode.IDLE


def test_started_twice_it_refuses_the_second_and_goes_on() -> None:
    sensor, state = measuring()
    state, sent = sensor.step(state, START, AIR, 5.0)
    assert answered(sent, Command.START)[0] == Trouble.NOT_NOW
    assert answered(sensor.step(state, READ, AIR, 5.0)[1], Command.READ)[1]


def test_after_stop_it_gives_nothing_and_after_a_start_only_what_is_new() -> None:
    sensor, state = measuring()
    state, _ = sensor.step(state, STOP, AIR, 5.0)
    assert answered(sensor.step(state, READ, AIR, 5.0)[1], Command.READ)[0] == Trouble.NOT_NOW
    state, _ = sensor.step(state, START, AIR, 6.0)
    assert answered(sensor.step(state, READ, AIR, 6.5)[1], Command.READ) == (Trouble.NONE, b"")


def test_started_for_whole_numbers_it_gives_them_with_its_size_in_nanometres() -> None:
    sensor = Sps30()
    state, _ = sensor.step(sensor.start(0.0), ask(Command.START, b"\x01\x05"), AIR, 0.0)
    shown = struct.unpack(">10H", answered(sensor.step(state, READ, AIR, 1.0)[1], Command.READ)[1])
    assert (shown[1], shown[9]) == (12, 700)


@pytest.mark.parametrize(
    ("request_", "trouble"),
    [
        (ask(Command.START, b"\x01\x04"), Trouble.PARAMETER),
        (ask(Command.START, b"\x01"), Trouble.LENGTH),
        (shdlc.frame(b"\x00\x03\x05"), Trouble.LENGTH),
        (shdlc.frame(b"\x00\x77\x00"), Trouble.UNKNOWN),
        (ask(Command.INFORMATION, b"\x09"), Trouble.PARAMETER),
    ],
)
def test_a_wrong_request_is_answered_with_its_reason(request_: bytes, trouble: Trouble) -> None:
    sensor = Sps30()
    _, sent = sensor.step(sensor.start(0.0), request_, AIR, 0.0)
    (content,), _ = shdlc.split(sent)
    assert content[2] == trouble


def test_a_request_for_another_or_with_a_wrong_checksum_is_left_alone() -> None:
    sensor, state = measuring()
    for request in (ask(Command.READ, address=1), READ.replace(b"\xfc", b"\xfd")):
        assert sensor.step(state, request, AIR, 5.0)[1] == b""


def test_asleep_it_needs_a_pulse_and_then_the_command() -> None:
    sensor = Sps30()
    state, sent = sensor.step(sensor.start(0.0), ask(Command.SLEEP), AIR, 0.0)
    assert answered(sent, Command.SLEEP)[0] == Trouble.NONE
    wake = ask(Command.WAKE)
    state, sent = sensor.step(state, wake, AIR, 10.0)
    assert (state.mode, sent) == (Mode.ASLEEP, b"")  # the first only shakes the line
    late, sent = sensor.step(state, wake, AIR, 11.0)
    assert (late.mode, sent) == (Mode.ASLEEP, b"")
    state, sent = sensor.step(state, wake, AIR, 10.05)
    assert (state.mode, answered(sent, Command.WAKE)[0]) == (Mode.IDLE, Trouble.NONE)
    asleep, _ = sensor.step(state, ask(Command.SLEEP), AIR, 20.0)
    assert sensor.step(asleep, b"\xff" + wake, AIR, 30.0)[0].mode is Mode.IDLE


def test_it_tells_who_it_is_and_a_reset_ends_the_measurement() -> None:
    sensor, state = measuring()
    told = [answered(sensor.step(state, ask(Command.INFORMATION, data), AIR, 1.0)[1], Command.INFORMATION)
            for data in (b"\x00", b"\x03")]  # fmt: skip
    assert told == [(0, b"00080000\0"), (0, b"0123456789ABCDEF\0")]
    assert answered(sensor.step(state, ask(Command.STATUS, b"\x00"), AIR, 1.0)[1], Command.STATUS) == (0, bytes(5))
    assert len(answered(sensor.step(state, ask(Command.VERSION), AIR, 1.0)[1], Command.VERSION)[1]) == 7
    assert sensor.step(state, ask(Command.RESET), AIR, 1.0)[0].mode is Mode.IDLE


def test_nothing_known_is_no_new_sample() -> None:
    sensor, state = measuring()
    _, sent = sensor.step(state, READ, {"pm2_5_ug_m3": math.nan}, 5.0)
    assert answered(sent, Command.READ) == (Trouble.NONE, b"")


def test_captured_frames_come_out_again_from_their_decoded_values(reference: Path) -> None:
    folder = reference / "data" / "iot" / "pm_serial"
    with (folder / "data.csv").open() as file:
        captured = [bytes.fromhex(row["hex"]) for row in csv.DictReader(file) if row["sensor"] == "SPS30"]
    with (folder / "SPS30.csv").open() as file:
        rows = [[float(value) for value in row][1:] for row in list(csv.reader(file))[1:]]
    assert len(captured) == len(rows) == 10
    stuffed = 0
    for sent, shown in zip(captured, rows, strict=True):
        (content,), _ = shdlc.split(sent)
        exact = struct.unpack(">10f", content[4:])
        # The captures were decoded to one or two digits: as many hold, and all of them make the same bytes again.
        assert exact == pytest.approx(shown, abs=0.051)
        again = measured(exact[:4], exact[4:9], exact[9])
        assert shdlc.frame(bytes((0, Command.READ, 0, len(again))) + again) == sent
        stuffed += sent.count(0x7D)
    assert stuffed > 5
