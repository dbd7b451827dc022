"""What all network servers deliver, and how readings come out of it."""

import base64
import binascii
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import msgspec

from ingest.codecs.bounds import shown
from ingest.codecs.lorawan.fields import named
from ingest.codecs.lorawan.frame import FRAME_BYTES_MAX, Model, Reading
from ingest.codecs.lorawan.models import MODELS, TELL_MODEL, recognise
from ingest.message import Reason, Rejection, Rows
from ingest.source import Source
from sensors.stations import Device

UPLINK_BYTES_MAX = 128 * 1024
"""A frame that a hundred gateways heard is 60 kB of JSON."""

_UNREGISTERED = Device(via="chirpstack", id="")
"""One that nobody registered: no model, no names, no parameters."""
_TALK = frozenset({200, 201, 202, 203, *range(224, 256)})
"""Ports of the LoRa Alliance's own packages (TS003, TS004, TS005, TS006: clock, multicast, firmware) and of its tests.
Their bytes are no measurement, and a few would pass for one."""
_ABSENT = (b"", b"null", b"{}")
_TO_STANDARD = str.maketrans("-_", "+/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Uplink:
    """One frame of a device, as its network server heard it."""

    time_us: int | None
    """When it was received; None where the server does not say."""
    frame: str
    """Base64; empty where there is none."""
    fields: msgspec.Raw
    """What the server itself decoded, as JSON."""
    port: int
    """0: a frame for the network only, which carries no measurement."""
    hints: Sequence[str] = ()
    """Where the model of the device may be named."""


def unread(server: str, error: Exception) -> Rejection:
    """Say what is wrong with a message that is no uplink of this network server: the error of reading it as one."""
    if isinstance(error, msgspec.ValidationError):
        return Rejection(Reason.WRONG_SHAPE, f"no uplink of {server}: {shown(str(error))}")
    return Rejection(Reason.NOT_JSON, "nested too deep" if isinstance(error, RecursionError) else shown(str(error)))


def take(uplink: Uplink, source: Source, index: int, rows: Rows) -> list[Rejection]:
    """Append the readings of an uplink; see `ingest.source.Codec`.

    The raw frame is the truth wherever there is a decoder for the model; only else what the network server decoded.
    """
    device = source.device or _UNREGISTERED
    name = device.model.strip().upper() or recognise(uplink.hints)
    model = MODELS.get(name)
    is_talk = uplink.port in _TALK
    if uplink.frame and model and not is_talk:
        frame = _bytes(uplink.frame)
        if isinstance(frame, Rejection):
            return [frame]
        return _append(_decoded(model, frame, device), uplink, source, index, rows)
    if bytes(uplink.fields) not in _ABSENT:
        return _append(named(bytes(uplink.fields), device.names), uplink, source, index, rows)
    if is_talk:
        return []
    if uplink.frame:
        what = f"no decoder for model {shown(name)}" if name else "nobody said what device this is"
        return [Rejection(Reason.UNKNOWN_DEVICE, f"{what}; {TELL_MODEL}")]
    if uplink.port:
        return [Rejection(Reason.WRONG_SHAPE, f"an empty frame on port {uplink.port}")]
    return []  # For the network only: nothing was measured.


def _bytes(text: str) -> bytes | Rejection:
    """Read base64 as the JSON of Protocol Buffers allows it: either alphabet, with or without padding."""
    plain = text.translate(_TO_STANDARD).rstrip("=")
    try:
        frame = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        frame = b""
    if not frame:
        return Rejection(Reason.WRONG_SHAPE, f"the frame {shown(text)} is not base64")
    if len(frame) > FRAME_BYTES_MAX:
        return Rejection(Reason.WRONG_SHAPE, f"a frame of {len(frame)} bytes; LoRaWAN carries {FRAME_BYTES_MAX}")
    return frame


def _decoded(model: Model, frame: bytes, device: Device) -> Iterator[Reading | Rejection]:
    """Decode; the names are ours and the values canonical, so that only a name may still be changed."""
    for part in model.decode(frame, device.parameters):
        if isinstance(part, Reading) and part.name in device.names:
            yield part._replace(name=device.names[part.name].reading)
        else:
            yield part


def _append(
    parts: Iterable[Reading | Rejection], uplink: Uplink, source: Source, index: int, rows: Rows
) -> list[Rejection]:
    refused: list[Rejection] = []
    taken: dict[tuple[str, int], float] = {}
    timeless = 0
    for part in parts:
        if isinstance(part, Rejection):
            refused.append(part)
            continue
        time_us = uplink.time_us if part.time_us is None else part.time_us
        if time_us is None:
            timeless += 1
            continue
        first = taken.setdefault((part.name, time_us), part.value)
        if first != part.value and not (math.isnan(first) and math.isnan(part.value)):
            detail = f"{shown(part.name)} is {first:g} and {part.value:g} at one time; the first is taken"
            refused.append(Rejection(Reason.WRONG_SHAPE, detail))
    if timeless:
        detail = f"{timeless} readings without a time: the network server does not say when it heard the frame"
        refused.append(Rejection(Reason.BAD_TIME, detail))
    for (name, time_us), value in taken.items():
        rows.station.append(source.station)
        rows.name.append(name)
        rows.time_us.append(time_us)
        rows.value.append(value)
        rows.message.append(index)
    return refused
