"""A Modbus slave answers as the specification says; pymodbus, another reading of it, understands it."""

import json
import math
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.client import ModbusSerialClient
from pymodbus.framer import FramerType

from firmware_sim.serial import Kind, Modbus, Order, Register, level_gauge, on_pty, rain_gauge
from firmware_sim.serial.modbus import crc
from firmware_sim.serial.registers import words
from tests.builders import thorough

TRUTH = {"distance_m": 3.25, "rain_total_mm": 12.4, "battery_v": 12.6, "temperature_c": -3.5}
GAUGE = Modbus(
    slave=7,
    input=(
        Register(address=0, reading="distance_m"),
        Register(address=4, reading="battery_v", kind=Kind.UINT16, scale=0.1),
    ),
    holding=(Register(address=100, reading="temperature_c", kind=Kind.INT16, scale=0.1),),
)


def sealed(body: bytes) -> bytes:
    return body + crc(body).to_bytes(2, "little")


def request(function: int, first: int, count: int, *, slave: int = 7) -> bytes:
    return sealed(struct.pack(">BBHH", slave, function, first, count))


def asked(gauge: Modbus, *pieces: bytes, every_s: float = 0.0) -> bytes:
    state, sent = gauge.start(0.0), b""
    for at, piece in enumerate(pieces):
        state, answer = gauge.step(state, piece, TRUTH, 1.0 + at * every_s)
        sent += answer
    return sent


def test_inputs_and_holdings_are_two_tables() -> None:
    assert asked(GAUGE, request(4, 0, 2)) == sealed(b"\x07\x04\x04" + struct.pack(">f", 3.25))
    assert asked(GAUGE, request(4, 4, 1)) == sealed(b"\x07\x04\x02" + struct.pack(">H", 126))
    assert asked(GAUGE, request(3, 100, 1)) == sealed(b"\x07\x03\x02" + struct.pack(">h", -35))


@pytest.mark.parametrize(
    ("asked_for", "code"),
    [
        (request(4, 1, 2), 2),
        (request(4, 3, 2), 2),
        (request(3, 0, 1), 2),
        (request(4, 0, 0), 3),
        (request(4, 0, 126), 3),
        (request(4, 65_535, 125), 2),
        (sealed(b"\x07\x04\x00\x00\x01"), 3),
        (request(6, 0, 1), 1),
        (sealed(b"\x07\x2b\x0e\x01\x00"), 1),
    ],
)
def test_what_it_cannot_give_is_refused_with_the_code_for_it(asked_for: bytes, code: int) -> None:
    assert asked(GAUGE, asked_for) == sealed(bytes((7, asked_for[1] | 0x80, code)))


@pytest.mark.parametrize("other", [request(4, 0, 2, slave=8), request(4, 0, 2, slave=0), request(4, 0, 2)[:-1] + b"\0"])
def test_another_slave_a_broadcast_and_a_wrong_checksum_get_no_answer(other: bytes) -> None:
    assert asked(GAUGE, other) == b""


def test_a_request_may_come_in_pieces_but_a_pause_ends_it() -> None:
    whole = request(4, 0, 2)
    assert asked(GAUGE, *(bytes((byte,)) for byte in whole), every_s=0.001)
    assert asked(GAUGE, whole[:5], whole[5:], every_s=0.5) == b""
    assert asked(GAUGE, whole[:5], whole, every_s=0.5)
    assert asked(GAUGE, b"\x55" * 300, whole, every_s=0.5)


@thorough(100)
@given(st.integers(0, 10_000_000))
def test_a_tip_counter_goes_round_and_never_stops(tips: int) -> None:
    assert words(rain_gauge(tip_mm=0.2).holding[0], tips * 0.2) == [tips % 65_536]
    high, low = words(rain_gauge(tip_mm=0.1, kind=Kind.UINT32).holding[0], tips * 0.1)
    assert (high << 16 | low) == tips


@pytest.mark.parametrize(
    ("order", "sent"),
    [(Order.ABCD, "41480000"), (Order.CDAB, "00004148"), (Order.BADC, "48410000"), (Order.DCBA, "00004841")],
)
def test_each_order_of_bytes_is_the_one_that_its_name_says(order: Order, sent: str) -> None:
    register = Register(address=0, reading="distance_m", order=order)
    assert b"".join(word.to_bytes(2) for word in words(register, 12.5)).hex() == sent


@pytest.mark.parametrize(
    ("kind", "value", "shown"),
    [
        (Kind.INT16, 1e9, 0x7FFF),
        (Kind.INT16, -1e9, 0x8000),
        (Kind.INT16, math.nan, 0x8000),
        (Kind.UINT16, math.nan, 0xFFFF),
        (Kind.INT32, -2.0, 0xFFFFFFFE),
    ],
)
def test_numbers_stop_at_their_ends_and_nothing_measured_is_a_number_of_its_own(
    kind: Kind, value: float, shown: int
) -> None:
    register = Register(address=0, reading="x", kind=kind)
    assert int.from_bytes(b"".join(word.to_bytes(2) for word in words(register, value))) == shown


def test_two_readings_in_one_register_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="register 1"):
        Modbus(holding=(Register(address=0, reading="a"), Register(address=1, reading="b")))


@pytest.mark.parametrize("order", Order)
def test_pymodbus_reads_the_same_numbers(order: Order) -> None:
    gauge = level_gauge(slave=3, order=order)
    with on_pty(gauge, lambda _: TRUTH) as line:
        client = ModbusSerialClient(str(line.path), framer=FramerType.RTU, baudrate=9600, timeout=2, retries=0)
        try:
            assert client.connect()
            found = client.read_input_registers(0, count=2, device_id=3).registers
            swapped = order in (Order.BADC, Order.DCBA)
            found = [int.from_bytes(word.to_bytes(2), "little" if swapped else "big") for word in found]
            low_first = order in (Order.CDAB, Order.DCBA)
            high, low = reversed(found) if low_first else found
            assert struct.unpack(">f", struct.pack(">HH", high, low))[0] == 3.25
            assert client.read_input_registers(9, count=1, device_id=3).exception_code == 2
            assert client.read_coils(0, count=1, device_id=3).exception_code == 1
        finally:
            client.close()  # type: ignore[no-untyped-call]


def test_published_requests_get_their_published_answers(reference: Path) -> None:
    known = json.loads((reference / "data" / "iot" / "serial_level_frames.json").read_text(encoding="utf-8"))
    one, other = known["modbus_rtu"]["examples"]
    radar = Modbus(slave=1, holding=(Register(address=0, reading="id", kind=Kind.UINT16),))
    _, sent = radar.step(radar.start(0.0), bytes.fromhex(one["request"]), {"id": 1.0}, 0.0)
    assert sent == bytes.fromhex(one["response"])
    meter = Modbus(slave=2, holding=tuple(Register(address=at, reading="x", kind=Kind.INT16) for at in range(5)))
    _, sent = meter.step(meter.start(0.0), bytes.fromhex(other["request"]), {"x": 5.0}, 0.0)
    assert sent == sealed(b"\x02\x03\x0a" + b"\x00\x05" * 5)
