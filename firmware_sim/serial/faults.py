"""What goes wrong between an instrument and its reader, by seed: the same seed spoils the same frames."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Generic

import numpy as np

from firmware_sim import noise
from firmware_sim.serial.instrument import Instrument, Port, S, Truth


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """How often; each a share from 0 to 1. The first three of all frames, the others of all spells."""

    seed: int = 0
    flipped: float = 0.0
    """One bit turned: its checksum does not hold."""
    cut: float = 0.0
    """The end is missing."""
    noise: float = 0.0
    """A stray byte before it."""
    stuck: float = 0.0
    """It repeats what it saw when the spell began."""
    silent: float = 0.0
    """It says nothing."""
    unplugged: float = 0.0
    """Its cable is out; when it is back, the instrument has lost its memory."""
    spell_s: float = 60.0
    during: tuple[float, float] = (-math.inf, math.inf)
    """Before and from then on nothing goes wrong, seconds of the line's clock."""

    def strikes(self, what: str, share: float, number: int) -> bool:
        """Whether fault `what` hits the frame or spell of this number."""
        return share > 0.0 and self.drawn(what, number) < share

    def spells(self, what: str, share: float, now_s: float) -> bool:
        """Whether fault `what` holds now."""
        return self._holds(now_s) and self.strikes(what, share, math.floor(now_s / self.spell_s))

    def is_unplugged(self, now_s: float) -> bool:
        """Whether the cable is out now."""
        return self.spells("unplugged", self.unplugged, now_s)

    def drawn(self, what: str, number: int) -> float:
        """A number in (0, 1) that depends on seed, name and number alone."""
        return float(noise.uniform(noise.key(self.seed, what), np.array([number], dtype=np.int64))[0])

    def spoiled(self, frame: bytes, number: int, now_s: float) -> bytes:
        """A frame as it arrives; one of a single byte can only meet noise."""
        if not self._holds(now_s):
            return frame
        if len(frame) > 1 and self.strikes("flipped", self.flipped, number):
            # Not the first and not the last byte: they may be marks that no checksum covers.
            at = 1 + int(self.drawn("flipped byte", number) * max(1, len(frame) - 2))
            bit = 1 << int(self.drawn("flipped bit", number) * 8)
            frame = frame[:at] + bytes((frame[at] ^ bit,)) + frame[at + 1 :]
        if len(frame) > 1 and self.strikes("cut", self.cut, number):
            frame = frame[: 1 + int(self.drawn("cut after", number) * (len(frame) - 1))]
        if self.strikes("noise", self.noise, number):
            frame = bytes((int(self.drawn("noise byte", number) * 256),)) + frame
        return frame

    def _holds(self, now_s: float) -> bool:
        return self.during[0] <= now_s < self.during[1]


NONE = Faults()


@dataclass(frozen=True, slots=True, kw_only=True)
class State(Generic[S]):
    """Of an instrument with faults."""

    inner: S
    frames: int = 0
    seen: Mapping[str, float] | None = None
    """What it saw when it became stuck."""


@dataclass(frozen=True, slots=True)
class Faulty(Generic[S]):
    """An instrument with faults is an instrument."""

    inner: Instrument[S]
    faults: Faults

    @property
    def port(self) -> Port:
        """Its line."""
        return self.inner.port

    def start(self, now_s: float) -> State[S]:
        """As the instrument does."""
        return State(inner=self.inner.start(now_s))

    def step(self, state: State[S], received: bytes, truth: Truth, now_s: float) -> tuple[State[S], bytes]:
        """The instrument's step, with what goes wrong around it; what one step says counts as one frame."""
        seen = None
        if self.faults.spells("stuck", self.faults.stuck, now_s):
            truth = seen = dict(truth) if state.seen is None else state.seen
        inner, sent = self.inner.step(state.inner, received, truth, now_s)
        state = replace(state, inner=inner, seen=seen)
        if not sent:
            return state, b""
        number = state.frames
        state = replace(state, frames=number + 1)
        if self.faults.spells("silent", self.faults.silent, now_s):
            return state, b""
        return state, self.faults.spoiled(sent, number, now_s)
