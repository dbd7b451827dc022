"""Plantower PMS5003 and PMS7003, from their data sheets: 32-byte frames at 9600 baud, seven-byte commands."""

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum, IntEnum, auto

from firmware_sim.serial.instrument import Port, Truth, counted, following, named

HEAD = b"\x42\x4d"
COMMAND_BYTES = 7
VERSION = 0x97
"""What the PMS5003s in the field say of themselves."""
U16 = 0xFFFF

COUNTS_PER_UG_M3 = (180.0, 52.0, 9.0, 1.0, 0.3, 0.1)
"""Particles in 0.1 L above 0.3, 0.5, 1, 2.5, 5 and 10 um for each ug/m3 of PM2.5: the order of magnitude of haze. Only
its shape matters: falling with the size, and none without dust."""
PM1_SHARE, PM10_SHARE = 0.7, 1.2
"""Of PM2.5, where the truth names only that."""


class Command(IntEnum):
    """What it obeys."""

    MODE = 0xE1
    """0 passive, 1 active."""
    READ = 0xE2
    """In passive mode."""
    POWER = 0xE4
    """0 sleep, 1 wake."""


class Mode(Enum):
    """What it does by itself."""

    ACTIVE = auto()
    PASSIVE = auto()
    ASLEEP = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What it remembers."""

    mode: Mode
    blowing_s: float
    """When its fan came on."""
    due_s: float
    """Of its next frame in active mode."""
    held: bytes = b""
    """The beginning of a command."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plantower:
    """A dust sensor. Reads `pm2_5_ug_m3`, and where the truth has them `pm1_ug_m3`, `pm10_ug_m3` and the CF=1 values
    `pm1_cf1_ug_m3`, `pm2_5_cf1_ug_m3`, `pm10_cf1_ug_m3`; otherwise CF=1 equals the air's values, as it does below 30.
    Silent while PM2.5 is NaN.

    Source: PMS5003 series data manual V2.3: appendix I (frame, checksum), II (commands).
    """

    id: str = ""
    period_s: float = 1.0
    """Of frames in active mode; the manual's 0.2-0.8 s holds while the air changes, 2.3 s while it does not."""
    zeros_s: float = 3.0
    """For so long after its fan came on every field is zero."""

    @property
    def port(self) -> Port:
        """Its line."""
        return Port(baud=9600)

    def start(self, now_s: float) -> State:
        """Active, its fan just on."""
        return State(mode=Mode.ACTIVE, blowing_s=now_s, due_s=now_s + self.period_s)

    def step(self, state: State, received: bytes, truth: Truth, now_s: float) -> tuple[State, bytes]:
        """Obey, then report if it is time; see `Instrument.step`."""
        held, sent = state.held + received, b""
        while len(held := _from_head(held)) >= COMMAND_BYTES:
            if sum(held[:5]) != int.from_bytes(held[5:7]):
                held = held[1:]
                continue
            command, data = held[2], int.from_bytes(held[3:5])
            held = held[COMMAND_BYTES:]
            state, answer = self._obey(state, command, data, truth, now_s)
            sent += answer
        state = replace(state, held=held)
        if state.mode is Mode.ACTIVE and now_s >= state.due_s:
            state = replace(state, due_s=following(state.due_s, now_s, self.period_s))
            sent += self._report(state, truth, now_s)
        return state, sent

    def _obey(self, state: State, command: int, data: int, truth: Truth, now_s: float) -> tuple[State, bytes]:
        match (state.mode, command, data):
            case (Mode.ASLEEP, Command.POWER, 1):
                return replace(state, mode=Mode.ACTIVE, blowing_s=now_s, due_s=now_s + self.period_s), b""
            case (Mode.ASLEEP, _, _):
                return state, b""
            case (Mode.PASSIVE, Command.READ, _):
                return state, self._report(state, truth, now_s)
            case (_, Command.MODE, 0):
                return replace(state, mode=Mode.PASSIVE), _echo(Command.MODE, 0)
            case (_, Command.MODE, 1):
                return replace(state, mode=Mode.ACTIVE, due_s=now_s + self.period_s), b""
            case (_, Command.POWER, 0):
                return replace(state, mode=Mode.ASLEEP), _echo(Command.POWER, 0)
        return state, b""

    def _report(self, state: State, truth: Truth, now_s: float) -> bytes:
        pm2_5 = truth[named("pm2_5_ug_m3", self.id)]
        if math.isnan(pm2_5):
            return b""
        if now_s - state.blowing_s < self.zeros_s:
            return frame(cf1=(0, 0, 0), air=(0, 0, 0), counts=(0,) * 6)
        air = (
            truth.get(named("pm1_ug_m3", self.id), PM1_SHARE * pm2_5),
            pm2_5,
            truth.get(named("pm10_ug_m3", self.id), PM10_SHARE * pm2_5),
        )
        names = ("pm1_cf1_ug_m3", "pm2_5_cf1_ug_m3", "pm10_cf1_ug_m3")
        cf1 = [truth.get(named(name, self.id), value) for name, value in zip(names, air, strict=True)]
        counts = [share * pm2_5 for share in COUNTS_PER_UG_M3]
        counts[0] = max(counts[0], 1.0 if max(air) >= 0.5 else 0.0)  # dust without particles would be a defect
        return frame(cf1=cf1, air=air, counts=counts)


def frame(
    *, cf1: Sequence[float], air: Sequence[float], counts: Sequence[float], version: int = VERSION, error: int = 0
) -> bytes:
    """One measurement as it travels.

    Parameters
    ----------
    cf1, air : PM1.0, PM2.5, PM10 in ug/m3, for standard particles and for the atmosphere; whole numbers travel
    counts : particles per 0.1 L above 0.3, 0.5, 1, 2.5, 5 and 10 um
    """
    fields = [counted(value, U16) for value in (*cf1, *air, *counts)]
    return _summed(HEAD + struct.pack(">H12HBB", 28, *fields, version, error))


def command(number: Command, data: int) -> bytes:
    """What a reader says."""
    return _summed(HEAD + struct.pack(">BH", number, data))


def _echo(number: Command, data: int) -> bytes:
    return _summed(HEAD + struct.pack(">HBB", 4, number, data))


def _summed(body: bytes) -> bytes:
    return body + struct.pack(">H", sum(body) & U16)


def _from_head(held: bytes) -> bytes:
    """From the first place where a command may begin."""
    at = held.find(HEAD)
    if at >= 0:
        return held[at:]
    return held[-1:] if held.endswith(HEAD[:1]) else b""
