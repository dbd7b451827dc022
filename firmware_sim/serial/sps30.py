"""Sensirion SPS30, from its data sheet: it measures when told to, and answers when asked."""

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum, IntEnum, auto

from firmware_sim.serial import shdlc
from firmware_sim.serial.instrument import Port, Truth, counted, named

SAMPLE_S = 1.0
AWAKE_S = 0.1
"""For so long after a pulse on the line it listens for WAKE."""

PM_SHARES = (("pm1_ug_m3", 0.7), ("pm2_5_ug_m3", 1.0), ("pm4_ug_m3", 1.1), ("pm10_ug_m3", 1.2))
"""Of PM2.5, where the truth names only that."""
COUNTS_PER_UG_M3 = (5.3, 6.3, 6.4, 6.45, 6.5)
"""Particles per cm3 up to 0.5, 1, 2.5, 4 and 10 um for each ug/m3 of PM2.5: the order of magnitude of haze."""
SIZE_UM = 0.7


class Command(IntEnum):
    """What it obeys (table 6); not the cleaning interval."""

    START = 0x00
    STOP = 0x01
    READ = 0x03
    SLEEP = 0x10
    WAKE = 0x11
    CLEAN = 0x56
    INFORMATION = 0xD0
    VERSION = 0xD1
    STATUS = 0xD2
    RESET = 0xD3


class Trouble(IntEnum):
    """The state byte of an answer (table 5)."""

    NONE = 0x00
    LENGTH = 0x01
    UNKNOWN = 0x02
    PARAMETER = 0x04
    NOT_NOW = 0x43


class Mode(Enum):
    """What it does."""

    IDLE = auto()
    MEASURING = auto()
    ASLEEP = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What it remembers."""

    mode: Mode = Mode.IDLE
    whole: bool = False
    """Whether it was started for whole numbers."""
    since_s: float = 0.0
    """When it was started."""
    given: int = 0
    """Samples since then, up to the one it gave last."""
    pulse_s: float = -math.inf
    """When it last felt the line while asleep."""
    held: bytes = b""
    """The beginning of a request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sps30:
    """A dust sensor. Reads `pm2_5_ug_m3`, and where the truth has them `pm1_ug_m3`, `pm4_ug_m3`, `pm10_ug_m3`.

    A sample a second; an answer is empty where there is none yet, or it was given before, or PM2.5 is NaN.

    Source: SPS30 data sheet, section 5.
    """

    id: str = ""
    serial: str = "0123456789ABCDEF"

    @property
    def port(self) -> Port:
        """Its line."""
        return Port(baud=115_200)

    def start(self, now_s: float) -> State:
        """Idle: it does not measure by itself."""
        del now_s
        return State()

    def step(self, state: State, received: bytes, truth: Truth, now_s: float) -> tuple[State, bytes]:
        """Answer what was asked; see `Instrument.step`."""
        if state.mode is Mode.ASLEEP and received and now_s - state.pulse_s > AWAKE_S:
            state, received = replace(state, pulse_s=now_s, held=b""), received[1:]
        requests, held = shdlc.split(state.held + received)
        state, sent = replace(state, held=held), b""
        for request in requests:
            if len(request) < 3 or request[0] != 0:  # not for us
                continue
            command, data = request[1], request[3:]
            if state.mode is Mode.ASLEEP and command != Command.WAKE:
                continue
            trouble, answer = Trouble.LENGTH, b""
            if request[2] == len(data):
                state, trouble, answer = self._obey(state, command, data, truth, now_s)
            sent += shdlc.frame(bytes((0, command, trouble, len(answer))) + answer)
        return state, sent

    def _obey(
        self, state: State, command: int, data: bytes, truth: Truth, now_s: float
    ) -> tuple[State, Trouble, bytes]:
        if command not in ALLOWED:
            return state, Trouble.UNKNOWN, b""
        if len(data) != DATA_BYTES.get(command, 0):
            return state, Trouble.LENGTH, b""
        if state.mode not in ALLOWED[command]:
            return state, Trouble.NOT_NOW, b""
        fine = Trouble.NONE
        match command:
            case Command.START:
                if data not in (b"\x01\x03", b"\x01\x05"):
                    return state, Trouble.PARAMETER, b""
                started = State(mode=Mode.MEASURING, whole=data[1] == 5, since_s=now_s, held=state.held)
                return started, fine, b""
            case Command.READ:
                return self._given(state, truth, now_s)
            case Command.STOP | Command.WAKE | Command.RESET:
                return State(held=state.held), fine, b""
            case Command.SLEEP:
                return State(mode=Mode.ASLEEP), fine, b""
            case Command.INFORMATION:
                told = {0: "00080000", 3: self.serial}.get(data[0])
                return (state, Trouble.PARAMETER, b"") if told is None else (state, fine, told.encode() + b"\0")
            case Command.VERSION:
                return state, fine, bytes((2, 3, 0, 7, 0, 2, 0))
            case Command.STATUS:
                return state, fine, bytes(5)
        return state, fine, b""  # its fan blows itself clean

    def _given(self, state: State, truth: Truth, now_s: float) -> tuple[State, Trouble, bytes]:
        sample = math.floor((now_s - state.since_s) / SAMPLE_S + 1e-9)
        pm2_5 = truth[named("pm2_5_ug_m3", self.id)]
        if sample <= state.given or math.isnan(pm2_5):
            return state, Trouble.NONE, b""
        pm = [truth.get(named(name, self.id), share * pm2_5) for name, share in PM_SHARES]
        counts = [share * pm2_5 for share in COUNTS_PER_UG_M3]
        return replace(state, given=sample), Trouble.NONE, measured(pm, counts, SIZE_UM, whole=state.whole)


ALLOWED: dict[int, frozenset[Mode]] = {
    Command.START: frozenset({Mode.IDLE}),
    Command.STOP: frozenset({Mode.MEASURING}),
    Command.READ: frozenset({Mode.MEASURING}),
    Command.SLEEP: frozenset({Mode.IDLE}),
    Command.WAKE: frozenset({Mode.ASLEEP, Mode.IDLE}),
    Command.CLEAN: frozenset({Mode.MEASURING}),
    Command.INFORMATION: frozenset({Mode.IDLE, Mode.MEASURING}),
    Command.VERSION: frozenset({Mode.IDLE, Mode.MEASURING}),
    Command.STATUS: frozenset({Mode.IDLE, Mode.MEASURING}),
    Command.RESET: frozenset({Mode.IDLE, Mode.MEASURING}),
}
"""In which modes a command is obeyed (table 6)."""
DATA_BYTES: dict[int, int] = {Command.START: 2, Command.INFORMATION: 1, Command.STATUS: 1}
"""What comes with a command; nothing with the others."""


def measured(pm: Sequence[float], counts: Sequence[float], size_um: float, *, whole: bool = False) -> bytes:
    """The content of an answer to READ.

    Parameters
    ----------
    pm : PM1.0, PM2.5, PM4, PM10 in ug/m3
    counts : particles per cm3 up to 0.5, 1, 2.5, 4 and 10 um
    size_um : typical particle
    whole : as uint16 (the size in nm), otherwise as float32
    """
    if whole:
        return struct.pack(">10H", *(counted(value, 0xFFFF) for value in (*pm, *counts, 1000 * size_um)))
    return struct.pack(">10f", *pm, *counts, size_um)
