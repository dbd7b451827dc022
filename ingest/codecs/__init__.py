"""From bytes to readings: one file per wire format.

`standard()` is the list: a new format is one file and one line of it, and one of `ingest.source` for its topics.
"""

import json

from ingest.codecs import cbor, chirpstack, flat, senml, senml_clean, things_stack
from ingest.codecs.bounds import PAYLOAD_BYTES_MAX, READINGS_MAX
from ingest.message import Reason, Rejection, Rows
from ingest.source import Codec, Format, Source

_INT_CHARS_MAX = 30


def standard() -> dict[Format, Codec]:
    """Every format that Takean speaks, with its codec."""
    from ingest.codecs import sparkplug  # noqa: PLC0415  (its protobuf costs a tenth of a second; only the worker reads)

    return {
        Format.OWN: decode,
        Format.CHIRPSTACK: chirpstack.decode,
        Format.THINGS_STACK: things_stack.decode,
        Format.SPARKPLUG: sparkplug.Sparkplug().decode,
    }


def decode(payload: bytes, source: Source, received_us: int, index: int, rows: Rows) -> list[Rejection]:
    """Append the good readings of one message on our own topics to `rows`; never raises, whatever the bytes.

    Parameters
    ----------
    payload : as published
    source : who published
    received_us : arrival, microseconds UTC; relative times of SenML count from it, readings without a time are of it
    index : number of the message, written beside each of its rows
    rows : grows by the good readings, in the order of the payload; values in the canonical unit, NaN for null

    Returns
    -------
    One Rejection for each part that is bad; empty when all is good. A message over a bound is refused as a whole.

    Source: docs/wire.md.
    """
    station = source.station
    if len(payload) > PAYLOAD_BYTES_MAX:
        return [Rejection(Reason.TOO_LARGE, f"{len(payload)} bytes; at most {PAYLOAD_BYTES_MAX}")]
    if payload[:1] == b"[" and senml_clean.decode(payload, received_us, station, index, rows):
        return []
    if cbor.is_cbor(payload):
        try:
            records = cbor.records(payload, READINGS_MAX)
        except cbor.NotAPackError as error:
            return [Rejection(error.reason, str(error))]
        if senml_clean.decode(records, received_us, station, index, rows):
            return []
        return senml.decode(records, received_us, station, index, rows)
    try:
        # Unlike the strict parser of the short way this one reads NaN and 1e400, so that their neighbours can be saved.
        parsed = json.loads(payload.decode(), parse_int=_integer)
    except RecursionError:
        return [Rejection(Reason.NOT_JSON, "nested too deep")]
    except UnicodeDecodeError as error:
        return [Rejection(Reason.NOT_JSON, f"not UTF-8 at byte {error.start}")]
    except json.JSONDecodeError as error:
        return [Rejection(Reason.NOT_JSON, f"{error.msg} at character {error.pos}")]
    if isinstance(parsed, list) and parsed and isinstance(parsed[0], dict) and senml.is_senml(parsed[0]):
        return senml.decode(parsed, received_us, station, index, rows)
    return flat.decode(parsed, received_us, station, index, rows)


def _integer(digits: str) -> int | float:
    """Read a whole number; one of absurd length as a float, because int() raises on it or takes long."""
    return int(digits) if len(digits) <= _INT_CHARS_MAX else float(digits)
