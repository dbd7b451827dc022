"""Instruments on serial lines in a whole world: configuration, worker, journal; simulated ones at the other end."""

import re
from contextlib import ExitStack
from pathlib import Path

import pytest

from alerts.episode import Notice
from alerts.notices import TEXTS
from firmware_sim.serial import Faults, Modbus, Plantower, Register, Sps30, Ultrasonic, on_pty
from firmware_sim.serial.registers import Kind, Order
from ingest.quarantine import Quarantine
from ingest.serial import line as line_of
from ingest.serial.door import SILENT
from ingest.serial.options import GIVES, ModbusLine, SerialLine
from ingest.serial.options import Register as Entry
from takean import configuration, settings
from takean.settings import SAMPLE
from takean.worker_part import worker_part
from tests.ingest.box import until

MANUAL = Path(__file__).parents[2] / "docs" / "serial.md"

SENSORS = {
    "PM-01": ("pm2_5_ug_m3@a", "pm2_5_cf1_ug_m3@a", "pm2_5_ug_m3@b"),
    "WL-07": ("distance_m", "rain_total_mm"),
    "WL-08": ("distance_m",),
}
STATION = """
[[station]]
id = "{id}"
name = "{id}"
english = "{id}"
lat = 14.9
lon = 104.2
areas = ["331608"]
cadence_s = 60
"""
MODBUS = """
[[serial]]
port = "{folder}/rs485"
station = "WL-07"
instrument = "modbus"
every_s = 1
[[serial.register]]
reading = "distance_m"
address = 4
function = "input"
type = "f32"
order = "CDAB"
[[serial.register]]
reading = "rain_total_mm"
address = 0
scale = 0.2
missing = [65535]
"""
LINES = (
    """
[mqtt]
enabled = false
[web]
port = 0
[world]
kind = "exercise"
[[serial]]
port = "{folder}/a"
station = "PM-01"
instrument = "plantower"
every_s = 1
sensor = "a"
[[serial]]
port = "{folder}/b"
station = "PM-01"
instrument = "sps30"
every_s = 1
sensor = "b"
[[serial]]
port = "{folder}/ranger"
station = "WL-08"
instrument = "ultrasonic"
every_s = 1
"""
    + MODBUS
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "config"
    made.mkdir()
    for path in SAMPLE.iterdir():
        (made / path.name).write_bytes(path.read_bytes())
    stations = (made / "stations.toml").read_text(encoding="utf-8")
    for id, names in SENSORS.items():
        stations += STATION.format(id=id)
        for name in names:
            quantity, _, sensor = name.partition("@")
            stations += f'[[station.sensor]]\nquantity = "{quantity}"\nid = "{sensor}"\n'
    (made / "stations.toml").write_text(stations, encoding="utf-8")
    (made / "takean.toml").write_text(LINES.format(folder=tmp_path), encoding="utf-8")
    return made


def told(folder: Path) -> list[str]:
    _, mistakes = configuration.check(folder, folder.parent / "state", {})
    return [mistake.text for mistake in mistakes]


def test_simulated_instruments_on_lines_are_stored_readings_of_a_world_with_no_other_way_in(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line_of, "SILENT_S", 0.5)
    monkeypatch.setattr(line_of, "WAIT_S", 0.05)
    gauges = Modbus(
        slave=1,
        input=(Register(address=4, reading="distance_m", order=Order.CDAB),),
        holding=(Register(address=0, reading="rain_total_mm", kind=Kind.UINT16, scale=0.2),),
    )
    world = configuration.load(folder, tmp_path / "state", {})
    (tmp_path / "state").mkdir()
    with ExitStack() as stack:
        dust = stack.enter_context(
            on_pty(Plantower(zeros_s=0.0, period_s=0.2), lambda _: {"pm2_5_ug_m3": 37.0, "pm2_5_cf1_ug_m3": 41.0},
                   path=tmp_path / "a", faults=Faults(seed=3, flipped=0.2, cut=0.1, noise=0.2))
        )  # fmt: skip
        stack.enter_context(on_pty(Sps30(), lambda _: {"pm2_5_ug_m3": 36.5}, path=tmp_path / "b"))
        stack.enter_context(on_pty(Ultrasonic(), lambda _: {"distance_m": 2.314}, path=tmp_path / "ranger"))
        truth = {"distance_m": 3.5, "rain_total_mm": 246.8}
        stack.enter_context(on_pty(gauges, lambda _: truth, path=tmp_path / "rs485"))
        failed: list[BaseException] = []
        part = stack.enter_context(ExitStack())
        judging = worker_part(part, world, failed=failed.append)
        assert judging.mqtt is None
        expected = {
            "PM-01/pm2_5_ug_m3@a": 37.0,
            "PM-01/pm2_5_cf1_ug_m3@a": 41.0,
            "PM-01/pm2_5_ug_m3@b": 36.5,
            "WL-08/distance_m": 2.314,
            "WL-07/distance_m": 3.5,
            "WL-07/rain_total_mm": 246.8,
        }
        keys = list(expected)

        def values() -> dict[str, float]:
            return dict(zip(keys, judging.store.latest(keys)[1].tolist(), strict=True))

        until(lambda: values() == pytest.approx(expected, abs=1e-3))
        assert judging.worker.status().ready, "a world may have only serial lines"

        def notices() -> list[Notice]:
            return [each for each in judging.worker._judge.ledger.notices(world.kind) if each.code == SILENT]

        dust.unplug()
        until(notices)
        assert judging.worker.status().ready, "an instrument that is pulled out is no fault of the box"
        (notice,) = notices()
        assert notice.subject == str(tmp_path / "a")
        assert notice.text.startswith(TEXTS[SILENT])
        assert "nothing is heard" in notice.text
        dust.replug()
        until(lambda: "heard again" in notices()[0].text)
        assert not failed
        part.close()
        refused = Quarantine(tmp_path / "state" / "quarantine.sqlite")
        rows = refused.list(100)
        refused.close()
    assert {row.reason for row in rows} == {"bad_frame"}
    assert {row.client for row in rows} <= {str(tmp_path / name) for name in ("a", "b")}


def test_a_world_with_only_serial_lines_may_go_live_and_says_so(folder: Path, tmp_path: Path) -> None:
    world, mistakes = configuration.check(folder, tmp_path / "state", {})
    assert not mistakes
    names = [str(tmp_path / name) for name in ("a", "b", "ranger", "rs485")]
    assert configuration.summary(world, mistakes).ways_in == [f"serial {name}" for name in names]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('"WL-08"', '"WL-80"', "serial no. 3, station: is 'WL-80', which is not registered"),
        ('sensor = "a"', 'sensor = "c"', "serial no. 1: gives pm1_ug_m3@c"),
        ('sensor = "b"', 'sensor = "a"', "serial no. 2: gives pm2_5_ug_m3@a of PM-01, as another line does"),
        ('instrument = "sps30"', 'instrument = "sps31"', "one of plantower, sps30, ultrasonic, modbus"),
        ("{folder}/b", "{folder}/a", "stands there more than once"),
        ("every_s = 1\n", "every_s = 61\n", "serial no. 1, every_s: is 61, longer than the cadence of PM-01"),
        ("every_s = 1\n", "every_s = 0.5\n", "serial no. 1, every_s: is 0.5; expected 1 or more"),
        ("every_s = 1\n", "every_s = 1\nbaud = 0\n", "serial no. 1, baud: is 0"),
        ('"rain_total_mm"', '"rain_mm"', "serial no. 4, register rain_mm, reading: is rain since the reading before"),
        ('"rain_total_mm"', '"distance_m"', "distance_m is read from 2 registers"),
        ('"rain_total_mm"', '"depth_m"', "gives depth_m, which WL-07 does not have"),
        ('"rain_total_mm"', '"deep"', "register deep, reading: is no reading name"),
        ("scale = 0.2", 'unit = "mV"', "register rain_total_mm, unit: is 'mV'"),
        ("scale = 0.2", "scale = 0.0", "and a scale that is not 0"),
        ("address = 0", "address = 40001000", "register rain_total_mm, address: is 40001000"),
        ("address = 0", "address = 0\ndevice = 300", "register rain_total_mm, device: is 300; expected 1 to 247"),
        ('type = "f32"', 'type = "f64"', "one of u16, i16, u32, i32, f32"),
        (MODBUS[MODBUS.index("[[serial.register]]") :], "register = []\n", "serial no. 4, register: is empty"),
        ("{folder}/ranger", "", "serial no. 3, port: is empty"),
    ],
)
def test_lines_that_cannot_work_are_told(folder: Path, old: str, new: str, expected: str) -> None:
    assert old in LINES
    (folder / "takean.toml").write_text(LINES.replace(old, new, 1).format(folder=folder.parent), encoding="utf-8")
    said = told(folder)
    assert any(expected in each for each in said), said
    assert all("takean.toml: serial" in each for each in said), "and nothing else"


