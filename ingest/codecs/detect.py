"""What a payload is that nobody said anything about: found from its first bytes, for people who look at one."""

import base64
import binascii
import re
from dataclasses import dataclass

import msgspec

from ingest.codecs import cbor
from ingest.source import Format


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A payload, and what it looks like."""

    payload: bytes
    format: Format
    kind: str
    """JSON, CBOR or Protobuf."""
    written: str = ""
    """How the bytes were written down: hex, base64, or empty for as they are."""
    id: str = ""
    """The device's own id, as far as the payload says it: see `ingest.source.Source.id`, but The Things Stack names the
    tenant only in the topic."""


class _Eui(msgspec.Struct, rename="camel"):
    dev_eui: str = ""


class _Application(msgspec.Struct):
    application_id: str = ""


class _Ids(msgspec.Struct):
    device_id: str = ""
    application_ids: _Application | None = None


class _Envelope(msgspec.Struct):
    """What tells network servers from each other, and from our own formats."""

    chirpstack: _Eui | None = msgspec.field(default=None, name="deviceInfo")
    chirpstack_3: str | None = msgspec.field(default=None, name="devEUI")
    things_stack: _Ids | None = msgspec.field(default=None, name="end_device_ids")


_envelope = msgspec.json.Decoder(_Envelope).decode
_SPARKPLUG_WIRE = {1: 0, 2: 2, 3: 0, 4: 2, 5: 2}
"""Fields of a Sparkplug payload (timestamp, metrics, seq, uuid, body) -> wire type of Protocol Buffers."""
_VARINT_BYTES_MAX = 10
_HEX = re.compile(rb"(?:0x)?[0-9A-Fa-f]{2}(?:[\s:,-]*(?:0x)?[0-9A-Fa-f]{2})*")


def detect(data: bytes) -> Found | None:
    """Tell the format of a payload, as it was published or copied in hex or base64; None if it is none of ours."""
    found = _as_it_is(data)
    if found is not None:
        return found
    for written, inner in (("hex", from_hex(data)), ("base64", from_base64(data))):
        found = _as_it_is(inner, written) if inner else None
        if found is not None:
            return found
    return None


def from_hex(data: bytes) -> bytes | None:
    """Read hexadecimal digits, alone or as a dump with its offsets (xxd, hexdump -C); None for anything else."""
    lines = [line for line in data.strip().splitlines() if line.strip()]
    plain = b" ".join(lines)
    if not _HEX.fullmatch(plain):
        plain = b""
    dumped = _from_dump(lines)
    if dumped:
        return dumped
    return bytes.fromhex(re.sub(rb"0x|[\s:,-]", b"", plain).decode()) or None


def _from_dump(lines: list[bytes]) -> bytes | None:
    """Read a dump: each line begins with how many bytes stand before it, so nothing else can be taken for one."""
    read = bytearray()
    for line in lines:
        offset, _, rest = line.partition(b" ")
        try:
            if int(offset.removesuffix(b":"), 16) != len(read) or len(offset) < 4:
                return None
            digits = re.split(rb"\s{2,}|\|", rest.strip())[0] if offset.endswith(b":") else rest.partition(b"|")[0]
            read += bytes.fromhex(digits.decode())
        except ValueError:
            return None
    return bytes(read)


def from_base64(data: bytes) -> bytes | None:
    """Read base64, in its common or its URL alphabet, with or without padding; None for anything else."""
    text = b"".join(data.split()).translate(bytes.maketrans(b"-_", b"+/")).rstrip(b"=")
    try:
        return base64.b64decode(text + b"=" * (-len(text) % 4), validate=True) or None
    except binascii.Error:
        return None


def _as_it_is(data: bytes, written: str = "") -> Found | None:
    if data.lstrip()[:1] in (b"{", b"["):
        form, name = _of_json(data)
        return Found(payload=data, format=form, kind="JSON", written=written, id=name)
    if cbor.is_cbor(data):
        return Found(payload=data, format=Format.OWN, kind="CBOR", written=written)
    if _is_sparkplug(data):
        return Found(payload=data, format=Format.SPARKPLUG, kind="Protobuf", written=written)
    return None


def _of_json(data: bytes) -> tuple[Format, str]:
    """Format and device id; what cannot be read is left to the codec of our own formats, which says why."""
    try:
        said = _envelope(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Format.OWN, ""
    if said.chirpstack is not None:
        return Format.CHIRPSTACK, said.chirpstack.dev_eui.lower()
    if said.chirpstack_3 is not None:
        return Format.CHIRPSTACK, (from_base64(said.chirpstack_3.encode()) or b"").hex()
    if said.things_stack is not None:
        application = said.things_stack.application_ids
        within = f"{application.application_id}/" if application and application.application_id else ""
        return Format.THINGS_STACK, within + said.things_stack.device_id
    return Format.OWN, ""


def _is_sparkplug(data: bytes) -> bool:
    """Whether the bytes are fields of a Sparkplug payload, from the first to the last."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        if _SPARKPLUG_WIRE.get(key >> 3) != key & 7:
            return False
        value, at = _varint(data, at)
        if key & 7 == 2:
            at += value
    return at == len(data) > 0


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number and where the next begins; beyond the end where it is cut off or too long."""
    value = 0
    for index, byte in enumerate(data[at : at + _VARINT_BYTES_MAX]):
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, at + index + 1
    return value, len(data) + 1
