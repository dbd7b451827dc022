"""A station as text of stations.toml."""

import json
from collections.abc import Iterator

from sensors.sensor import Sensor
from sensors.stations import Device, Station

LIMITS = ("suspect", "rise_suspect_per_h", "spike", "flat_eps", "flat_suspect_s", "flat_fail_s")
"""Keys of a sensor that say what its readings are compared with."""


def block(station: Station, *, comment: str) -> str:
    """A `[[station]]` to stand behind others; banks, datum and gauge zero are for people to survey and write.

    Parameters
    ----------
    comment : one line above it, whatever is in it
    """
    lines = [
        "",
        f"# {json.dumps(comment, ensure_ascii=False)[1:-1]}".replace("\x7f", ""),
        "[[station]]",
        f"id = {_toml(station.id)}",
        f"name = {_toml(station.name)}",
        f"english = {_toml(station.english)}",
        f"lat = {station.lat}",
        f"lon = {station.lon}",
        f"areas = {_toml(list(station.areas))}",
        f"cadence_s = {station.cadence_s:g}",
        *_device_lines(station.device),
        *(line for sensor in station.sensor for line in _sensor_lines(sensor)),
        "",
    ]
    return "\n".join(lines)


def _device_lines(device: Device | None) -> Iterator[str]:
    if device is None:
        return
    yield "[station.device]"
    yield f"via = {_toml(device.via)}"
    yield f"id = {_toml(device.id)}"
    if device.model:
        yield f"model = {_toml(device.model)}"
    for name, number in device.parameters.items():
        yield f"parameters.{_toml(name)} = {number}"
    for theirs, metric in device.names.items():
        unit = f", unit = {_toml(metric.unit)}" if metric.unit else ""
        yield f"names.{_toml(theirs)} = {{ reading = {_toml(metric.reading)}{unit} }}"


def _sensor_lines(sensor: Sensor) -> Iterator[str]:
    yield "[[station.sensor]]"
    yield f"quantity = {_toml(sensor.quantity)}"
    if sensor.id:
        yield f"id = {_toml(sensor.id)}"
    for key in LIMITS:
        value = getattr(sensor, key)
        if value is not None:
            yield f"{key} = {_toml(value)}"


def _toml(value: object) -> str:
    """A value as TOML has it: text, numbers and lists of them are written as in JSON, but for one character."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
