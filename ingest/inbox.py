"""What waits to be stored and judged: bounded, and fair among stations. Pure: it neither waits nor writes."""

from collections import Counter, OrderedDict, deque
from collections.abc import Sequence
from typing import Protocol

import msgspec

from ingest.limits import Limits
from ingest.message import Message, Rejection

_MESSAGE_BYTES = 512
"""What a waiting message costs beside its payload, about."""


class Sender(Protocol):
    """The connection an arrival came by."""

    station: str
    """Whose line its arrivals join; empty for a broker, whose messages keep one order whatever station sent them."""
    unacked: int
    """Arrivals of this sender that are not done; kept by the inbox."""
    unacked_bytes: int

    def acknowledge(self, packet_ids: Sequence[int]) -> bool:
        """Say that these are safe, in this order; False where the sender is gone."""

    def close(self, cause: str) -> None:
        """End the connection."""

    def go_on(self) -> None:
        """Read again, or wait again where there is still no room."""


class Arrival(msgspec.Struct):
    """One thing to be done in its turn, and who waits for it."""

    message: Message
    sender: Sender
    packet_id: int = 0
    """To be acknowledged when done; 0 where nobody waits."""
    status_of: str = ""
    """Station, for a birth or a last will."""
    rejection: Rejection | None = None
    """Goes to quarantine instead."""
    ends: bool = True
    """Whether the connection is closed when the rejection is in quarantine. Not that of a broker: others send by it."""
    unread_bytes: int | None = None
    """Length of what was refused, where its body was not read."""

    @property
    def cost(self) -> int:
        """Bytes, for the bounds."""
        return len(self.message.payload) + _MESSAGE_BYTES


class Inbox:
    """One line for each station, served in turns, and the senders that wait for room.

    The lines are kept by station and not by connection, so that what a device sends after it came back never overtakes
    what it sent before, and a last will never overtakes the birth that follows it.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._lines: OrderedDict[str, deque[Arrival]] = OrderedDict()
        self._waiting: OrderedDict[Sender, None] = OrderedDict()
        self._refusals: Counter[str] = Counter()  # station -> refusals that are not done
        self.size = 0
        """Arrivals not taken yet."""
        self.bytes = 0
        """Cost of all that is not done, taken or not."""

    def put(self, arrival: Arrival) -> None:
        """Take in what is to be done in its turn; whether there is room is asked before."""
        sender, cost = arrival.sender, arrival.cost
        line = self._lines.get(sender.station)
        if line is None:
            line = self._lines[sender.station] = deque()
        line.append(arrival)
        self.size += 1
        self.bytes += cost
        sender.unacked += 1
        sender.unacked_bytes += cost
        if arrival.rejection is not None:
            self._refusals[sender.station] += 1

    def take(self) -> list[Arrival]:
        """Remove a batch, an equal share of each line; the next call begins with those left out.

        The last arrival may go over the bound of bytes, so that there is always one.
        """
        taken: list[Arrival] = []
        left, left_bytes = self._limits.batch_messages, self._limits.batch_bytes
        while self._lines and left > 0 and left_bytes > 0:
            share, share_bytes = max(1, left // len(self._lines)), left_bytes // len(self._lines)
            for station in list(self._lines):
                line = self._lines[station]
                end, end_bytes = max(0, left - share), max(0, left_bytes - share_bytes)
                while line and left > end:
                    arrival = line.popleft()
                    taken.append(arrival)
                    left -= 1
                    left_bytes -= len(arrival.message.payload)
                    if left_bytes <= end_bytes:
                        break
                if line:
                    self._lines.move_to_end(station)
                else:
                    del self._lines[station]
                if left <= 0 or left_bytes <= 0:
                    break
        self.size -= len(taken)
        return taken

    def release(self, batch: Sequence[Arrival]) -> None:
        """Give back the room of what has been taken and is done."""
        for arrival in batch:
            sender, cost = arrival.sender, arrival.cost
            self.bytes -= cost
            sender.unacked -= 1
            sender.unacked_bytes -= cost
            if arrival.rejection is not None:
                decrement(self._refusals, sender.station)

    @property
    def is_full(self) -> bool:
        """Whether nobody may put anything more."""
        return self.bytes >= self._limits.inbox_bytes

    def is_full_for(self, sender: Sender) -> bool:
        """Whether a sender must wait before more is read from it."""
        limits = self._limits
        return (
            sender.unacked >= limits.unacked_messages
            or sender.unacked_bytes >= limits.unacked_bytes
            or self.bytes >= limits.inbox_bytes
        )

    def has_room_for_refusal(self, station: str) -> bool:
        """Whether one more refusal of this station gets its quarantine row.

        Each row is a commit of its own and each connection can bring one, so connections by the thousand would
        otherwise hold up the thread that judges.
        """
        return self._refusals[station] < self._limits.refusals_per_station

    def wait(self, sender: Sender) -> None:
        """Remember a sender that is not read until there is room."""
        self._waiting[sender] = None

    def forget(self, sender: Sender) -> None:
        """Let a sender that is gone wait no more."""
        self._waiting.pop(sender, None)

    def resume(self) -> None:
        """Let senders go on while there is room. Who found none stays ahead of who had some and waits again."""
        for _ in range(len(self._waiting)):  # Those that wait again go to the end, and are not asked twice.
            if self.is_full or not self._waiting:
                return
            sender, _ = self._waiting.popitem(last=False)
            sender.go_on()


def decrement(counter: Counter[str], key: str) -> None:
    """Count one less, and forget the key at zero, so that a counter does not grow with names that are gone."""
    counter[key] -= 1
    if not counter[key]:
        del counter[key]
