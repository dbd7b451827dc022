"""Serial doors over real pseudo-terminals: readings, refusals, plugs that are pulled, stores that are away."""

import itertools
import json
import math
import os
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.framer import FramerType
from pymodbus.server import ModbusSerialServer
from pymodbus.simulator import DataType, SimData, SimDevice

from ingest.message import Reason
from ingest.serial import door as door_of
from ingest.serial import gather as gather_of
from ingest.serial import line as line_of
from ingest.serial import modbus as modbus_of
from ingest.serial.gather import Gather, Refusals
from ingest.serial.heard import Fault, Frame, Refused
from ingest.serial.options import ModbusLine, PlantowerLine, Register, SerialLine, Sps30Line, UltrasonicLine
from ingest.serial.plantower import STREAM, WAKE, Plantower
from ingest.serial.sps30 import READ, START, STOP
from tests.builders import thorough
from tests.ingest.box import until
from tests.ingest.serial import frames
from tests.ingest.serial.wires import DoorBox, Wire, bridge

EVERY_S = 0.3


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_of, "WAIT_S", 0.05)
    monkeypatch.setattr(line_of, "PAUSE_S", 0.01)


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    made = Wire(tmp_path / "usb-adapter")
    yield made
    made.unplug()


@pytest.fixture
def opened() -> Iterator[Callable[[SerialLine], DoorBox]]:
    boxes: list[DoorBox] = []

    def opened(options: SerialLine, **more: set[str]) -> DoorBox:
        boxes.append(DoorBox(options, **more))
        return boxes[-1]

    yield opened
    for box in boxes:
        box.close()


Opened = Callable[..., DoorBox]


def plantower(wire: Wire, every_s: float = EVERY_S) -> PlantowerLine:
    return PlantowerLine(port=str(wire.port), station="PM-01", every_s=every_s)


def heard_begin(wire: Wire) -> None:
    """The line is open and the instrument has been told to begin."""
    said = b""

    def begun() -> bool:
        nonlocal said
        said += wire.hears()
        return said == WAKE + STREAM

    until(begun)


# ---- readings


def test_what_is_heard_in_a_period_is_one_reading_of_its_mean(wire: Wire, opened: Opened) -> None:
    box = opened(plantower(wire))
    heard_begin(wire)
    for pm in (10, 20, 60):
        wire.say(frames.plantower((pm,) * 6 + (900, 300, 60, 7, 2, 1)))
    message = box.message()
    assert json.loads(message.payload)["values"] == {
        "pm1_ug_m3": 30.0,
        "pm2_5_ug_m3": 30.0,
        "pm10_ug_m3": 30.0,
        "pm2_5_cf1_ug_m3": 30.0,
    }
    assert message.topic == "takean/v1/PM-01/data"
    assert message.client == str(wire.port)
    assert json.loads(message.payload)["ts"] == message.received_us // 1_000
    time.sleep(2 * EVERY_S)
    assert len(box.messages) == 1, "silence is silence"


def test_frames_that_come_in_drops_are_whole(wire: Wire, opened: Opened) -> None:
    box = opened(UltrasonicLine(port=str(wire.port), station="WL-01", every_s=EVERY_S))
    for byte in frames.ultrasonic(2314) * 3:
        wire.say(bytes((byte,)))
        time.sleep(0.005)
    box.message()
    assert box.readings[0] == {"distance_m": 2.314}
    assert not box.refusals


def test_two_sensors_of_one_station_have_names_of_their_own(tmp_path: Path, opened: Opened) -> None:
    wires = [Wire(tmp_path / name) for name in "ab"]
    for each in wires:
        box = opened(PlantowerLine(port=str(each.port), station="PM-01", every_s=EVERY_S, sensor=each.port.name))
        heard_begin(each)
        each.say(frames.plantower())
        box.message()
        assert set(box.readings[0]) == {
            f"{name}@{each.port.name}" for name in ("pm1_ug_m3", "pm2_5_ug_m3", "pm10_ug_m3", "pm2_5_cf1_ug_m3")
        }
        each.unplug()


def test_what_the_station_does_not_have_is_left_out(wire: Wire, opened: Opened) -> None:
    box = opened(plantower(wire), known={"pm2_5_ug_m3", "stage_m"})
    heard_begin(wire)
    wire.say(frames.plantower())
    box.message()
    assert box.readings[0] == {"pm2_5_ug_m3": 6.0}


