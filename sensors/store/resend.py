"""How far a mirror is, and from where it must be sent again after a restart on either side. Pure."""

from collections import deque
from dataclasses import dataclass, field

OVERLAP_S = 60.0
"""What a server acknowledged less than this before it died may be gone: VictoriaMetrics was seen to lose 6 s."""
STEP_S = 1.0
"""How finely acknowledgements are remembered."""


@dataclass(slots=True)
class _Acknowledged:
    since_s: float
    until_s: float
    seq: int


@dataclass(slots=True, kw_only=True)
class Progress:
    """Two numbers of the journal: `sent`, up to which the server has acknowledged, and `settled`, up to which it did so
    at least OVERLAP_S before it was last seen alive, in one life. The latter is what is kept over our own restart.

    Measured by when rows were *acknowledged*, not by when they arrived at the box: after a long outage a month's rows
    are acknowledged within a minute. What arrived in the last OVERLAP_S cannot have been acknowledged before.

    All `at_s` are of one clock that never goes back.
    """

    settled: int = 0
    sent: int = field(init=False)
    life: str | None = field(init=False, default=None)
    """What tells one life of the server from the next; empty where it does not say, None before it was asked."""
    _acknowledged: deque[_Acknowledged] = field(init=False, default_factory=deque)

    def __post_init__(self) -> None:
        self.sent = self.settled

    def acknowledged(self, seq: int, at_s: float) -> None:
        """The server has taken everything up to `seq`."""
        assert seq >= self.sent, f"{seq} was acknowledged after {self.sent}"
        self.sent = seq
        newest = self._acknowledged[-1] if self._acknowledged else None
        if newest is not None and at_s - newest.since_s < STEP_S:
            newest.until_s, newest.seq = at_s, seq
        else:
            self._acknowledged.append(_Acknowledged(at_s, at_s, seq))

    def alive(self, life: str, at_s: float) -> bool:
        """The server was seen in this life, not before `at_s`; whether it must be sent again what it may have lost."""
        if life != self.life:
            first, self.life = self.life is None, life
            if not first:
                self.rewind()
                return True
        while self._acknowledged and self._acknowledged[0].until_s <= at_s - OVERLAP_S:
            self.settled = self._acknowledged.popleft().seq
        return False

    def lost(self) -> bool:
        """The connection broke: a server that does not tell its lives apart may have died; whether we go back."""
        if self.life == "":
            self.rewind()
            return True
        return False

    def rewind(self) -> None:
        """Send again from what is settled."""
        self.sent = self.settled
        self._acknowledged.clear()

    def anew(self) -> None:
        """Send everything: the journal is another one."""
        self.settled = 0
        self.rewind()
