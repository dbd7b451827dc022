"""What cannot work in `[[serial]]`, before the first flood shows it. Pure."""

import math
from collections import Counter
from collections.abc import Collection, Iterator, Sequence

from ingest.serial.options import ModbusLine, Register, SerialLine, names_of
from sensors.quantities import QUANTITIES
from sensors.stations import Registry, Station
from sensors.units import convert

Found = tuple[str, str, str, str]
"""Place, what is wrong, what was expected, what to do."""

EVERY_S_MIN = 1.0
DEVICE_MAX = 247
_RESETS = "rain_mm"


def find(lines: Sequence[SerialLine], registry: Registry, *, broken: Collection[str] = ()) -> Iterator[Found]:
    """Every mistake of every line.

    Parameters
    ----------
    broken : stations that were left out of the registry for mistakes of their own
    """
    ports = Counter(line.port for line in lines)
    taken: Counter[tuple[str, str]] = Counter()
    for number, line in enumerate(lines, start=1):
        place = f"serial no. {number}"
        yield from _line(line, place)
        if ports[line.port] > 1:
            yield (
                f"{place}, port",
                f"{line.port} stands there more than once",
                "one entry for each port",
                "Take one out",
            )
        station = registry.stations.get(line.station)
        if station is None:
            if line.station not in broken:
                do = "Correct it, or add the station to stations.toml"
                yield f"{place}, station", f"is {line.station!r}, which is not registered", "a station's id", do
            continue
        yield from _readings(line, station, place)
        names = {sensor.name for sensor in station.sensor} & set(names_of(line).values())
        for name in sorted(names):
            taken[station.id, name] += 1
            if taken[station.id, name] == 2:
                do = "Give each sensor an id of its own, here and in stations.toml"
                yield place, f"gives {name} of {station.id}, as another line does", "one line for each reading", do


def _line(line: SerialLine, place: str) -> Iterator[Found]:
    if not line.port:
        yield f"{place}, port", "is empty", "a device", "Name it: ls -l /dev/serial/by-id"
    if not (math.isfinite(line.every_s) and line.every_s >= EVERY_S_MIN):
        yield f"{place}, every_s", f"is {line.every_s}", f"{EVERY_S_MIN:g} or more", "Correct it"
    if line.baud <= 0:
        yield f"{place}, baud", f"is {line.baud}", "a whole number above 0", "Look into the instrument's manual"
    if isinstance(line, ModbusLine):
        if not line.register:
            yield f"{place}, register", "is empty", "at least one [[serial.register]]", "Add what is to be read"
        for name, times in Counter(register.reading for register in line.register).items():
            if times > 1:
                yield (
                    f"{place}, register",
                    f"{name} is read from {times} registers",
                    "one for each reading",
                    "Take one out",
                )
        for register in line.register:
            yield from _register(register, f"{place}, register {register.reading}")


def _register(register: Register, place: str) -> Iterator[Found]:
    quantity = QUANTITIES.get(register.reading.partition("@")[0])
    if quantity is None:
        yield f"{place}, reading", "is no reading name", f"one of {', '.join(QUANTITIES)}", "Correct it"
    elif quantity.name == _RESETS:
        do = "Read the gauge's total: a lost answer then loses no rain"
        yield f"{place}, reading", "is rain since the reading before", "rain_total_mm", do
    elif register.unit and convert(0.0, register.unit, quantity.unit) is None:
        do = "Correct it, or use scale and offset"
        yield f"{place}, unit", f"is {register.unit!r}", f"{quantity.unit} or what can be made {quantity.unit}", do
    if not 0 <= register.address <= 0xFFFF:
        do = "As the protocol counts, from 0: 40001 of a manual is 0"
        yield f"{place}, address", f"is {register.address}", "0 to 65535", do
    if not 1 <= register.device <= DEVICE_MAX:
        yield f"{place}, device", f"is {register.device}", f"1 to {DEVICE_MAX}", "Look at the device's switches"
    if not math.isfinite(register.scale) or register.scale == 0.0 or not math.isfinite(register.offset):
        found = f"scale is {register.scale}, offset {register.offset}"
        yield place, found, "numbers, and a scale that is not 0", "Correct them"


def _readings(line: SerialLine, station: Station, place: str) -> Iterator[Found]:
    """Whether the station has what the instrument gives, and hears it often enough not to be taken for silent."""
    cadences_s = {sensor.name: sensor.cadence_s or station.cadence_s for sensor in station.sensor}
    given = list(names_of(line).values())
    missing = [name for name in given if name not in cadences_s]
    if missing and (isinstance(line, ModbusLine) or len(missing) == len(given)):
        do = "Add the sensor to stations.toml, or correct the name here"
        yield place, f"gives {', '.join(missing)}, which {station.id} does not have", "sensors of the station", do
    shortest_s = min((cadences_s[name] for name in given if name in cadences_s), default=math.inf)
    if line.every_s > shortest_s:
        found = f"is {line.every_s:g}, longer than the cadence of {station.id}"
        yield f"{place}, every_s", found, f"{shortest_s:g} or less", "Or make cadence_s in stations.toml longer"
