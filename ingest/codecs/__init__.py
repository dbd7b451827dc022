"""From bytes to readings: one file per wire format, chosen by what the payload looks like."""

import json

from ingest.codecs import flat, senml
from ingest.message import Reason, Rejection, Rows

PAYLOAD_BYTES_MAX = 256 * 1024
_INT_CHARS_MAX = 30


def decode(payload: bytes, received_us: int, station: str, index: int, rows: Rows) -> list[Rejection]:
    """Append the good readings of one message to `rows`; never raises, whatever the bytes.

    Parameters
    ----------
    payload : as published
    received_us : arrival, microseconds UTC; relative times of SenML count from it
    station : who published
    index : number of the message, written beside each of its rows
    rows : grows by the good readings, in the order of the payload; values in the canonical unit, NaN for null

    Returns
    -------
    One Rejection for each part that is bad; empty when all is good. A message over a bound is refused as a whole.

    Source: docs/wire.md.
    """
    if len(payload) > PAYLOAD_BYTES_MAX:
        return [Rejection(Reason.TOO_LARGE, f"{len(payload)} bytes; at most {PAYLOAD_BYTES_MAX}")]
    if flat.decode_clean(payload, station, index, rows):
        return []
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
    return flat.decode(parsed, station, index, rows)


def _integer(digits: str) -> int | float:
    """Read a whole number; one of absurd length as a float, because int() raises on it or takes long."""
    return int(digits) if len(digits) <= _INT_CHARS_MAX else float(digits)
