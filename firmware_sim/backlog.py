"""A device's store-and-forward memory: messages are kept until they are acknowledged."""

from collections import deque
from collections.abc import Iterable

from firmware_sim.device import Message


class Backlog:
    """At most `bound` unacknowledged messages, oldest first.

    A message is waiting, then in flight, then gone when it is acknowledged. When the memory is full the oldest waiting
    message makes room: the newest stage is what warns.
    """

    def __init__(self, bound: int) -> None:
        assert bound >= 1, f"a backlog keeps at least one message, not {bound}"
        self.bound = bound
        self.dropped = 0
        self._waiting: deque[tuple[int, Message]] = deque()
        self._in_flight: dict[int, Message] = {}
        self._next_serial = 0

    def __len__(self) -> int:
        return len(self._waiting) + len(self._in_flight)

    @property
    def in_flight(self) -> int:
        """Messages that were taken and not yet acknowledged."""
        return len(self._in_flight)

    def keep(self, messages: Iterable[Message]) -> None:
        """Remember messages; beyond the bound the oldest waiting one is dropped and counted."""
        for message in messages:
            self._waiting.append((self._next_serial, message))
            self._next_serial += 1
            if len(self) > self.bound:
                self._waiting.popleft()
                self.dropped += 1

    def take(self, limit: int) -> list[tuple[int, Message]]:
        """Put the oldest waiting messages in flight, so that at most `limit` are; gives (serial, message)."""
        taken: list[tuple[int, Message]] = []
        while self._waiting and len(self._in_flight) < limit:
            serial, message = self._waiting.popleft()
            self._in_flight[serial] = message
            taken.append((serial, message))
        return taken

    def acknowledge(self, serial: int) -> None:
        """Forget a message that was in flight.

        Raises
        ------
        KeyError : it was not
        """
        del self._in_flight[serial]
