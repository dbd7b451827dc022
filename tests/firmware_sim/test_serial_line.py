"""An instrument on a pseudo-terminal is, for a reader, an instrument on an adapter."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import serial  # type: ignore[import-untyped]

from firmware_sim.serial import Faults, Plantower, Sps30, Ultrasonic, on_port, on_pty
from firmware_sim.serial.line import UNREAD_BYTES_MAX
from firmware_sim.serial.plantower import Command, command
from firmware_sim.serial.ultrasonic import frame

PATIENCE_S = 10.0


def until(there: Callable[[], bool]) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while not there():
        assert time.monotonic() < end_s
        time.sleep(0.005)


def at(distance_m: float) -> Callable[[float], dict[str, float]]:
    return lambda now_s: {"distance_m": distance_m}


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_a_reader_hears_it_in_raw_bytes() -> None:
    # 0x0D, 0x0A, 0x11, 0x13 and 0x03 are what a terminal would change, hold or act upon.
    for count in (0x0D0A, 0x1113, 0x0304):
        with (
            on_pty(Ultrasonic(), at(count / 1000)) as line,
            serial.Serial(str(line.path), 9600, timeout=PATIENCE_S) as port,
        ):
            assert port.read(4) == frame(count)


def test_what_a_reader_says_arrives_whole_and_is_answered() -> None:
    with (
        on_pty(Sps30(), lambda _: {"pm2_5_ug_m3": 12.0}) as line,
        serial.Serial(str(line.path), 115_200, timeout=PATIENCE_S) as port,
    ):
        port.write(bytes.fromhex("7e0000020103f97e"))
        assert port.read(7) == bytes.fromhex("7e00000000ff7e")
        assert line.state is not None
        assert line.state.mode.name == "MEASURING"


def test_it_follows_the_clock_that_it_is_given_and_no_other() -> None:
    clock = Clock()
    with (
        on_pty(Ultrasonic(), lambda now_s: {"distance_m": now_s / 100}, clock=clock) as line,
        serial.Serial(str(line.path), 9600, timeout=0.05) as port,
    ):
        assert port.read(4) == b""
        clock.now_s = 200.0
        port.timeout = PATIENCE_S
        assert port.read(4) == frame(2000)
        port.timeout = 0.05
        assert port.read(4) == b""


def test_speed_is_seconds_of_the_instrument_in_a_second() -> None:
    with (
        on_pty(Plantower(period_s=60.0), lambda _: {"pm2_5_ug_m3": 5.0}, speed=6_000.0) as line,
        serial.Serial(str(line.path), 9600, timeout=PATIENCE_S) as port,
    ):
        assert len(port.read(5 * 32)) == 5 * 32


def test_unplugged_its_reader_fails_at_once_and_the_device_is_gone() -> None:
    with on_pty(Ultrasonic(), at(2.0)) as line, serial.Serial(str(line.path), 9600, timeout=PATIENCE_S) as port:
        port.read(4)
        line.unplug()
        assert not line.is_plugged
        assert not os.path.lexists(line.path)
        with pytest.raises((serial.SerialException, OSError)):
            port.read(10_000)
        with pytest.raises(serial.SerialException):
            serial.Serial(str(line.path))


def test_back_it_is_the_same_device_with_an_instrument_that_has_just_come_on() -> None:
    with on_pty(Plantower(period_s=0.1), lambda _: {"pm2_5_ug_m3": 5.0}) as line:
        with serial.Serial(str(line.path), 9600, timeout=PATIENCE_S) as port:
            port.write(command(Command.MODE, 0))
            until(lambda: line.state is not None and line.state.mode.name == "PASSIVE")
            line.unplug()
            line.replug()
        assert line.state is not None
        assert line.state.mode.name == "ACTIVE"
        with serial.Serial(str(line.path), 9600, timeout=PATIENCE_S) as port:
            assert port.read(2) == b"\x42\x4d"


def test_its_cable_comes_out_and_goes_in_by_the_seed_too() -> None:
    clock = Clock()
    faults = Faults(unplugged=1.0, during=(10.0, 20.0))
    with on_pty(Ultrasonic(), at(2.0), faults=faults, clock=clock) as line:
        assert line.path.exists()
        clock.now_s = 10.0
        until(lambda: not line.is_plugged)
        line.replug()  # nobody puts it back before its time
        assert not line.path.exists()
        clock.now_s = 20.0
        until(lambda: line.is_plugged)
        assert line.path.exists()


def test_what_nobody_reads_is_not_kept_for_a_later_reader() -> None:
    clock = Clock()
    said = 0

    def truth(now_s: float) -> dict[str, float]:
        nonlocal said
        said = round(now_s)
        return {"pm2_5_ug_m3": now_s}

    with on_pty(Plantower(period_s=0.5, zeros_s=0.0), truth, clock=clock) as line:
        descriptor = os.open(line.path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        try:
            for second in range(1, 82):
                clock.now_s = float(second)
                until(lambda at=second: said == at)  # type: ignore[misc]
            kept = os.read(descriptor, 100_000)
        finally:
            os.close(descriptor)
    assert 0 < len(kept) <= UNREAD_BYTES_MAX
    assert int.from_bytes(kept[-20:-18]) >= 80


def test_what_the_truth_raises_comes_out_where_the_line_was_opened() -> None:
    with pytest.raises(KeyError, match="distance_m"), on_pty(Ultrasonic(), lambda _: {}) as line:
        until(lambda: not line.is_plugged)


def test_a_path_of_ones_own_is_a_link_and_nothing_is_left(tmp_path: Path) -> None:
    wanted = tmp_path / "by-id" / "usb-level"
    with on_pty(Ultrasonic(), at(2.0), path=wanted) as line:
        assert line.path == wanted
        assert wanted.is_symlink()
    assert list((tmp_path / "by-id").iterdir()) == []
    with on_pty(Ultrasonic(), at(2.0)) as line:
        place = line.path
    assert not place.parent.exists()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("line ")]


def test_on_a_real_port_it_says_the_same() -> None:
    ours, theirs = os.openpty()
    try:
        with on_port(Ultrasonic(), at(2.0), os.ttyname(theirs)):
            said = b""
            while len(said) < 4:
                said += os.read(ours, 4 - len(said))
            assert said == frame(2000)
    finally:
        os.close(ours)
        os.close(theirs)


def test_a_port_that_is_not_there_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere"), on_port(Ultrasonic(), at(2.0), str(tmp_path / "nowhere")):
        pass
