"""Published uplinks of real devices and what others make of them: every pair, none passed over."""

import base64
import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pytest

from ingest.codecs.lorawan.models import MODELS
from ingest.message import Reason, Rejection, Rows
from ingest.source import Source
from sensors.stations import Device, Metric
from tests.ingest.lorawan import run, values

Via = Literal["chirpstack", "things_stack"]

SERVERS: dict[str, Via] = {
    "ChirpStack": "chirpstack",
    "ThingsStackCommunity": "things_stack",
    "ThingsStackIndustries": "things_stack",
}
PARAMETERS: dict[str, dict[str, float]] = {"DL-TBRG": {"resolution_mm": 0.1}, "DL-PR26": {"p_max_bar": 1.0}}
"""Of the instruments in the pairs."""

OURS: dict[str, tuple[str, float]] = {
    "battery": ("battery_pct", 1),
    "battery_voltage": ("battery_v", 1),
    "distance": ("distance_m", 0.001),
    "water_level": ("depth_m", 0.01),
    "pressure of water": ("depth_m", 10.19716),
    "temperature": ("temperature_c", 1),
    "air_temperature": ("temperature_c", 1),
    "temperature of water": ("temperature_c@water", 1),
    "humidity": ("humidity_pct", 1),
    "air_humidity": ("humidity_pct", 1),
    "relative_humidity": ("humidity_pct", 1),
    "precipitation": ("rain_mm", 1),
    "cumulative_precipitation": ("rain_total_mm", 1),
    "wind_speed": ("wind_m_s", 1),
    "pm1_0_mass_concentration": ("pm1_ug_m3", 1),
    "pm2_5_mass_concentration": ("pm2_5_ug_m3", 1),
    "pm10_mass_concentration": ("pm10_ug_m3", 1),
    "pm2_5": ("pm2_5_ug_m3", 1),
    "pm10": ("pm10_ug_m3", 1),
}
"""Name in a pair -> reading and factor to its unit."""
BESIDE = frozenset(
    {
        # of the device or the converter
        "number_of_valid_samples", "precipitation_interval", "position", "pir", "beep", "sensor_temperature_internal",
        "x_orientation_angle", "y_orientation_angle", "compass_heading",
        # thresholds that somebody set on the device: ours are in rules.toml
        "temperature_abnormal", "distance_alarming",
        # neither flood nor rain nor smoke
        "light_level", "co2", "tvoc", "pressure", "hcho", "solar_radiation", "lightning_strike_count",
        "lightning_average_distance", "wind_direction", "maximum_wind_speed", "vapor_pressure", "atmospheric_pressure",
        "north_wind_speed", "east_wind_speed", "barometric_pressure", "pm4_mass_concentration", "typical_particle_size",
        "pm0_5_number_concentration", "pm1_0_number_concentration", "pm2_5_number_concentration",
        "pm4_number_concentration", "pm10_number_concentration",
    }
)  # fmt: skip
"""Names in the pairs that become no reading."""


class Pair(NamedTuple):
    model: str
    server: str
    payload: bytes
    result: dict[str, Any]


def pairs(reference: Path) -> Iterator[Pair]:
    for path in sorted((reference / "data/iot/lorawan").glob("*/*/payload*.json")):
        result = path.with_name(path.name.replace("payload", "result"))
        yield Pair(
            model=path.parts[-3].split("_")[1],
            server=path.parts[-2],
            payload=path.read_bytes(),
            result=json.loads(result.read_text()),
        )


def own_id(payload: Mapping[str, Any]) -> str:
    """What the topic of this uplink says."""
    if "end_device_ids" in payload:
        return str(payload["end_device_ids"]["device_id"])
    if "deviceInfo" in payload:
        return str(payload["deviceInfo"]["devEui"]).lower()
    try:
        return base64.b64decode(payload.get("devEUI", "")).hex()
    except ValueError:
        return "0011223344556677"


def read(pair: Pair, via: Via, model: str | None = None) -> tuple[Rows, list[Rejection]]:
    name = own_id(json.loads(pair.payload))
    said = pair.model if model is None else model
    device = Device(via=via, id=name, model=said, parameters=PARAMETERS.get(said, {}))
    return run(pair.payload, Source(format=via, station="A", id=name, device=device))  # type: ignore[arg-type]


