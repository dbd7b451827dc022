"""`takean decode`: a payload as ingest would read it, as one object; see `takean.decode_page` for people."""

import base64
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import msgspec

from alerts import words
from ingest.codecs import detect
from ingest.codecs.bounds import shown
from ingest.message import Reason, Rejection, Rows
from ingest.source import Codec, Format, Source, Sources
from ingest.topics import Topics, is_station_name
from sensors.quantities import QUANTITIES, Quantity
from sensors.stations import Device, Registry

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NOBODY = "0" * 16
"""DevEUI of a frame that is looked at without its network server."""
_NODE, _VERB = "?/?", "NBIRTH"
"""A Sparkplug payload without its topic is read as a birth, which names its metrics itself."""
NAMES_SHOWN = 5


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """One reading as it would be stored."""

    time: str
    """ISO 8601, +07:00."""
    time_us: int
    station: str
    """Empty where neither the payload nor the caller says it."""
    name: str
    value: float | None
    """Canonical unit; None: the instrument measured and got nothing."""
    unit: str | None
    """None: no quantity that Takean knows."""
    thai: str = ""
    english: str = ""


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """What would go to quarantine, and why."""

    reason: str
    detail: str


class Decoded(msgspec.Struct, frozen=True, kw_only=True):
    """One payload."""

    file: str
    bytes: int
    """As in the file."""
    format: str | None
    """Of docs/wire.md; None: no format that Takean knows."""
    kind: str
    """JSON, CBOR, Protobuf, or frame for the bytes of a LoRaWAN device."""
    written: str
    """hex or base64, where the file was a copy in text; else empty."""
    device: str
    """The device's own id, where there is one."""
    readings: list[Reading]
    refused: list[Refusal]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What `takean decode --json` prints; see docs/decode.md."""

    ok: bool
    """Whether nothing is refused."""
    payloads: list[Decoded]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the caller says of the payloads; whatever is left empty is found in them."""

    source: Source | None = None
    """From a topic."""
    format: Format | None = None
    station: str = ""
    model: str = ""
    parameters: Mapping[str, float] = field(default_factory=dict)
    """What the decoder of the model must know."""
    port: int = 1
    """Of a bare LoRaWAN frame."""
    registry: Registry | None = None


def read_parameters(texts: Sequence[str]) -> dict[str, float]:
    """Read `NAME=NUMBER`; ValueError for anything else."""
    found: dict[str, float] = {}
    for text in texts:
        name, _, value = text.partition("=")
        try:
            found[name.strip()] = float(value)
        except ValueError:
            raise ValueError(f"{text!r}: NAME=NUMBER is expected, as resolution_mm=0.2") from None
    return found


def source_of(topic: str, prefixes: Sequence[str], registry: Registry | None) -> Source | None:
    """Whose a message on this topic would be, in whichever world; None where readings do not come by it."""
    for prefix in prefixes:
        known = registry.devices if registry else {}
        found = Sources(Topics(prefix), known).find(topic)
        if found is not None:
            return found
    return None


def explain(file: str, data: bytes, asked: Asked, *, codecs: Mapping[Format, Codec], received_us: int) -> Decoded:
    """Decode one payload as ingest would.

    Parameters
    ----------
    file : its name, for the report
    data : the payload, or hexadecimal or base64 text of it
    codecs : kept from one payload to the next: some formats lean on what came before
    received_us : the arrival, microseconds UTC
    """
    found = _found(data, asked, received_us)
    rows = Rows()
    if found is None:
        choice = ", ".join(codecs)
        detail = f"neither JSON, CBOR nor Sparkplug, nor hex or base64 of it; say --format ({choice}) or --model"
        refused = [Rejection(Reason.WRONG_SHAPE, detail if data.strip() else "the file is empty")]
    else:
        source = _source(found, asked)
        refused = codecs[found.format](found.payload, source, received_us, 0, rows)
        said = _said_station(rows) if found.format is Format.OWN and not source.station else ""
        if said:
            rows = Rows()
            source = msgspec.structs.replace(source, station=said)
            refused = codecs[found.format](found.payload, source, received_us, 0, rows)
    readings = list(_readings(rows))
    known = [each for each in readings if _is_known(each, asked.registry)]
    if found is not None and found.format is not Format.OWN and known:
        readings = known  # as ingest passes over what else such a device measures
    else:
        refused += _unknown([each.name for each in readings if not _is_known(each, asked.registry)])
    return Decoded(
        file=file,
        bytes=len(data),
        format=found.format if found else None,
        kind=found.kind if found else "",
        written=found.written if found else "",
        device=found.id if found and found.id != _NOBODY else "",
        readings=readings,
        refused=[Refusal(reason=each.reason, detail=each.detail) for each in refused],
    )