def test_what_follows_from_a_stations_own_mistake_is_no_mistake_of_its_line(folder: Path) -> None:
    stations = (folder / "stations.toml").read_text(encoding="utf-8")
    at = stations.index('id = "WL-08"')
    (folder / "stations.toml").write_text(
        stations[:at] + stations[at:].replace("lat = 14.9", 'lat = "north"', 1), encoding="utf-8"
    )
    (said,) = told(folder)
    assert "station WL-08, lat" in said


def test_every_key_of_a_line_is_in_the_sample_and_in_the_manual() -> None:
    sample, manual = (SAMPLE / "takean.toml").read_text(encoding="utf-8"), MANUAL.read_text(encoding="utf-8")
    lines: list[type] = [*GIVES, ModbusLine]
    keys = {key for line in lines for key in line.__struct_fields__} - {"register"} | {"instrument"}  # type: ignore[attr-defined]
    keys |= {f"register.{key}" for key in Entry.__struct_fields__}
    for key in keys:
        assert re.search(rf"^# {key.removeprefix('register.')} = ", sample, re.MULTILINE), f"{key} is not in the sample"
        assert f"`{key}`" in manual, f"{key} is not in serial.md"


def test_the_lines_of_the_sample_and_of_the_manual_can_be_read(folder: Path, tmp_path: Path) -> None:
    sample = (SAMPLE / "takean.toml").read_text(encoding="utf-8")
    block = sample[sample.index("# [[serial]]") :].partition("\n\n")[0].splitlines()
    keys = [line.removeprefix("# ") for line in block if re.match(r"# (\[\[|[a-z_]+ = )", line)]
    listen = [key for key in keys if not re.match(r"(unit|no_echo|parity|stop_bits) = ", key)]
    text = "\n".join(listen[: listen.index("[[serial.register]]")])
    (example,) = re.findall(r"```toml\n(.*?)```", MANUAL.read_text(encoding="utf-8"), re.DOTALL)
    rest = LINES[: LINES.index("[[serial]]")]
    for lines in (text, example):
        (folder / "takean.toml").write_text(rest + lines, encoding="utf-8")
        assert [each for each in told(folder) if "is not a key" in each or "is missing" in each or "TOML" in each] == []
        assert _lines(folder)
    register = "\n".join(keys[keys.index("[[serial.register]]") :])
    (folder / "takean.toml").write_text(
        rest + '[[serial]]\nport = "x"\nstation = "WL-07"\ninstrument = "modbus"\n' + register, encoding="utf-8"
    )
    assert told(folder) == []


def _lines(folder: Path) -> list[SerialLine]:
    held = settings.read(folder).value
    return list(held.serial) if held is not None else []
