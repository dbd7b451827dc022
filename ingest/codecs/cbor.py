"""SenML CBOR, RFC 8428 section 6: the part of CBOR that it is made of, and nothing else.

A pack is an array of maps from a label to a number, text, bytes, true or false (section 11). Read so narrowly there is
nothing to nest, no tag with a meaning of its own but the decimal fraction, and no key that could be made to collide.
"""

import struct
from collections.abc import Callable

from ingest.message import Reason

_LABELS = {
    -6: "bs", -5: "bv", -4: "bu", -3: "bt", -2: "bn", -1: "bver",
    0: "n", 1: "u", 2: "v", 3: "vs", 4: "vb", 5: "s", 6: "t", 7: "ut", 8: "vd",
}  # fmt: skip
"""RFC 8428 table 4, which is conclusive."""
_BYTE_LABELS = {(number if number >= 0 else 0x1F - number): label for number, label in _LABELS.items()}
"""The same by the one byte that each is."""
_SELF_DESCRIBED = b"\xd9\xd9\xf7"
"""Tag 55799 (RFC 8949 section 3.4.6): says only that this is CBOR."""
_BREAK = 0xFF
_INDEFINITE = 31
_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _TAG, _OTHER = range(8)
_DECIMAL_FRACTION = 0xC4
_PAIR = 0x82
_DOUBLE = 0xFB
_SHORT_TEXT = 0x60
_read_double = struct.Struct(">d").unpack_from
_SIMPLE: dict[int, object] = {20: False, 21: True, 22: None, 23: None}
_FLOATS: dict[int, tuple[int, Callable[[bytes, int], tuple[float]]]] = {
    25: (2, struct.Struct(">e").unpack_from),
    26: (4, struct.Struct(">f").unpack_from),
    27: (8, _read_double),
}