def test_an_instrument_that_only_warms_up_measured_nothing(wire: Wire, opened: Opened) -> None:
    box = opened(plantower(wire))
    heard_begin(wire)
    wire.say(frames.plantower((0,) * 12))
    box.message()
    assert set(box.readings[0].values()) == {None}


def test_every_recorded_frame_arrives_over_a_line(wire: Wire, opened: Opened, reference: Path) -> None:
    lines = (reference / "data" / "iot" / "pm_serial" / "data.csv").read_text().splitlines()
    sent = [bytes.fromhex(line.split(",")[2]) for line in lines if ",PMSx003," in line]
    read = (reference / "data" / "iot" / "pm_serial" / "PMSx003.csv").read_text().splitlines()[1:]
    box = opened(plantower(wire))
    heard_begin(wire)
    wire.say(b"".join(sent))
    box.message()
    mean = sum(float(line.split(",")[5]) for line in read) / len(read)
    assert box.readings[0]["pm2_5_ug_m3"] == pytest.approx(mean)


def test_an_sps30_is_asked_and_laid_to_rest_at_the_end(wire: Wire, opened: Opened) -> None:
    box = opened(Sps30Line(port=str(wire.port), station="PM-01", every_s=EVERY_S))
    said = b""

    def asked() -> bool:
        nonlocal said
        said += wire.hears()
        return said.startswith(START + READ)

    until(asked)
    wire.say(frames.sps30(None, command=0) + frames.sps30((1.0, 2.5, 4.0, 10.0, *(1.0,) * 6)))
    box.message()
    assert box.readings[0] == {"pm1_ug_m3": 1.0, "pm2_5_ug_m3": 2.5, "pm10_ug_m3": 10.0}
    box.run(box.door.stop())
    assert wire.hears().endswith(STOP)


# ---- Modbus, against pymodbus's own server

GAUGES = (
    Register(reading="stage_m", address=10, type="f32", order="CDAB"),
    Register(reading="rain_total_mm", address=0, function="input", device=2, scale=0.2),
    Register(reading="battery_v", address=99, device=1),
)


