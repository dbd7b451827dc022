"""A Plantower does what its manual says; a reader written here, not the project's own, checks its frames."""

import csv
import math
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_sim.serial import Plantower
from firmware_sim.serial.plantower import Command, Mode, State, command, frame
from tests.builders import thorough

AIR = {"pm2_5_ug_m3": 35.4}


def fields(sent: bytes) -> tuple[int, ...]:
    assert sent[:4] == b"\x42\x4d\x00\x1c"
    assert len(sent) == 32
    assert sum(sent[:30]) == int.from_bytes(sent[30:])
    return struct.unpack(">12H", sent[4:28])


def warm(**options: float) -> tuple[Plantower, State]:
    sensor = Plantower(zeros_s=0.0, **options)  # type: ignore[arg-type]
    return sensor, sensor.start(0.0)


def test_it_reports_by_itself_once_in_each_period() -> None:
    sensor, state = warm()
    times = []
    for tenth in range(35):
        state, sent = sensor.step(state, b"", AIR, tenth / 10)
        if sent:
            fields(sent)
            times.append(tenth / 10)
    assert times == [1.0, 2.0, 3.0]


def test_a_long_step_says_one_frame_and_not_all_that_were_missed() -> None:
    sensor, state = warm()
    state, sent = sensor.step(state, b"", AIR, 3_600.5)
    assert len(sent) == 32
    assert sensor.step(state, b"", AIR, 3_600.9)[1] == b""
    assert len(sensor.step(state, b"", AIR, 3_601.0)[1]) == 32


def test_it_shows_whole_micrograms_of_what_the_truth_names() -> None:
    sensor, state = warm()
    truth = {"pm2_5_ug_m3": 35.4, "pm1_ug_m3": 20.0, "pm10_ug_m3": 41.6, "pm2_5_cf1_ug_m3": 39.0}
    shown = fields(sensor.step(state, b"", truth, 1.0)[1])
    assert shown[:6] == (20, 39, 42, 20, 35, 42)


def test_two_channels_see_their_own_readings() -> None:
    truth = {"pm2_5_ug_m3@a": 10.0, "pm2_5_ug_m3@b": 90.0}
    seen = []
    for id in ("a", "b"):
        sensor = Plantower(id=id, zeros_s=0.0)
        seen.append(fields(sensor.step(sensor.start(0.0), b"", truth, 1.0)[1])[4])
    assert seen == [10, 90]


def test_every_field_is_zero_while_its_fan_comes_up_and_after_each_sleep() -> None:
    sensor = Plantower(zeros_s=3.0)
    state = sensor.start(0.0)
    assert not any(fields(sensor.step(state, b"", AIR, 2.9)[1]))
    assert any(fields(sensor.step(state, b"", AIR, 3.0)[1]))
    state, _ = sensor.step(state, command(Command.POWER, 0), AIR, 10.0)
    state, sent = sensor.step(state, command(Command.POWER, 1), AIR, 20.0)
    assert sent == b""
    assert not any(fields(sensor.step(state, b"", AIR, 22.9)[1]))
    assert any(fields(sensor.step(state, b"", AIR, 23.0)[1]))


def test_in_passive_mode_it_speaks_when_asked_and_only_then() -> None:
    sensor, state = warm()
    state, sent = sensor.step(state, bytes.fromhex("424de100000170"), AIR, 0.5)
    assert sent == bytes.fromhex("424d0004e1000174")
    state, sent = sensor.step(state, b"", AIR, 9.0)
    assert sent == b""
    state, sent = sensor.step(state, bytes.fromhex("424de200000171"), AIR, 9.1)
    assert fields(sent)[4] == 35
    state, sent = sensor.step(state, bytes.fromhex("424de100010171"), AIR, 9.2)
    assert state.mode is Mode.ACTIVE
    assert len(sensor.step(state, b"", AIR, 10.2)[1]) == 32


def test_asleep_it_obeys_nothing_but_wake() -> None:
    sensor, state = warm()
    state, sent = sensor.step(state, bytes.fromhex("424de400000173"), AIR, 0.1)
    assert sent == bytes.fromhex("424d0004e4000177")
    for number, data in ((Command.READ, 0), (Command.MODE, 1), (Command.MODE, 0), (Command.POWER, 0)):
        state, sent = sensor.step(state, command(number, data), AIR, 5.0)
        assert (state.mode, sent) == (Mode.ASLEEP, b"")
    state, _ = sensor.step(state, bytes.fromhex("424de400010174"), AIR, 6.0)
    assert state.mode is Mode.ACTIVE


@thorough(50)
@given(st.binary(max_size=40), st.lists(st.integers(0, 20), max_size=6))
def test_a_command_is_found_behind_rubbish_however_it_is_cut(rubbish: bytes, cuts: list[int]) -> None:
    sensor, state = warm(period_s=1e9)
    state, _ = sensor.step(state, command(Command.MODE, 0), AIR, 0.0)
    # What looks like the beginning of a command swallows the next bytes: a reader asks twice, as drivers do.
    asked = rubbish + command(Command.READ, 0) * 2
    sent = b""
    for at, size in enumerate([*cuts, len(asked)]):
        piece, asked = asked[:size], asked[size:]
        state, answer = sensor.step(state, piece, AIR, 1.0 + at)
        sent += answer
    assert len(sent) >= 32
    assert len(state.held) < 7


def test_a_command_with_a_wrong_checksum_is_not_obeyed() -> None:
    sensor, state = warm()
    state, sent = sensor.step(state, bytes.fromhex("424de400000174"), AIR, 0.1)
    assert (state.mode, sent) == (Mode.ACTIVE, b"")


def test_it_is_silent_where_nothing_is_known_and_stops_at_what_a_field_holds() -> None:
    sensor, state = warm()
    assert sensor.step(state, b"", {"pm2_5_ug_m3": math.nan}, 1.0)[1] == b""
    assert fields(sensor.step(state, b"", {"pm2_5_ug_m3": 1e9}, 1.0)[1])[4] == 0xFFFF
    with pytest.raises(KeyError):
        sensor.step(state, b"", {}, 1.0)


@thorough(50)
@given(st.floats(0, 2_000), st.floats(0, 2_000))
def test_no_frame_shows_dust_without_particles(pm2_5: float, pm10: float) -> None:
    sensor, state = warm()
    shown = fields(sensor.step(state, b"", {"pm2_5_ug_m3": pm2_5, "pm10_ug_m3": pm10}, 1.0)[1])
    assert shown[6] > 0 or shown[5] == 0
    assert list(shown[6:]) == sorted(shown[6:], reverse=True)


def test_captured_frames_come_out_again_from_their_decoded_values(reference: Path) -> None:
    folder = reference / "data" / "iot" / "pm_serial"
    with (folder / "data.csv").open() as file:
        captured = [bytes.fromhex(row["hex"]) for row in csv.DictReader(file) if row["sensor"] == "PMSx003"]
    with (folder / "PMSx003.csv").open() as file:
        rows = [[float(value) for value in row] for row in list(csv.reader(file))[1:]]
    assert len(captured) == len(rows) == 10
    for sent, (_, *pm_and_counts) in zip(captured, rows, strict=True):
        cf1, air, per_cm3 = pm_and_counts[:3], pm_and_counts[3:6], pm_and_counts[6:]
        assert frame(cf1=cf1, air=air, counts=[100 * value for value in per_cm3]) == sent
