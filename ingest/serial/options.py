"""`[[serial]]` of takean.toml: one line, its instrument, and whose readings they are. Pure."""

from collections.abc import Mapping
from typing import Literal

import msgspec

from ingest.serial import plantower, sps30, ultrasonic


class Register(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[serial.register]]`: one value of a Modbus device."""

    reading: str
    """Reading name of docs/wire.md."""
    address: int
    """As the protocol counts, from 0: 40001 of a manual is holding register 0."""
    function: Literal["holding", "input"] = "holding"
    type: Literal["u16", "i16", "u32", "i32", "f32"] = "u16"
    order: Literal["ABCD", "CDAB", "BADC", "DCBA"] = "ABCD"
    """Of the bytes on the line, A the highest; of a 16 bit value the first two count."""
    scale: float = 1.0
    offset: float = 0.0
    unit: str = ""
    """Of raw * scale + offset, as in docs/wire.md; empty: the canonical one."""
    missing: tuple[int, ...] = ()
    """Raw values that mean that there is none."""
    device: int = 1
    """Address on the line, 1 to 247."""


class _Line(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="instrument"):
    port: str
    """A name that stays: /dev/serial/by-id/..."""
    station: str
    every_s: float = 60.0
    """One reading in so much time, made of all that was heard in it."""
    baud: int = 9600


class _OneSensor(_Line, frozen=True, kw_only=True, forbid_unknown_fields=True):
    sensor: str = ""
    """The id behind @ of its reading names, where a station has several of a kind."""


class PlantowerLine(_OneSensor, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="plantower"):
    """A PMS3003, PMS5003, PMS7003, PMSA003, PMS5003T or PMS5003ST."""


class Sps30Line(_OneSensor, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="sps30"):
    """A Sensirion SPS30 on its UART."""

    baud: int = 115_200


class UltrasonicLine(_OneSensor, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="ultrasonic"):
    """A ranger of the A01NYUB kind over the water."""

    unit: Literal["mm", "cm"] = "mm"
    no_echo: tuple[int, ...] = ()
    """Further values that mean that no echo came, beside 0 and 65533 to 65535."""


class ModbusLine(_Line, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="modbus"):
    """One or several Modbus RTU devices."""

    register: tuple[Register, ...]
    parity: Literal["none", "even", "odd"] = "none"
    stop_bits: Literal[1, 2] = 1


SerialLine = PlantowerLine | Sps30Line | UltrasonicLine | ModbusLine

GIVES: Mapping[type[_OneSensor], tuple[str, ...]] = {
    PlantowerLine: plantower.NAMES,
    Sps30Line: sps30.NAMES,
    UltrasonicLine: (ultrasonic.NAME,),
}


def names_of(line: SerialLine) -> dict[str, str]:
    """What its instrument gives: its own name of a value -> reading name of docs/wire.md."""
    if isinstance(line, ModbusLine):
        return {register.reading: register.reading for register in line.register}
    return {name: f"{name}@{line.sensor}" if line.sensor else name for name in GIVES[type(line)]}