def test_gauges_on_one_line_are_read_from_a_real_modbus_server(
    tmp_path: Path, opened: Opened, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(modbus_of, "POLL_S_MIN", 0.1)
    ours, theirs = Wire(tmp_path / "ours"), Wire(tmp_path / "theirs")
    words = [0x1EB8, 0x4014]  # 2.314 as CDAB, nearly
    shared = [SimData(10, values=words, datatype=DataType.REGISTERS)]
    gauge = [SimData(0, values=[1234], datatype=DataType.REGISTERS)]
    devices = [SimDevice(id=1, simdata=shared), SimDevice(id=2, simdata=gauge)]
    with bridge(ours, theirs):
        box = opened(ModbusLine(port=str(ours.port), station="WL-01", every_s=1.5, register=GAUGES))

        async def serve() -> ModbusSerialServer:
            server = ModbusSerialServer(devices, framer=FramerType.RTU, port=str(theirs.port), baudrate=9600)
            await server.serve_forever(background=True)
            return server

        server = box.run(serve())
        assert isinstance(server, ModbusSerialServer)
        until(lambda: any(reading.get("stage_m") for reading in box.readings))
        until(lambda: box.refusals)
        box.run(server.shutdown())  # type: ignore[no-untyped-call]
    reading = next(reading for reading in box.readings if reading.get("stage_m"))
    assert reading == {
        "stage_m": pytest.approx(2.320, abs=0.01),
        "rain_total_mm": pytest.approx(246.8),
        "battery_v": None,
    }
    _, rejection, _ = box.refusals[0]
    assert f"x {Fault.INSTRUMENT}" in rejection.detail, "there is no register 99"
    ours.unplug()
    theirs.unplug()
    printed = capfd.readouterr()
    assert ">>>>>" not in printed.out + printed.err, "pymodbus prints its last frames after an error"


# ---- refusals


def test_a_flood_of_refusals_is_one_row_a_minute_with_the_count(
    wire: Wire, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gather_of, "REFUSALS_S", 0.5)
    box = opened(plantower(wire))
    heard_begin(wire)
    bad = frames.plantower()[:-1] + b"\0"
    wire.say(frames.plantower() + bad + frames.plantower())
    until(lambda: len(box.refusals) == 1)
    wire.say((bad + frames.plantower()) * 50)
    until(lambda: len(box.refusals) == 2)
    message, rejection, unread = box.refusals[1]
    assert rejection.reason is Reason.BAD_FRAME
    assert f"50 x {Fault.CHECKSUM}" in rejection.detail
    assert str(wire.port) in rejection.detail
    assert (message.payload, unread) == (bad, None)
    assert message.topic == "takean/v1/PM-01/data"
    until(lambda: box.readings)
    assert box.readings[0]["pm2_5_ug_m3"] == 6.0, "the good ones count"


def test_refusals_are_counted_until_a_minute_is_over() -> None:
    rows = Refusals()
    assert rows.due_s == math.inf
    assert rows.take(0.0) is None
    rows.add([Refused(Fault.NOISE, b"first")], 10.0)
    assert rows.take(10.0) == ("1 refused within 0 s: 1 x bytes that belong to no frame; the first began with "
                               + b"first".hex(" "), b"first")  # fmt: skip
    rows.add([Refused(Fault.CHECKSUM, b"second"), Frame({}), Refused(Fault.NOISE, b"third")], 11.0)
    assert rows.due_s == 70.0
    assert rows.take(69.9) is None
    told = rows.take(70.0)
    assert told is not None
    assert told[1] == b"second"
    assert told[0].startswith("2 refused within 59 s: 1 x wrong checksum")


# ---- plugs


def test_an_adapter_that_is_pulled_is_told_and_one_that_is_put_back_goes_on(
    wire: Wire, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line_of, "SILENT_S", 0.3)
    monkeypatch.setattr(line_of, "SILENT_READINGS", 1_000)
    monkeypatch.setattr(line_of, "WAIT_S_MAX", 0.1)
    box = opened(plantower(wire, every_s=0.2))
    heard_begin(wire)
    wire.say(frames.plantower())

    def alarmed(times: int) -> None:
        until(lambda: len(box.alarms) == times)

    for times in range(1, 3):
        box.message(times - 1)
        wire.unplug()
        alarmed(2 * times - 1)
        code, port, text = box.alarms[-1]
        assert (code, port) == (door_of.SILENT, str(wire.port))
        assert "nothing is heard" in text
        assert "No such file" in text
        assert "PM-01" in text
        assert len(box.messages) == times, "nothing was heard, nothing is said"
        wire.plug()
        heard_begin(wire)
        wire.say(frames.plantower()[5:] + frames.plantower())
        alarmed(2 * times)
        assert "heard again after" in box.alarms[-1][2]
    assert not box.defects


def test_an_adapter_without_a_speaking_instrument_is_told(
    wire: Wire, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line_of, "SILENT_S", 0.2)
    box = opened(plantower(wire, every_s=0.1))
    until(lambda: box.alarms)
    assert "the port is open, but nothing comes" in box.alarms[0][2]
    time.sleep(0.5)
    assert len(box.alarms) == 1, "once"
    assert not box.messages


def test_a_door_without_its_port_stops_at_once(tmp_path: Path) -> None:
    box = DoorBox(PlantowerLine(port=str(tmp_path / "nowhere"), station="PM-01"))
    time.sleep(0.1)
    started_s = time.monotonic()
    box.close()
    assert time.monotonic() - started_s < 0.5


def test_a_port_is_not_shared(wire: Wire, opened: Opened) -> None:
    first = opened(plantower(wire))
    heard_begin(wire)
    second = opened(plantower(wire))
    until(lambda: "lock" in second.door._line._why)
    wire.say(frames.plantower())
    first.message()
    assert not second.messages


def test_a_line_beyond_a_thousand_connections_is_read(wire: Wire, opened: Opened) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    held = [os.open("/dev/null", os.O_RDONLY) for _ in range(1100)]
    try:
        box = opened(plantower(wire))
        heard_begin(wire)
        wire.say(frames.plantower())
        box.message()
        wire.unplug()
        wire.plug()
        heard_begin(wire)
    finally:
        for each in held:
            os.close(each)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_line_with_nothing_to_do_costs_nothing(wire: Wire, opened: Opened) -> None:
    box = opened(plantower(wire, every_s=60.0))
    heard_begin(wire)
    before_s = time.process_time()
    time.sleep(1.0)
    assert time.process_time() - before_s < 0.02
    assert not box.messages


# ---- stores that are away


def test_nothing_is_lost_and_nothing_overtakes_while_the_store_is_away(
    wire: Wire, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = opened(UltrasonicLine(port=str(wire.port), station="WL-01", every_s=0.05))
    box.pump.inbox._limits = type(box.pump.limits)(unacked_messages=3)
    box.failures["process"] = 2
    box.gate.clear()
    for distance in range(1000, 1030):
        wire.say(frames.ultrasonic(distance))
        time.sleep(0.03)
    until(lambda: len(box.door._held) > 5)
    box.gate.set()
    until(lambda: box.readings and box.readings[-1]["distance_m"] >= 1.028)
    seen = [reading["distance_m"] for reading in box.readings]
    assert seen == sorted(seen)
    assert len(seen) > 10
    times = [json.loads(payload)["ts"] for payload in box.payloads]
    assert all(earlier < later for earlier, later in itertools.pairwise(times))
    assert box.door.dropped == 0


def test_beyond_its_bound_the_newest_readings_are_kept(
    wire: Wire, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door_of, "HELD_MAX", 4)
    box = opened(UltrasonicLine(port=str(wire.port), station="WL-01", every_s=60.0))
    box.pump.inbox._limits = type(box.pump.limits)(unacked_messages=2)
    box.gate.clear()
    for number in range(10):
        reading = line_of.Reading({"distance_m": float(number)}, 1_000 * number)
        box.loop.call_soon_threadsafe(box.door._take, reading)
    until(lambda: box.door.dropped == 4)
    box.gate.set()
    until(lambda: len(box.messages) == 6)
    assert [reading["distance_m"] for reading in box.readings] == [0.0, 1.0, 6.0, 7.0, 8.0, 9.0]


def test_what_is_held_is_stored_when_the_box_stops(wire: Wire) -> None:
    box = DoorBox(UltrasonicLine(port=str(wire.port), station="WL-01", every_s=60.0))
    box.pump.inbox._limits = type(box.pump.limits)(unacked_messages=2)
    box.gate.clear()
    for number in range(7):
        reading = line_of.Reading({"distance_m": float(number)}, 1_000 * number)
        box.loop.call_soon_threadsafe(box.door._take, reading)
    until(lambda: len(box.door._held) == 5)
    box.close()
    assert len(box.messages) == 7


# ---- the pure part


def test_waves_and_counters_are_not_averaged() -> None:
    gather = Gather({"distance_m": "distance_m@b", "rain_total_mm": "rain_total_mm", "battery_v": "battery_v"})
    assert gather.close() == {}
    for distance, total in ((2.0, 10.0), (9.0, 10.2), (2.2, math.nan)):
        gather.add([Frame({"distance_m": distance, "rain_total_mm": total, "foreign_m": 1.0})], 5)
    gather.add([Refused(Fault.CHECKSUM, b"x", ("battery_v",))], 6)
    assert gather.heard_us == 6
    assert gather.close() == {"distance_m@b": 2.2, "rain_total_mm": 10.2, "battery_v": None}
    assert gather.heard_us is None


@given(values=st.lists(st.floats(0, 1000) | st.just(math.nan), max_size=20))
@thorough(50)
def test_a_reading_lies_among_what_was_heard(values: list[float]) -> None:
    gather = Gather({"pm2_5_ug_m3": "pm2_5_ug_m3", "distance_m": "distance_m"})
    for value in values:
        gather.add([Frame({"pm2_5_ug_m3": value, "distance_m": value})], 1)
    finite = [value for value in values if not math.isnan(value)]
    reading = gather.close()
    if not values:
        assert reading == {}
    elif not finite:
        assert set(reading.values()) == {None}
    else:
        low, high = min(finite), max(finite)
        assert all(one is not None and low - 1e-9 <= one <= high + 1e-9 for one in reading.values())


def test_a_defect_in_an_instrument_ends_neither_its_line_nor_the_box(
    wire: Wire, opened: Opened, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(line_of, "WAIT_S_MAX", 0.1)
    feed = Plantower.feed

    def broken(self: Plantower, chunk: bytes) -> object:
        if b"poison" in chunk:
            raise ZeroDivisionError
        return feed(self, chunk)

    monkeypatch.setattr(Plantower, "feed", broken)
    box = opened(plantower(wire))
    heard_begin(wire)
    for _ in range(2):
        wire.say(b"poison")
        heard_begin(wire)
    wire.say(frames.plantower())
    box.message()
    assert caplog.text.count("Traceback") == 1
