"""An ultrasonic meter says what its maker's page says."""

import json
import math
from pathlib import Path

import pytest

from firmware_sim.serial import Ultrasonic
from firmware_sim.serial.ultrasonic import NO_ECHO, frame


def said(distance_m: float, **options: float) -> bytes:
    meter = Ultrasonic(**options)  # type: ignore[arg-type]
    return meter.step(meter.start(0.0), b"", {"distance_m": distance_m}, 0.1)[1]


def test_it_says_millimetres_with_their_sum() -> None:
    assert said(1.953) == bytes.fromhex("ff07a1a7")
    assert said(4.17, step_m=0.01) == bytes.fromhex("ff01a1a1")


def test_it_speaks_ten_times_a_second_and_hears_nothing() -> None:
    meter = Ultrasonic()
    state, times = meter.start(0.0), 0
    for step in range(1, 101):
        state, sent = meter.step(state, b"\xff\xff", {"distance_m": 2.0}, step / 50 + 0.001)
        times += bool(sent)
    assert times == 20


@pytest.mark.parametrize("distance_m", [0.279, 7.501, -1.0, math.nan, math.inf])
def test_what_it_cannot_see_is_a_lost_echo_and_no_distance(distance_m: float) -> None:
    assert said(distance_m) == frame(NO_ECHO) == bytes.fromhex("fffffdfb")
    assert said(distance_m, no_echo=0) == bytes.fromhex("ff0000ff")


@pytest.mark.parametrize(("distance_m", "count"), [(0.28, 280), (7.5, 7500)])
def test_it_sees_to_the_ends_of_its_reach(distance_m: float, count: int) -> None:
    assert int.from_bytes(said(distance_m)[1:3]) == count


def test_published_frames_come_out_of_their_distances(reference: Path) -> None:
    known = json.loads((reference / "data" / "iot" / "serial_level_frames.json").read_text(encoding="utf-8"))
    examples = known["ultrasonic_uart"]["examples"]
    assert len(examples) == 2
    for example in examples:
        count = example.get("distance_mm", example.get("distance_cm"))
        assert frame(count) == bytes.fromhex(example["frame"])
