"""ChirpStack: `application/{id}/device/{DevEUI}/event/up`, JSON of version 4 and, where it says a time, of 3.

Fields of uplinks: ChirpStack `api/proto/integration/integration.proto`, message UplinkEvent, in the JSON of Protocol
Buffers: what is zero, false or empty may be missing.
"""

import base64
import binascii

import msgspec

from ingest.codecs.bounds import shown
from ingest.codecs.lorawan.moment import heard_us
from ingest.codecs.lorawan.uplink import UPLINK_BYTES_MAX, Uplink, take, unread
from ingest.message import Reason, Rejection, Rows
from ingest.source import Source

MODEL_TAG = "model"


class _Device(msgspec.Struct, gc=False, rename="camel"):
    dev_eui: str = ""
    device_profile_name: str = ""
    tags: dict[str, str] | None = None


class _Gateway(msgspec.Struct, gc=False, rename="camel"):
    """One gateway that heard the frame."""

    ns_time: str | None = None
    gw_time: str | None = None
    time: str | None = None
    """Of the gateway, before version 4.4 and in version 3."""


class _Uplink(msgspec.Struct, gc=False, rename="camel"):
    time: str | None = None
    device_info: _Device | None = None
    f_port: int | None = None
    data: str | None = None
    object: msgspec.Raw = msgspec.Raw()
    rx_info: list[_Gateway] | None = None
    dev_eui: str = msgspec.field(default="", name="devEUI")
    """Version 3: base64 of eight bytes."""
    device_profile_name: str = ""
    tags: dict[str, str] | None = None


_decode = msgspec.json.Decoder(_Uplink).decode


def decode(payload: bytes, source: Source, _received_us: int, index: int, rows: Rows) -> list[Rejection]:
    """Append the readings of one uplink; see `ingest.source.Codec`.

    Their time is when a gateway or the network server heard the frame: the broker may have kept the message since.
    """
    if len(payload) > UPLINK_BYTES_MAX:
        return [Rejection(Reason.TOO_LARGE, f"{len(payload)} bytes; an uplink has at most {UPLINK_BYTES_MAX}")]
    try:
        event = _decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return [unread("ChirpStack", error)]
    device = event.device_info or _Device(_hex(event.dev_eui), event.device_profile_name, event.tags)
    if not device.dev_eui:
        detail = "no uplink of ChirpStack: neither deviceInfo.devEui nor, as version 3 has it, devEUI in base64"
        return [Rejection(Reason.WRONG_SHAPE, detail)]
    if device.dev_eui.lower() != source.id:
        detail = f"DevEUI {shown(device.dev_eui)} in the message; its topic says {source.id}"
        return [Rejection(Reason.WRONG_SHAPE, detail)]
    uplink = Uplink(
        time_us=_heard_us(event),
        frame=event.data or "",
        fields=event.object,
        port=event.f_port or 0,
        hints=((device.tags or {}).get(MODEL_TAG, ""), device.device_profile_name),
    )
    return take(uplink, source, index, rows)


def _heard_us(event: _Uplink) -> int | None:
    """When the frame was heard: at the latest when the network server had it, whatever the clock of a gateway says."""
    gateways = event.rx_info or []
    served = [each.ns_time for each in gateways]
    said = (event.time, *served, *(each.gw_time for each in gateways), *(each.time for each in gateways))
    return min((at_us for at_us in (heard_us(said), heard_us(served)) if at_us is not None), default=None)


def _hex(eui: str) -> str:
    try:
        decoded = base64.b64decode(eui, validate=True)
    except (binascii.Error, ValueError):
        return ""
    return decoded.hex() if len(decoded) == 8 else ""
