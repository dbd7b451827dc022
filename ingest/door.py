"""Who may come in, and who is in. Pure: closing is the guest's own business."""

from collections import Counter
from collections.abc import Callable
from typing import Protocol

from ingest.dialect import CONNACK_BYTES_MAX
from ingest.inbox import decrement
from ingest.limits import Limits
from ingest.networks import Reach
from ingest.packets import Connect, ReasonCode
from ingest.topics import Topics, is_station_name


def judge(
    packet: Connect,
    *,
    topics: Topics,
    check: Callable[[str, str], bool],
    reach: Callable[[str], Reach | None],
    client_id_chars: int,
) -> tuple[ReasonCode, str]:
    """Decide on a CONNECT: the answer, and the name of the station or network where it is SUCCESS.

    Parameters
    ----------
    reach : name -> what it may publish; None for a station, which has its own topics only

    BAD_USER_NAME_OR_PASSWORD for what cannot be a credential, NOT_AUTHORIZED for a wrong one; docs/mqtt.md says why.
    """
    asked = packet.properties
    if asked.authentication_method is not None:
        return ReasonCode.BAD_AUTHENTICATION_METHOD, ""  # [MQTT5-4.12.0-1]
    if asked.maximum_packet_bytes is not None and asked.maximum_packet_bytes < CONNACK_BYTES_MAX:
        return ReasonCode.PACKET_TOO_LARGE, ""
    if len(packet.client_id) > client_id_chars:
        return ReasonCode.IDENTIFIER_REJECTED, ""
    if not packet.client_id and not packet.clean_session and packet.level == 4:
        return ReasonCode.IDENTIFIER_REJECTED, ""  # [MQTT-3.1.3-8]
    station = packet.user_name or ""
    if not is_station_name(station) or packet.password is None:
        return ReasonCode.BAD_USER_NAME_OR_PASSWORD, ""
    try:
        password = packet.password.decode()
    except UnicodeDecodeError:
        return ReasonCode.BAD_USER_NAME_OR_PASSWORD, ""
    if not check(station, password):
        return ReasonCode.NOT_AUTHORIZED, ""
    if packet.will is not None:
        of_network = reach(station)
        own = packet.will.topic == topics.status(station) if of_network is None else of_network.of(packet.will.topic)
        if own is None or own is False:
            return ReasonCode.NOT_AUTHORIZED, ""
    if packet.will is not None and packet.will.qos == 2 and packet.level == 5:
        return ReasonCode.QOS_NOT_SUPPORTED, ""  # [MQTT5-3.2.2-12]
    return ReasonCode.SUCCESS, station


class Guest(Protocol):
    """A connection, seen from the door."""

    address: str
    station: str
    """Or the network it is; empty before it is let in."""
    client: str
    is_network: bool
    """Whether it speaks for many stations."""

    def close(self, cause: str) -> None:
        """End the connection; calls `Door.disown`."""

    def hold(self) -> None:
        """Read no more."""


class Door:
    """All connections, under their bounds."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._guests: set[Guest] = set()
        self._knocking: dict[Guest, None] = {}  # not let in and not closed, oldest first
        self._knocking_from: Counter[str] = Counter()  # address -> its connections that were not let in
        self._clients: dict[tuple[str, str], Guest] = {}
        self._of_station: dict[str, dict[Guest, None]] = {}  # let in and not closed, oldest first
        self.is_shut = False
        """Nobody comes in any more."""

    def __len__(self) -> int:
        return len(self._guests)

    def guests(self) -> list[Guest]:
        """Everyone, let in or not; a copy, for guests leave while they are told so."""
        return list(self._guests)

    def enter(self, guest: Guest) -> bool:
        """Whether one more connection may stay until it has said who it is. It must `leave` either way."""
        self._guests.add(guest)
        self._knocking_from[guest.address] += 1
        if (
            self.is_shut
            or len(self._guests) > self._limits.connections
            or self._knocking_from[guest.address] > self._limits.unconnected_per_address
        ):
            return False
        self._knocking[guest] = None
        if len(self._knocking) > self._limits.unconnected:
            next(iter(self._knocking)).close("too_many_unconnected")
        return True

    def let_in(self, guest: Guest) -> None:
        """Register a client under its id, and close the one that had it [MQTT-3.1.4-2]."""
        self._knocking.pop(guest, None)
        decrement(self._knocking_from, guest.address)
        key = (guest.station, guest.client)
        older = self._clients.get(key)
        if older is not None:
            older.close("taken_over")
        self._clients[key] = guest
        same = self._of_station.setdefault(guest.station, {})
        same[guest] = None
        limits = self._limits
        if len(same) > (limits.connections_per_network if guest.is_network else limits.connections_per_station):
            next(iter(same)).close("too_many_of_station")

    def disown(self, guest: Guest) -> None:
        """Take from a connection that is being closed what it stands for: its place in line, or its client id."""
        self._knocking.pop(guest, None)
        key = (guest.station, guest.client)
        if self._clients.get(key) is not guest:
            return
        del self._clients[key]
        same = self._of_station[guest.station]
        del same[guest]
        if not same:
            del self._of_station[guest.station]

    def leave(self, guest: Guest, *, was_let_in: bool) -> None:
        """Forget a connection that is gone."""
        self._guests.discard(guest)
        if not was_let_in:
            decrement(self._knocking_from, guest.address)

    def is_present(self, station: str) -> bool:
        """Whether the station has a connection that was let in."""
        return station in self._of_station
