"""Sensirion's SHDLC frames: 7E, stuffed content and checksum, 7E. Source: SPS30 data sheet, section 5."""

MARK = 0x7E
ESCAPE = 0x7D
STUFFED = {0x7E: 0x5E, 0x7D: 0x5D, 0x11: 0x31, 0x13: 0x33}
"""Bytes that must not stand in a frame, and what follows the escape in their place."""
UNSTUFFED = {after: before for before, after in STUFFED.items()}
FRAME_BYTES_MAX = 2 * (255 + 5) + 2
"""255 bytes with address, command, state, length and checksum, all of them stuffed, between their marks."""


def checksum(content: bytes) -> int:
    """The least significant byte of the sum, inverted."""
    return ~sum(content) & 0xFF


def frame(content: bytes) -> bytes:
    """Content with its checksum as it travels."""
    inside = bytearray()
    for byte in (*content, checksum(content)):
        inside += bytes((ESCAPE, STUFFED[byte])) if byte in STUFFED else bytes((byte,))
    return bytes((MARK, *inside, MARK))


def content(inside: bytes) -> bytes | None:
    """What stood between two marks, without its checksum; None where it does not hold."""
    plain = bytearray()
    rest = iter(inside)
    for byte in rest:
        if byte == ESCAPE:
            after = UNSTUFFED.get(next(rest, -1))
            if after is None:
                return None
            plain.append(after)
        else:
            plain.append(byte)
    if len(plain) < 2 or checksum(bytes(plain[:-1])) != plain[-1]:
        return None
    return bytes(plain[:-1])


def split(held: bytes) -> tuple[list[bytes], bytes]:
    """Contents of the whole frames in a stream, and what may be the beginning of another.

    A mark after what was no frame may be the first of the next: whoever comes in the middle loses one frame, not all.
    """
    contents: list[bytes] = []
    begin = held.find(MARK)
    while begin >= 0 and (end := held.find(MARK, begin + 1)) >= 0:
        found = content(held[begin + 1 : end])
        if found is None:
            begin = end
        else:
            contents.append(found)
            begin = held.find(MARK, end + 1)
    rest = held[begin:] if begin >= 0 else b""
    return contents, rest if len(rest) <= FRAME_BYTES_MAX else b""
