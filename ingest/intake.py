"""The busy half of a connection: reads packets in turns, takes plain data in runs, waits where the inbox is full."""

import abc
from collections.abc import Callable, Sequence
from typing import Protocol

from ingest.inbox import MESSAGE_BYTES, Arrival, Inbox, Sender
from ingest.limits import Counters, Limits
from ingest.link import Link
from ingest.message import Message
from ingest.packets import Malformed, Packet, PacketReader, encode_pubacks

TURN_S = 0.002
"""So long one connection is dealt with before the others get their turn. In time and not in packets, for no count of
them says what they cost: one of 4 KiB can hold a thousand filters."""
RUN = 64
"""Plain messages that are taken at a time, a few microseconds each: what is left of the turn is looked at between."""


class Taker(Protocol):
    """Where it all goes."""

    limits: Limits
    counters: Counters
    now_us: Callable[[], int]
    inbox: Inbox

    def put(self, arrival: Arrival) -> None:
        """Take in what is to be done in its turn."""

    def put_run(self, sender: Sender, arrivals: Sequence[Arrival], payload_bytes: int) -> None:
        """The same of messages; see `Inbox.put_run`."""


class Intake(Link):
    """A sender (`ingest.inbox.Sender`); what is not plain data goes to `_handle`."""

    def __init__(self, host: Taker) -> None:
        super().__init__(host.limits, host.counters)
        self._host = host
        self._reader = PacketReader(host.limits.connect_bytes, topic_aliases=host.limits.topic_aliases)
        self._data_field = b""  # see Rights; empty before a station is let in
        self._data_topic = ""
        self.station = ""
        self.client = ""
        self.unacked = 0
        self.unacked_bytes = 0

    @abc.abstractmethod
    def _handle(self, packet: Packet, received_us: int) -> None:
        """Answer anything but plain data."""

    @abc.abstractmethod
    def _breach(self, error: Malformed, received_us: int) -> None:
        """Deal with bytes after which nothing more can be read."""

    def data_received(self, data: bytes) -> None:
        if not self._closed:
            self._reader.feed(data)
            self._read()

    def acknowledge(self, packet_ids: Sequence[int]) -> bool:
        """Say that these are safe; False where the peer is gone."""
        return self.send(encode_pubacks(packet_ids))

    def go_on(self) -> None:
        """Read again, first what had been received already; wait again where there is still no room."""
        if self._closed or self._ending:
            return
        if self._host.inbox.is_full_for(self):
            self._host.inbox.wait(self)
            return
        self._waiting = False
        self._beat()  # While nothing was read, silence was not the peer's fault.
        self._read()

    def _read(self) -> None:
        """Deal with what has been received, as far as the bounds allow, and not longer than a turn."""
        if self._closed:
            return
        received_us = self._host.now_us()
        try:
            self._read_packets(received_us)
        except Malformed as error:
            self._breach(error, received_us)
        self._adjust()

    def _read_packets(self, received_us: int) -> None:
        inbox = self._host.inbox
        if self._is_held():
            return
        reader, packets = self._reader, None
        begin_s = self._loop.time()
        while True:
            if not (self._data_field and self._take_run(received_us)):
                packets = packets or reader.packets()
                packet = next(packets, None)
                if packet is None:
                    break
                self._handle(packet, received_us)
            self._alive_s = begin_s
            if self._closed or self._is_held():
                break
            if inbox.is_full_for(self):
                self._wait()
                break
            if reader.is_drained:
                break
            if self._loop.time() - begin_s >= TURN_S:
                self._rest()
                break

    def _take_run(self, received_us: int) -> bool:
        """Take the plain messages that stand next; False where there is none."""
        most, most_bytes = self._host.inbox.room_for(self)
        run = self._reader.run(self._data_field, most if most < RUN else RUN, most_bytes - RUN * MESSAGE_BYTES)
        if not run:
            return False
        host, topic, client = self._host, self._data_topic, self.client
        if len(run) == 1:  # as of most devices
            packet_id, payload = run[0]
            host.put(Arrival(Message(topic, payload, received_us, client), self, packet_id))
        else:
            messages = [Message(topic, payload, received_us, client) for _, payload in run]
            arrivals = [Arrival(message, self, one[0]) for message, one in zip(messages, run, strict=True)]
            host.put_run(self, arrivals, sum([len(message.payload) for message in messages]))
        host.counters.messages += len(run)
        return True

    def _wait(self) -> None:
        """Read no more until the inbox has room."""
        self._waiting = True
        self._host.counters.pauses += 1
        self._host.inbox.wait(self)
