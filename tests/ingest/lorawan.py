"""Uplinks of our own making, as ChirpStack 4 and The Things Stack 3 publish them."""

import base64
import json
from collections.abc import Mapping
from typing import Any, Literal

from ingest.codecs import standard
from ingest.message import Rejection, Rows
from ingest.source import Format, Source
from sensors.stations import Device, Metric

EUI = "0011223344556677"
DEVICE_ID = "klong-01"
OWN_ID = f"flood@ttn/{DEVICE_ID}"
NOW_US = 1_795_330_260_000_000
HEARD = "2026-11-22T06:50:00.123456789Z"
HEARD_US = 1_795_330_200_123_457

Changes = Mapping[str, Any]


def chirpstack(frame: bytes | None, **changes: Any) -> dict[str, Any]:
    """An uplink; a change to None takes the field away."""
    held = {
        "deduplicationId": "6b8ac20f-7d68-4d4e-a1a1-0c2bb60ef5a5",
        "time": HEARD,
        "deviceInfo": {
            "devEui": EUI,
            "deviceProfileName": "field",
            "deviceName": "bridge",
            "tags": {"owner": "tambon"},
        },
        "devAddr": "01020304",
        "adr": True,
        "fCnt": 7,
        "fPort": 85,
        "data": None if frame is None else base64.b64encode(frame).decode(),
        "rxInfo": [{"gatewayId": "a1a2a3a4a5a6a7a8", "rssi": -97, "snr": 4.5}],
        "txInfo": {"frequency": 923_200_000},
    } | changes
    return {key: value for key, value in held.items() if value is not None}


def things_stack(frame: bytes | None, *, outside: Changes | None = None, **changes: Any) -> dict[str, Any]:
    """An uplink without what is zero; changes are to `uplink_message`, and `outside` of it."""
    message = {
        "session_key_id": "AXA50tHUGUucuzS/bCGMNw==",
        "f_cnt": 7,
        "frm_payload": None if frame is None else base64.b64encode(frame).decode(),
        "rx_metadata": [{"gateway_ids": {"gateway_id": "hill"}, "rssi": -97}],
        "settings": {"frequency": "923200000", "time": "2026-11-22T06:50:00Z"},
        "received_at": HEARD,
    } | changes
    held = {
        "end_device_ids": {"device_id": DEVICE_ID, "application_ids": {"application_id": "flood"}, "dev_eui": EUI},
        "received_at": "2026-11-22T06:50:00.5Z",
        "uplink_message": {key: value for key, value in message.items() if value is not None},
    } | dict(outside or {})
    return {key: value for key, value in held.items() if value is not None}


def device(
    via: Literal["chirpstack", "things_stack"],
    model: str = "",
    names: Mapping[str, Metric] | None = None,
    parameters: Mapping[str, float] | None = None,
) -> Device:
    """A registered device of this model."""
    id = EUI if via == "chirpstack" else OWN_ID
    return Device(via=via, id=id, model=model, names=names or {}, parameters=parameters or {})


def source(via: Literal["chirpstack", "things_stack"], held: Device | None = None, id: str = "") -> Source:
    """Whose the message is; of one that nobody registered, its own id."""
    own = id or (EUI if via == "chirpstack" else OWN_ID)
    return Source(format=Format(via), station="WL-01" if held else own, device=held, id=own)


def run(payload: object, of: Source) -> tuple[Rows, list[Rejection]]:
    """Decode one message, bytes or what is to be written as JSON."""
    rows = Rows()
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    refused = standard()[of.format](raw, of, NOW_US, 3, rows)
    assert len({len(column) for column in (rows.station, rows.name, rows.time_us, rows.value, rows.message)}) == 1
    assert set(rows.message) <= {3}
    return rows, refused


def values(rows: Rows) -> dict[str, float]:
    """By reading name."""
    return dict(zip(rows.name, rows.value, strict=True))
