"""When a frame was heard."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec

from ingest.times import TIME_US_MAX

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_Moment = Annotated[datetime, msgspec.Meta(tz=True)]

EARLIEST_US = 1_420_070_400_000_000
"""2015-01-01: LoRaWAN 1.0 is of that month. A time before it is a clock that was not set, or Go's year 1."""


def heard_us(candidates: Iterable[str | None]) -> int | None:
    """Read the first RFC 3339 time that can be one of reception.

    Returns
    -------
    Microseconds UTC, rounded from nanoseconds; None where there is none.
    """
    for text in candidates:
        if not text:
            continue
        try:
            moment = msgspec.convert(text, _Moment)
        except msgspec.ValidationError:
            continue
        time_us = (moment - _EPOCH) // timedelta(microseconds=1)
        if EARLIEST_US <= time_us <= TIME_US_MAX:
            return time_us
    return None
