"""The short way for a whole batch: flat JSON in which everything is right, which nearly all messages are.

No Python runs for a single reading here but what reads its text: a strict typed parser and a handful of column moves.
What is not taken here goes the long way, message by message, and gets its reasons there.
"""

from collections.abc import Sequence, Sized
from dataclasses import dataclass
from itertools import chain
from operator import attrgetter
from typing import Annotated

import msgspec
import numpy as np
from numpy.typing import NDArray

from ingest.codecs.bounds import PAYLOAD_BYTES_MAX, READINGS_MAX, TIME_US_MAX
from ingest.codecs.flat import OBJECTS_MAX
from sensors.batch import Float64, Int64

_VALUES, _TS, _READ = attrgetter("values"), attrgetter("ts"), dict[str, float | None].values


_Name = Annotated[str, msgspec.Meta(min_length=1)]


class _Object(msgspec.Struct, gc=False):
    ts: Annotated[int, msgspec.Meta(ge=0, le=TIME_US_MAX // 1_000)]
    values: Annotated[dict[_Name, float | None], msgspec.Meta(min_length=1, max_length=READINGS_MAX)]


_Pack = Annotated[list[_Object], msgspec.Meta(min_length=1, max_length=OBJECTS_MAX)]
_decode = msgspec.json.Decoder(_Object | _Pack).decode


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Readings of those payloads that were taken, in order."""

    at: NDArray[np.intp]
    """(n,) index of the payload of each reading."""
    name: list[str]
    time_us: Int64
    value: Float64
    """Canonical unit; NaN for a null."""
    left: list[int]
    """Indexes of the payloads that were not taken."""


def decode(payloads: Sequence[bytes]) -> Columns:
    """Read all payloads that are clean flat JSON; never raises, whatever the bytes.

    Source: docs/wire.md.
    """
    if max(map(len, payloads), default=0) > PAYLOAD_BYTES_MAX:
        payloads = [payload if len(payload) <= PAYLOAD_BYTES_MAX else b"" for payload in payloads]
    packs, left = _parsed(payloads)
    objects = list(chain.from_iterable(packs))
    values = list(map(_VALUES, objects))
    objects_of, counts = _lengths(packs), _lengths(values)
    at = np.repeat(np.arange(len(packs)), objects_of)
    if (objects_of > 1).any():
        over = np.bincount(at, weights=counts, minlength=len(packs)) > READINGS_MAX
        if over.any():
            return decode([b"" if much else payload for payload, much in zip(payloads, over.tolist(), strict=True)])
    return Columns(
        at=np.repeat(at, counts),
        name=list(chain.from_iterable(values)),
        time_us=np.repeat(np.array(list(map(_TS, objects)), dtype=np.int64) * 1_000, counts),
        # A null is NaN to NumPy too.
        value=np.array(list(chain.from_iterable(map(_READ, values))), dtype=np.float64),
        left=left,
    )


def _parsed(payloads: Sequence[bytes]) -> tuple[list[list[_Object]], list[int]]:
    """The objects of each payload, none where it is left."""
    taken: list[_Object | list[_Object]] = []
    left: list[int] = []
    rest = iter(payloads)
    while True:
        try:
            taken.extend(map(_decode, rest))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            left.append(len(taken))  # what was read before it has been kept, and the rest goes on behind it
            taken.append([])
        else:
            return [one if type(one) is list else [one] for one in taken], left  # type: ignore[list-item]


def _lengths(lists: Sequence[Sized]) -> NDArray[np.intp]:
    return np.fromiter(map(len, lists), dtype=np.intp, count=len(lists))