class NotAPackError(Exception):
    """Bytes that are no SenML pack, with the reason of the refusal."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def is_cbor(payload: bytes) -> bool:
    """Whether this begins as CBOR arrays, maps and tags do; no JSON text begins so."""
    return b"\x80" <= payload[:1] <= b"\xdb"


def records(payload: bytes, records_max: int) -> list[object]:
    """Read a pack with its labels written out, as its JSON form has them.

    Parameters
    ----------
    payload : whole; arrays and maps may be of indefinite length, text and bytes may not (section 6)
    records_max : beyond it reading stops

    Returns
    -------
    What stands in the array, at most `records_max` and one: records, and what was put in the place of one.

    Raises
    ------
    NotAPackError : malformed, or more than SenML is made of
    """
    reader = _Reader(payload, len(_SELF_DESCRIBED) if payload.startswith(_SELF_DESCRIBED) else 0)
    try:
        return reader.pack(records_max)
    except (IndexError, struct.error):
        raise NotAPackError(Reason.NOT_CBOR, f"cut off after {len(payload)} bytes") from None


class _Reader:
    def __init__(self, data: bytes, at: int) -> None:
        self.data = data
        self.at = at

    def pack(self, records_max: int) -> list[object]:
        major, count = self._head()
        if major != _ARRAY:
            raise NotAPackError(Reason.WRONG_SHAPE, "CBOR, and not the array of records that SenML is")
        found: list[object] = []
        while not self._ended(count, len(found)):
            found.append(self._record())
            if len(found) > records_max:
                return found
        if self.at != len(self.data):
            raise NotAPackError(Reason.NOT_CBOR, f"{len(self.data) - self.at} bytes behind the end")
        return found

    def _record(self) -> object:
        start = self.at
        if self.data[start] >> 5 != _MAP:
            return self._scalar()
        _, count = self._head()
        found: dict[str, object] = {}
        fields = 0
        while not self._ended(count, fields):
            first = self.data[self.at]
            label: object
            if first in _BYTE_LABELS:
                label = _BYTE_LABELS[first]
                self.at += 1
            else:
                label = self._scalar()
                label = _LABELS.get(label) if type(label) is int else label
            if not isinstance(label, str):
                raise NotAPackError(Reason.WRONG_SHAPE, f"a label at byte {start} is none of RFC 8428")
            if label in found:
                raise NotAPackError(Reason.WRONG_SHAPE, f"a label stands twice in the record at byte {start}")
            found[label] = self._scalar()
            fields += 1
        return found

    def _ended(self, count: int | None, done: int) -> bool:
        """Whether an array or map is at its end; of one of indefinite length, the mark of it is passed."""
        if count is not None:
            return done >= count
        if self.data[self.at] != _BREAK:
            return False
        self.at += 1
        return True

    def _head(self) -> tuple[int, int | None]:
        """Major type and argument of an item, None for an indefinite length."""
        head = self.data[self.at]
        low = head & 31
        self.at += 1
        if low < 24:
            return head >> 5, low
        if low == _INDEFINITE and head >> 5 in (_ARRAY, _MAP):
            return head >> 5, None
        if low > 27:
            raise NotAPackError(Reason.NOT_CBOR, f"byte {self.at - 1} is {head:#x}, which begins nothing here")
        return head >> 5, int.from_bytes(self._take(1 << (low - 24)))

    def _scalar(self) -> object:
        at = self.at
        first = self.data[at]
        # What nearly all is, without calls: small whole numbers, floats of 64 bits, short text in ASCII.
        if first < 24:
            self.at = at + 1
            return first
        if first == _DOUBLE and at + 9 <= len(self.data):
            self.at = at + 9
            return _read_double(self.data, at + 1)[0]
        if _SHORT_TEXT <= first < _SHORT_TEXT + 24:
            end = at + 1 + (first & 31)
            taken = self.data[at + 1 : end]
            if taken.isascii() and end <= len(self.data):
                self.at = end
                return taken.decode()
        if first == _DECIMAL_FRACTION:
            return self._decimal_fraction()
        if first >> 5 == _OTHER:
            return self._float_or_simple(first & 31)
        major, argument = self._head()
        if argument is None or major in (_ARRAY, _MAP):
            raise NotAPackError(Reason.WRONG_SHAPE, f"an array or map at byte {at}, where SenML has none")
        if major == _UNSIGNED:
            return argument
        if major == _NEGATIVE:
            return -1 - argument
        if major == _TAG:
            raise NotAPackError(Reason.WRONG_SHAPE, f"tag {argument} at byte {at}; SenML has only tag 4")
        taken = self._take(argument)
        if major == _BYTES:
            return taken
        try:
            return taken.decode()
        except UnicodeDecodeError:
            raise NotAPackError(Reason.NOT_CBOR, f"the text at byte {at} is not UTF-8") from None

    def _float_or_simple(self, low: int) -> object:
        self.at += 1
        if low in _FLOATS:
            length, read = _FLOATS[low]
            (value,) = read(self.data, self.at)
            self.at += length
            return value
        if low not in _SIMPLE:
            raise NotAPackError(Reason.NOT_CBOR, f"byte {self.at - 1} begins a value that has no meaning")
        return _SIMPLE[low]

    def _decimal_fraction(self) -> float:
        """Tag 4 (RFC 8949 section 3.4.4): exponent of ten and mantissa, to the nearest float."""
        at = self.at
        self.at += 1
        if self.data[self.at] != _PAIR:
            raise NotAPackError(Reason.NOT_CBOR, f"the decimal fraction at byte {at} is no pair")
        self.at += 1
        exponent, mantissa = self._whole(at), self._whole(at)
        return float(f"{mantissa}e{exponent}")

    def _whole(self, at: int) -> int:
        major, argument = self._head()
        if argument is None or major not in (_UNSIGNED, _NEGATIVE):
            raise NotAPackError(Reason.WRONG_SHAPE, f"the decimal fraction at byte {at} is not of two whole numbers")
        return argument if major == _UNSIGNED else -1 - argument

    def _take(self, length: int) -> bytes:
        taken = self.data[self.at : self.at + length]
        if len(taken) < length:
            raise IndexError
        self.at += length
        return taken
