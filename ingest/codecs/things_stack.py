"""The Things Stack v3: `v3/{application}@{tenant}/devices/{device id}/up`.

Fields of uplinks: The Things Stack documentation, "Data Formats", in the JSON of Protocol Buffers: what is zero, false
or empty is missing.
"""

import msgspec

from ingest.codecs.bounds import shown
from ingest.codecs.lorawan.models import VENDORS
from ingest.codecs.lorawan.moment import heard_us
from ingest.codecs.lorawan.uplink import UPLINK_BYTES_MAX, Uplink, take, unread
from ingest.message import Reason, Rejection, Rows
from ingest.source import Source


class _Ids(msgspec.Struct, gc=False):
    device_id: str


class _Settings(msgspec.Struct, gc=False):
    time: str | None = None


class _Version(msgspec.Struct, gc=False):
    """An entry of the device repository."""

    brand_id: str = ""
    model_id: str = ""


class _Message(msgspec.Struct, gc=False):
    f_port: int | None = None
    frm_payload: str | None = None
    decoded_payload: msgspec.Raw = msgspec.Raw()
    received_at: str | None = None
    """By the network server."""
    settings: _Settings | None = None
    version_ids: _Version | None = None


class _Uplink(msgspec.Struct, gc=False):
    end_device_ids: _Ids
    uplink_message: _Message
    received_at: str | None = None
    """By the application server."""
    simulated: bool | None = None


_decode = msgspec.json.Decoder(_Uplink).decode


def decode(payload: bytes, source: Source, _received_us: int, index: int, rows: Rows) -> list[Rejection]:
    """Append the readings of one uplink; see `ingest.source.Codec`.

    Their time is when the network server heard the frame, whose clock is better than a gateway's: the broker may have
    kept the message since.
    """
    if len(payload) > UPLINK_BYTES_MAX:
        return [Rejection(Reason.TOO_LARGE, f"{len(payload)} bytes; an uplink has at most {UPLINK_BYTES_MAX}")]
    try:
        event = _decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return [unread("The Things Stack", error)]
    if event.end_device_ids.device_id != source.id.rpartition("/")[2]:
        detail = f"device {shown(event.end_device_ids.device_id)} in the message; its topic says {source.id}"
        return [Rejection(Reason.WRONG_SHAPE, detail)]
    if event.simulated:
        return [Rejection(Reason.SIMULATED, "The Things Stack says that this uplink was made up, not measured")]
    message = event.uplink_message
    version = message.version_ids or _Version()
    uplink = Uplink(
        time_us=heard_us(
            (message.received_at, message.settings.time if message.settings else None, event.received_at),
        ),
        frame=message.frm_payload or "",
        fields=message.decoded_payload,
        port=message.f_port or 0,
        hints=(version.model_id,) if version.brand_id in VENDORS else (),
    )
    return take(uplink, source, index, rows)
