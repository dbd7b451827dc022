"""What every instrument on a serial line is."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

S = TypeVar("S")

Truth = Mapping[str, float]
"""Reading name (`stage_m`, `pm2_5_ug_m3@a`) to what is really the case, in the unit of the name; NaN: nothing known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """How its line is set: eight data bits, one stop bit."""

    baud: int
    parity: str = "N"
    """N, E or O."""


class Instrument(Protocol[S]):
    """One device on a line: a pure state machine. Its state is a value; two runs with the same inputs say the same."""

    @property
    def port(self) -> Port:
        """How its line is set."""

    def start(self, now_s: float) -> S:
        """Its state when power comes on."""

    def step(self, state: S, received: bytes, truth: Truth, now_s: float) -> tuple[S, bytes]:
        """Take what came down the line and say what goes up.

        Parameters
        ----------
        state : from `start` or the step before
        received : what came since the step before; may be nothing, and may cut a request anywhere
        truth : now
        now_s : never less than in the step before; a step may be as long as it likes, what would have been said
            meanwhile is not said

        Returns
        -------
        state, sent

        Raises
        ------
        KeyError : the truth lacks a reading that it needs
        """


def named(reading: str, id: str) -> str:
    """The name of a reading of the instrument `id`; plain where it has none."""
    return f"{reading}@{id}" if id else reading


def following(due_s: float, now_s: float, every_s: float) -> float:
    """The first moment after now on the grid of what was due."""
    return due_s + every_s * (math.floor((now_s - due_s) / every_s) + 1)


def counted(value: float, most: int) -> int:
    """A value as the nearest count that a field can hold."""
    return min(max(round(value), 0), most)
