"""Commands to devices: who listens, what was asked of whom, and what became of it. Pure: publishing is the listener's.

A command is an order with an id and an end (docs/wire.md, Commands). It waits until its device listens, is sent once to
each connection that does, and again to the next one where that connection ended before the device took it.
"""

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Protocol

import msgspec

from ingest.message import Reason, Rejection
from ingest.topics import Topics

OPEN_MAX = 16
"""Commands of one station that are not over."""
KEPT_MAX = 64
"""And those that are, to be asked for."""
ORDER_BYTES_MAX = 1_024
ANSWER_BYTES_MAX = 4_096


class Stage(StrEnum):
    """How far a command got."""

    QUEUED = "queued"
    """Nobody listens, or the one who did is gone."""
    SENT = "sent"
    TAKEN = "taken"
    """The device has acknowledged that it has it (QoS 1)."""
    ANSWERED = "answered"
    EXPIRED = "expired"
    """Its end came before an answer. The device refuses it from then on."""


class Full(ValueError):
    """Too many commands of this station are not over."""


class Fate(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a command."""

    stage: Stage
    reached: Stage
    """The same, or how far one got that has expired."""
    answer: bytes = b""
    """JSON, as the device wrote it."""


class Listener(Protocol):
    """A connection that hears commands."""

    def tell(self, topic: str, payload: bytes, command: str) -> bool:
        """Publish to the device; False where that cannot be done just now. Calls `Commands.taken` in the end."""


class _Kept(msgspec.Struct):
    payload: bytes
    expires_us: int
    stage: Stage = Stage.QUEUED
    by: Listener | None = None
    """Who was told last; None for a broker, and where nobody was."""
    answer: bytes = b""

    def fate(self, now_us: int) -> Fate:
        is_late = now_us >= self.expires_us and self.stage is not Stage.ANSWERED
        return Fate(stage=Stage.EXPIRED if is_late else self.stage, reached=self.stage, answer=self.answer)

    def is_open(self, now_us: int) -> bool:
        return now_us < self.expires_us and self.stage is not Stage.ANSWERED


class _Answer(msgspec.Struct):
    id: str


class Commands:
    """All of them, by station; gone with the process, as no command outlives its few minutes.

    Parameters
    ----------
    topics : the world that is served
    now_us : clock of judgement, microseconds UTC
    elsewhere : tries to publish (topic, payload) to who does not listen here; whether it could
    """

    def __init__(
        self,
        topics: Topics,
        now_us: Callable[[], int],
        elsewhere: Callable[[str, bytes], bool] = lambda _, __: False,
    ) -> None:
        self._topics = topics
        self._now_us = now_us
        self._elsewhere = elsewhere
        self._of: dict[str, dict[str, _Kept]] = {}  # station -> id -> command, oldest first
        self._listeners: dict[str, dict[Listener, None]] = {}  # topic -> who hears it, oldest first

    def order(self, station: str, order: Mapping[str, Any], *, id: str, expires_us: int) -> None:
        """Have a station told, now or when it listens.

        Raises
        ------
        Full : see there
        ValueError : the order is too long, or has an `id` or `expires` of its own
        """
        if taken := {"id", "expires"} & order.keys():
            raise ValueError(f"{', '.join(sorted(taken))}: every command gets its own")
        payload = msgspec.json.encode({"id": id, "expires": expires_us // 1_000, **order})
        if len(payload) > ORDER_BYTES_MAX:
            raise ValueError(f"a command of {len(payload)} bytes; at most {ORDER_BYTES_MAX} are sent")
        kept, now_us = self._of.setdefault(station, {}), self._now_us()
        over = [one for one, command in kept.items() if not command.is_open(now_us)]
        if len(kept) - len(over) >= OPEN_MAX:
            raise Full(f"{OPEN_MAX} commands of {station} wait for their end or answer")
        for one in over[: max(0, len(kept) - KEPT_MAX + 1)]:
            del kept[one]
        kept[id] = _Kept(payload, expires_us)
        self._send(station)

    def fate(self, station: str, id: str) -> Fate | None:
        """What became of a command; None of one that is not known."""
        command = self._of.get(station, {}).get(id)
        return command.fate(self._now_us()) if command is not None else None

    def retry(self) -> None:
        """Send what could not be sent before; to be called now and then."""
        for station in list(self._of):
            self._send(station)

    def say(self, topic: str, payload: bytes) -> bool:
        """Publish once, QoS 0 or not at all: a request that is made again anyway. Whether anybody could be told."""
        return any(one.tell(topic, payload, "") for one in self._newest(topic)) or self._elsewhere(topic, payload)

    # From the devices.

    def listen(self, listener: Listener, topic: str) -> None:
        """Somebody hears this from now on, and is told what waits."""
        hearers = self._listeners.setdefault(topic, {})
        hearers.pop(listener, None)
        hearers[listener] = None
        place = self._topics.parse(topic)
        if place is not None:
            self._send(place[0])

    def leave(self, listener: Listener, topics: Sequence[str]) -> None:
        """Somebody hears this no more: what it did not take waits for the next."""
        for topic in topics:
            hearers = self._listeners.get(topic)
            if hearers is None or listener not in hearers:
                continue
            del hearers[listener]
            if not hearers:
                del self._listeners[topic]
            place = self._topics.parse(topic)
            for command in self._of.get(place[0], {}).values() if place is not None else ():
                if command.by is listener:
                    command.by = None
                    if command.stage is Stage.SENT:
                        command.stage = Stage.QUEUED

    def taken(self, topic: str, id: str) -> None:
        """The device has it."""
        place = self._topics.parse(topic)
        command = self._of.get(place[0], {}).get(id) if place is not None else None
        if command is not None and command.stage in (Stage.QUEUED, Stage.SENT):
            command.stage = Stage.TAKEN

    def answered(self, station: str, payload: bytes) -> Rejection | None:
        """Take what a device says of a command. One that nobody knows any more is passed over."""
        if len(payload) > ANSWER_BYTES_MAX:
            return Rejection(Reason.WRONG_SHAPE, f"an answer of {len(payload)} bytes; at most {ANSWER_BYTES_MAX}")
        try:
            answer = msgspec.json.decode(payload.decode(), type=_Answer)  # what it does not read it does not check
        except msgspec.ValidationError:
            return Rejection(Reason.WRONG_SHAPE, 'an answer is a JSON object with the "id" of its command')
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return Rejection(Reason.NOT_JSON, "an answer to a command, and no JSON")
        command = self._of.get(station, {}).get(answer.id)
        if command is not None and command.stage is not Stage.ANSWERED:
            command.stage, command.answer = Stage.ANSWERED, payload
        return None

    def _newest(self, topic: str) -> list[Listener]:
        return list(self._listeners.get(topic, ()))[-1:]

    def _send(self, station: str) -> None:
        now_us, topic = self._now_us(), self._topics.cmd(station)
        for id, command in self._of.get(station, {}).items():
            if command.stage is not Stage.QUEUED or not command.is_open(now_us):
                continue
            for listener in self._newest(topic):
                if listener.tell(topic, command.payload, id):
                    command.stage, command.by = Stage.SENT, listener
                break
            else:
                if self._elsewhere(topic, command.payload):
                    command.stage = Stage.SENT
