"""What a serial line says, once its bytes are cut into frames, and what any instrument on one must be able to do."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Protocol

import msgspec

HEAD_BYTES = 64
"""How much of what was refused is kept."""


class Fault(StrEnum):
    """Why bytes became no reading; the words stand in the quarantine's row."""

    NOISE = "bytes that belong to no frame"
    CHECKSUM = "wrong checksum, or cut off"
    WARMING_UP = "warming up"
    INCONSISTENT = "values that contradict each other"
    INSTRUMENT = "a fault that the instrument itself reports"


class Frame(msgspec.Struct, frozen=True):
    """One measurement."""

    values: Mapping[str, float]
    """Reading name without the sensor's id -> canonical unit; NaN where the instrument measured and got nothing."""


class Refused(msgspec.Struct, frozen=True):
    """Bytes that are no measurement, although something spoke."""

    fault: Fault
    head: bytes
    """The first HEAD_BYTES of them."""
    names: tuple[str, ...] = ()
    """Whose measurement it would have been; empty: all of the instrument's."""


Heard = Frame | Refused


class Instrument(Protocol):
    """The conversation with one kind of instrument: bytes in, bytes out, no clock and no line of its own."""

    due_s: float
    """When `turn` wants to be called next, on the caller's monotonic clock; infinite where it only listens."""

    def begin(self) -> bytes:
        """Forget what was half heard; what to write on a line that has just been opened."""

    def feed(self, chunk: bytes) -> Sequence[Heard]:
        """Take what came. The same stream gives the same frames however it is cut. Never raises."""

    def turn(self, now_s: float) -> tuple[bytes, Sequence[Heard]]:
        """What to write now, and what came of a question that has been waited for long enough."""

    def end(self) -> bytes:
        """What to write before the line is closed for good."""
