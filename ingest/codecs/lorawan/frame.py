"""What a decoder of a device is."""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from ingest.message import Reason, Rejection

FRAME_BYTES_MAX = 242
"""The longest application payload of LoRaWAN (Regional Parameters, fastest data rates)."""

PARAMETER_MAX = 1e6
"""No label says more, of a bucket or a probe; and no reading becomes infinite by it."""


class Reading(NamedTuple):
    """One value out of a frame."""

    name: str
    """Reading name of docs/wire.md."""
    value: float
    """Canonical unit of the quantity; NaN where the instrument measured and got nothing."""
    time_us: int | None = None
    """The device's own time where the frame carries one; None: the frame was sent when it was measured."""


Decoder = Callable[[bytes, Mapping[str, float]], Iterator[Reading | Rejection]]
"""(frame, `Device.parameters`) -> readings, in the order of the frame, and what is wrong with the rest of it.

Never raises, whatever the bytes. A part that cannot be understood ends the frame: what follows could be anything.
"""


class Model(NamedTuple):
    """One device that can be bought."""

    decode: Decoder
    parameters: Mapping[str, str] = {}
    """What `Device.parameters` must say of the very instrument, all above 0 -> what that is. Nothing is guessed: a tip
    of 0.1 mm taken for one of 0.2 mm is half the rain.
    """


def positive(parameters: Mapping[str, float], name: str) -> float | None:
    """Look up what the decoder must know; None where nobody said it, or what nobody can mean."""
    value = parameters.get(name, math.nan)
    return value if 0 < value < PARAMETER_MAX else None


def not_understood(detail: str) -> Rejection:
    """Refuse a frame, or the rest of one, of which the decoder can make nothing."""
    return Rejection(Reason.UNKNOWN_DEVICE, f"{detail}; is the model right?")
