"""Frames of our own making, written from the makers' data sheets and without the parsers."""

import struct
from collections.abc import Iterator, Sequence
from itertools import pairwise

from ingest.serial.heard import Frame, Heard, Instrument


def plantower(
    words: Sequence[int] = (3, 7, 9, 2, 6, 8, 1200, 350, 60, 7, 2, 1), *, version: int = 0x9700, length: int = 28
) -> bytes:
    body = b"\x42\x4d" + struct.pack(f">H{len(words)}H", length, *words)
    if length == 28:
        body += struct.pack(">H", version)
    assert len(body) == length + 2
    return body + struct.pack(">H", sum(body) & 0xFFFF)


def ultrasonic(distance: int) -> bytes:
    body = bytes((0xFF, distance >> 8, distance & 0xFF))
    return body + bytes((sum(body) & 0xFF,))


def sps30(values: Sequence[float] | None, *, command: int = 3, state: int = 0) -> bytes:
    data = b"" if values is None else struct.pack(f">{len(values)}f", *values)
    body = bytes((0, command, state, len(data))) + data
    body += bytes((0xFF - (sum(body) & 0xFF),))
    stuffed = b"".join(
        bytes((0x7D, {0x7E: 0x5E, 0x7D: 0x5D, 0x11: 0x31, 0x13: 0x33}[byte]))
        if byte in (0x7E, 0x7D, 0x11, 0x13)
        else bytes((byte,))
        for byte in body
    )
    return b"\x7e" + stuffed + b"\x7e"


def crc(data: bytes) -> bytes:
    """CRC-16/MODBUS bit by bit, low byte first."""
    rest = 0xFFFF
    for byte in data:
        rest ^= byte
        for _ in range(8):
            rest = rest >> 1 ^ (0xA001 if rest & 1 else 0)
    return struct.pack("<H", rest)


def modbus(*words: int, device: int = 1, function: int = 3) -> bytes:
    body = bytes((device, function, 2 * len(words))) + struct.pack(f">{len(words)}H", *words)
    return body + crc(body)


def heard(instrument: Instrument, *chunks: bytes) -> list[Heard]:
    """Everything an instrument says to these chunks, on a line that has just been opened."""
    instrument.begin()
    return [one for chunk in chunks for one in instrument.feed(chunk)]


def values(found: Sequence[Heard]) -> list[dict[str, float]]:
    return [dict(one.values) for one in found if isinstance(one, Frame)]


def pieces(data: bytes, cuts: Sequence[int]) -> Iterator[bytes]:
    edges = [0, *sorted({min(cut, len(data)) for cut in cuts}), len(data)]
    for start, end in pairwise(edges):
        yield data[start:end]
