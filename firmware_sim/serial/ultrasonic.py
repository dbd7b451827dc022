"""Ultrasonic distance meters with a UART (A01NYUB, ME007YS, A02YYUW), from their makers' pages."""

import math
from dataclasses import dataclass

from firmware_sim.serial.instrument import Port, Truth, following, named

NO_ECHO = 0xFFFD
"""What newer boards send when nothing came back; older ones send 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What it remembers."""

    due_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ultrasonic:
    """Says FF, two bytes of distance, and their sum, some ten times a second; hears nothing. Reads `distance_m`.

    NaN, and what is nearer or farther than it can see, is a lost echo. The reach is that of the A01NYUB.
    """

    id: str = ""
    period_s: float = 0.1
    near_m: float = 0.28
    far_m: float = 7.5
    step_m: float = 0.001
    """What one count stands for: some boards of the same form count centimetres."""
    no_echo: int = NO_ECHO

    @property
    def port(self) -> Port:
        """Its line."""
        return Port(baud=9600)

    def start(self, now_s: float) -> State:
        """Switched on."""
        return State(due_s=now_s + self.period_s)

    def step(self, state: State, received: bytes, truth: Truth, now_s: float) -> tuple[State, bytes]:
        """Report if it is time; see `Instrument.step`."""
        del received
        if now_s < state.due_s:
            return state, b""
        distance_m = truth[named("distance_m", self.id)]
        seen = math.isfinite(distance_m) and self.near_m <= distance_m <= self.far_m
        sent = frame(round(distance_m / self.step_m) if seen else self.no_echo)
        return State(due_s=following(state.due_s, now_s, self.period_s)), sent


def frame(count: int) -> bytes:
    """One distance as it travels."""
    body = bytes([0xFF]) + count.to_bytes(2)
    return body + bytes([sum(body) & 0xFF])
