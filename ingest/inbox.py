"""What waits to be stored and judged: bounded, and fair among stations. Pure: it neither waits nor writes."""

from collections import Counter, OrderedDict, deque
from collections.abc import Sequence
from typing import Protocol

import msgspec

from ingest.limits import Limits
from ingest.message import Message, Rejection

MESSAGE_BYTES = 512
"""What a waiting message costs beside its payload, about."""

BATCH_S = 0.1
"""What a batch should cost, seconds of the processor."""
PART_MIN = 1 / 16
"""A commit costs the same for one message and for hundreds: smaller batches would only be more of them."""
GROWTH = 1.25
"""One cheap batch says little of the next."""


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
    is_done: bool = False
    """Nothing is left but to acknowledge it in its turn: an answer to a command, of the station `status_of`."""

    @property
    def cost(self) -> int:
        """Bytes, for the bounds."""
        return len(self.message.payload) + MESSAGE_BYTES


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
        self.part = 1.0
        """Of the bounds of a batch that `take` goes up to, by what batches have cost lately."""

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

    def put_run(self, sender: Sender, arrivals: Sequence[Arrival], payload_bytes: int) -> None:
        """The same of several messages of one sender, none of them refused, with so many bytes in all."""
        line = self._lines.get(sender.station)
        if line is None:
            line = self._lines[sender.station] = deque()
        line.extend(arrivals)
        count, cost = len(arrivals), payload_bytes + MESSAGE_BYTES * len(arrivals)
        self.size += count
        self.bytes += cost
        sender.unacked += count
        sender.unacked_bytes += cost

    def take(self) -> list[Arrival]:
        """Remove a batch, an equal share of each line; the next call begins with those left out.

        What fits into the share of its line goes first: who says how the river stands now never waits behind the packs
        of those who tell of last month. The last arrival may go over the bound of bytes, so that there is always one.
        """
        taken: list[Arrival] = []
        left = max(1, round(self._limits.batch_messages * self.part))
        left_bytes = max(1, round(self._limits.batch_bytes * self.part))
        # Only where each line can have something: else the small ones of many could shut out the packs.
        whole = len(self._lines) <= left
        while self._lines and left > 0 and left_bytes > 0:
            share, share_bytes = max(1, left // len(self._lines)), left_bytes // len(self._lines)
            for station in list(self._lines):
                line, before = self._lines[station], left
                end, end_bytes = max(0, left - share), max(0, left_bytes - share_bytes)
                while line and left > end:
                    size = len(line[0].message.payload)
                    if whole and left_bytes - size < end_bytes:
                        break
                    taken.append(line.popleft())
                    left -= 1
                    left_bytes -= size
                    if left_bytes <= end_bytes:
                        break
                if left == before:
                    continue
                if line:
                    self._lines.move_to_end(station)
                else:
                    del self._lines[station]
                if left <= 0 or left_bytes <= 0:
                    break
            whole = False
        self.size -= len(taken)
        return taken

    def learn(self, spent_s: float) -> None:
        """Take so much next time that it costs no more than `BATCH_S`, by what the last batch cost.

        How dear a reading is hangs on what it says and when: out of order, or a flood of last month. Whoever arrives
        while a batch is done waits for it and for the next one, so a batch is bounded by its time.

        Parameters
        ----------
        spent_s : of the processor: a machine that is busy with other things, or a slow disk, does not make small
            batches any quicker
        """
        self.part = min(1.0, max(PART_MIN, self.part * min(GROWTH, BATCH_S / max(spent_s, 1e-6))))

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

    def room_for(self, sender: Sender) -> tuple[int, int]:
        """Messages, and bytes of all of them with what each costs besides, until this sender must wait."""
        limits = self._limits
        own, of_all = limits.unacked_bytes - sender.unacked_bytes, limits.inbox_bytes - self.bytes
        return limits.unacked_messages - sender.unacked, own if own < of_all else of_all

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
