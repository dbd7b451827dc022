"""Finds frames in a stream of bytes that may begin, break and lie anywhere. Pure."""

from collections.abc import Callable
from enum import Enum

import msgspec

from ingest.serial.heard import HEAD_BYTES, Fault, Heard, Refused

RUN_BYTES_MAX = 256
"""So many bytes without a frame are one refusal; then the next begins."""


class Seen(Enum):
    """What stands at a place of the stream where no whole, good frame begins."""

    NOTHING = 0
    MORE = 1
    """It cannot be told yet."""
    BROKEN = 2
    """It looks like a frame, and its checksum does not hold."""


class Found(msgspec.Struct, frozen=True):
    """A good frame."""

    length: int
    heard: Heard | None = None
    """None: it says nothing that is wanted."""


Look = Callable[[bytes | bytearray, int], Seen | Found]
"""(bytes, place) -> what begins there. MORE only while the longest frame is not there yet: that bounds the buffer."""


class Hunt:
    """One stream.

    A frame that is not good is left byte by byte: its header may be another frame's data, and a lost byte must not take
    the next frame with it. What lies between two good frames is one refusal.
    """

    def __init__(self, look: Look) -> None:
        self.is_locked = False
        """Whether the place looked at follows a good frame without a gap."""
        self._look = look
        self._buffer = bytearray()
        self._run = bytearray()
        self._run_bytes = 0
        self._is_broken = False
        self._is_fresh = True

    def reset(self) -> None:
        """Begin anew. What comes before the first frame is the end of one that we did not hear begin: no refusal."""
        self._buffer.clear()
        self._end_run()
        self._is_fresh, self.is_locked = True, False

    def feed(self, chunk: bytes) -> list[Heard]:
        """Take what came; the frames and refusals that are complete now."""
        buffer, heard, at = self._buffer, list[Heard](), 0
        buffer += chunk
        while at < len(buffer):
            seen = self._look(buffer, at)
            if isinstance(seen, Found):
                run = self._end_run()
                if run is not None and not self._is_fresh:
                    heard.append(run)
                self._is_fresh, self.is_locked = False, True
                if seen.heard is not None:
                    heard.append(seen.heard)
                at += seen.length
            elif seen is Seen.MORE:
                break
            else:
                self.is_locked = False
                self._is_broken |= seen is Seen.BROKEN
                self._stray(buffer[at : at + 1])
                at += 1
                if self._run_bytes >= RUN_BYTES_MAX and (run := self._end_run()) is not None:
                    self._is_fresh = False
                    heard.append(run)
        del buffer[:at]
        return heard

    def flush(self) -> list[Heard]:
        """Nothing more will come: what is left is a refusal."""
        self._is_broken |= bool(self._buffer)  # it was waited for to become a frame
        self._stray(self._buffer)
        self._buffer.clear()
        run = self._end_run()
        return [] if run is None else [run]

    def _stray(self, data: bytes | bytearray) -> None:
        self._run += data[: HEAD_BYTES - len(self._run)]
        self._run_bytes += len(data)

    def _end_run(self) -> Refused | None:
        run = Refused(Fault.CHECKSUM if self._is_broken else Fault.NOISE, bytes(self._run)) if self._run else None
        self._run.clear()
        self._run_bytes, self._is_broken = 0, False
        return run