def _found(data: bytes, asked: Asked, received_us: int) -> detect.Found | None:
    found = detect.detect(data)
    form = asked.source.format if asked.source else asked.format
    if form is not None:
        payload = found.payload if found else detect.from_hex(data) or detect.from_base64(data) or data
        written = found.written if found else ""
        kind = found.kind if found else ""
        name = asked.source.id if asked.source else found.id if found else ""
        return detect.Found(payload=payload, format=form, kind=kind, written=written, id=name)
    if asked.model and (found is None or found.kind != "JSON"):
        return _frame(data, asked.port, received_us)
    return found


def _frame(data: bytes, port: int, received_us: int) -> detect.Found:
    """Put the bare bytes of a device into what its network server would have sent."""
    read = (("hex", detect.from_hex(data)), ("base64", detect.from_base64(data)))
    written, frame = next(((how, inner) for how, inner in read if inner), ("", data))
    uplink = {
        "deviceInfo": {"devEui": _NOBODY},
        "time": _utc(received_us).isoformat(),
        "fPort": port,
        "data": base64.b64encode(frame).decode(),
    }
    payload = msgspec.json.encode(uplink)
    return detect.Found(payload=payload, format=Format.CHIRPSTACK, kind="frame", written=written, id=_NOBODY)


def _source(found: detect.Found, asked: Asked) -> Source:
    if asked.source is not None:
        known = asked.source
    else:
        devices = asked.registry.devices if asked.registry else {}
        station, device = devices.get((found.format, _registered(found, devices)), (found.id, None))
        registered = device is not None or found.format is Format.OWN
        known = Source(format=found.format, station=station, device=device, id=found.id, is_registered=registered)
        if found.format is Format.SPARKPLUG:
            known = msgspec.structs.replace(known, id=_NODE, verb=_VERB)
    if asked.model or asked.parameters:
        device = known.device or Device(via="chirpstack", id=known.id)
        parameters = {**device.parameters, **asked.parameters}
        device = msgspec.structs.replace(device, model=asked.model or device.model, parameters=parameters)
        known = msgspec.structs.replace(known, device=device)
    return msgspec.structs.replace(known, station=asked.station or known.station)


def _registered(found: detect.Found, devices: Mapping[tuple[str, str], object]) -> str:
    """Under which id the device stands in the registry: that of The Things Stack has the tenant, which no payload has.
    Its own where it stands there under none, or under two.
    """
    if found.format is not Format.THINGS_STACK:
        return found.id
    same = [name for via, name in devices if via == found.format and re.sub("@[^/]*", "", name) == found.id]
    return same[0] if len(same) == 1 else found.id


def _said_station(rows: Rows) -> str:
    """The station that the names of a SenML pack say; empty if they say none."""
    said = (name.rpartition("/") for name in rows.name)
    return next((station for station, _, name in said if is_station_name(station) and _quantity(name)), "")


def _quantity(name: str) -> Quantity | None:
    return QUANTITIES.get(re.split("[@:]", name, maxsplit=1)[0])


def _readings(rows: Rows) -> Iterator[Reading]:
    for station, name, time_us, value in zip(rows.station, rows.name, rows.time_us, rows.value, strict=True):
        quantity = _quantity(name)
        yield Reading(
            time=_utc(time_us).astimezone(words.BANGKOK).isoformat(),
            time_us=time_us,
            station="" if station == _NOBODY else station,
            name=name,
            value=None if math.isnan(value) else value,
            unit=quantity.unit if quantity else None,
            thai=quantity.thai if quantity else "",
            english=quantity.english if quantity else "",
        )


def _is_known(reading: Reading, registry: Registry | None) -> bool:
    """Whether ingest would store it: by the registry if the station stands there, else if there is such a quantity."""
    if registry is not None and reading.station in registry.stations:
        return (reading.station, reading.name) in registry.index
    return reading.unit is not None


def _unknown(names: Sequence[str]) -> list[Rejection]:
    if not names:
        return []
    which = ", ".join(shown(name) for name in list(dict.fromkeys(names))[:NAMES_SHOWN])
    return [Rejection(Reason.UNKNOWN_NAME, f"{len(names)} readings of no quantity that the station has: {which}")]


def _utc(time_us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=time_us)