def expected(model: str, telemetry: Mapping[str, Any]) -> dict[str, float]:
    found = {}
    for name, value in telemetry.items():
        if name.startswith("lora_"):
            continue
        special = f"{name} of water" if model == "DL-PR26" and name in {"pressure", "temperature"} else name
        if special in OURS:
            reading, factor = OURS[special]
            found[reading] = value * factor
        else:
            assert special in BESIDE, f"{model} gives {name}, of which nobody has said what it is here"
    return found


def heard_s(telemetry: Mapping[str, Any]) -> float | None:
    time = telemetry.get("ts")
    if time is None:
        return None
    return datetime.fromisoformat(time).timestamp() if isinstance(time, str) else time / 1000


def test_every_pair_of_a_device_that_is_understood_gives_what_it_says(reference: Path) -> None:
    checked = Counter[str]()
    for pair in pairs(reference):
        if pair.server not in SERVERS or pair.model not in MODELS:
            continue
        rows, refused = read(pair, SERVERS[pair.server])
        telemetry, *history = pair.result["telemetry"]
        wanted = expected(pair.model, telemetry["values"])
        assert wanted
        assert values(rows) == pytest.approx(wanted, rel=1e-6), pair
        # The second telemetry of AM319 is an example written big endian and read little endian: 5,760 degrees in 1976.
        assert [refusal.reason for refusal in refused] == [Reason.BAD_TIME] * len(history)
        assert all(heard_s(each) == 214_578_533 for each in history)
        (time_us,) = set(rows.time_us)
        # Some of the pairs count from the network server's reception, some from the application server's.
        said = heard_s(telemetry)
        assert said is None or math.isclose(time_us / 1e6, said, abs_tol=0.25 if pair.server != "ChirpStack" else 0.001)
        checked[pair.server] += 1
    assert checked == {"ChirpStack": 29, "ThingsStackCommunity": 18, "ThingsStackIndustries": 18}


def test_every_other_pair_is_refused_with_a_reason(reference: Path) -> None:
    checked = Counter[str]()
    for pair in pairs(reference):
        if pair.server in SERVERS and pair.model in MODELS:
            continue
        ways: tuple[Via, ...] = (SERVERS[pair.server],) if pair.server in SERVERS else ("chirpstack", "things_stack")
        for via in ways:
            rows, (refusal,) = read(pair, via)
            assert rows.name == []
            assert refusal.reason is (Reason.UNKNOWN_DEVICE if pair.server in SERVERS else Reason.WRONG_SHAPE)
            assert ("model" if pair.server in SERVERS else "no uplink of") in refusal.detail
        checked[pair.server] += 1
    assert checked.keys() == {
        "ChirpStack",
        "ThingsStackCommunity",
        "ThingsStackIndustries",
        "LORIOT",
        "HTTP",
        "ThingPark",
        "ThingParkEnterprise",
    }
    assert checked.total() + 65 == len(list(pairs(reference))) == 123


def test_a_device_whose_model_nobody_said_is_never_guessed(reference: Path) -> None:
    for pair in pairs(reference):
        if pair.server in SERVERS:
            rows, (refusal,) = read(pair, SERVERS[pair.server], model="")
            assert (rows.name, refusal.reason) == ([], Reason.UNKNOWN_DEVICE)


def test_what_the_things_stack_documents_as_an_uplink_is_read_by_name_and_nothing_else_is(reference: Path) -> None:
    names = {"temperature": Metric(reading="temperature_c")}
    device = Device(via="things_stack", id="dev1", names=names)
    source = Source(format="things_stack", station="A", id="dev1", device=device)  # type: ignore[arg-type]
    files = sorted((reference / "data/iot/the_things_stack").glob("*.json"))
    assert len(files) == 5
    for path in files:
        rows, refused = run(path.read_bytes(), source)
        if path.name.startswith("02"):
            assert (refused, values(rows)) == ([], {"temperature_c": 1.0})
            assert rows.time_us == [1_581_520_545_789_586]
        else:
            assert (rows.name, [refusal.reason for refusal in refused]) == ([], [Reason.WRONG_SHAPE])
