"""The third way in: instruments on this box's own serial lines. Same inbox, same checks, same quarantine.

An instrument has no memory and cannot be told to wait: what the inbox has no room for is kept here, the newest first.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Collection, Sequence

import msgspec

from ingest.inbox import Arrival
from ingest.message import Message, Reason, Rejection
from ingest.pump import Pump
from ingest.serial.heard import Instrument
from ingest.serial.line import Line, Reading, Refusal, Report, Return, Silence
from ingest.serial.options import ModbusLine, PlantowerLine, SerialLine, Sps30Line, UltrasonicLine, names_of
from ingest.serial.plantower import Plantower
from ingest.serial.sps30 import Sps30
from ingest.serial.ultrasonic import Ultrasonic
from ingest.topics import Topics

log = logging.getLogger(__name__)

HELD_MAX = 10_000
"""Readings kept beside those in the inbox while nothing can be stored: a week of one a minute."""
SILENT = "serial_silent"
"""Name of the alarm."""


class SerialDoor:
    """One line, as a sender of the inbox; everything but `start`'s thread is called on the event loop of the pump.

    Parameters
    ----------
    pump : started before and stopped after this
    known : reading names of the station; what else the instrument gives is left out
    now_us : clock of judgement, microseconds UTC; called in a thread
    alarm : (name, port, what happened and what to do); must not block
    """

    def __init__(
        self,
        *,
        pump: Pump,
        options: SerialLine,
        topics: Topics,
        known: Collection[str],
        now_us: Callable[[], int],
        alarm: Callable[[str, str, str], None],
    ) -> None:
        self.station = options.station
        self.unacked = 0
        self.unacked_bytes = 0
        self.dropped = 0
        """Readings that were never stored, because more than HELD_MAX waited."""
        self._pump = pump
        self._options = options
        self._topic = topics.data(options.station)
        self._alarm = alarm
        self._held: deque[Message] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._line = Line(
            options=options,
            instrument=instrument_of(options),
            names={own: name for own, name in names_of(options).items() if name in known},
            now_us=now_us,
            report=self._report,
        )

    async def start(self) -> None:
        """Begin to listen; returns at once, whether or not the port is there."""
        self._loop = asyncio.get_running_loop()
        self._line.start()

    async def stop(self) -> None:
        """Listen no more; what is held here goes into the inbox, for the pump's last batches."""
        await asyncio.to_thread(self._line.stop)
        self._pump.inbox.forget(self)
        while self._held:
            self._put(self._held.popleft())

    def acknowledge(self, packet_ids: Sequence[int]) -> bool:
        """Nobody waits for it."""
        return bool(packet_ids)

    def close(self, cause: str) -> None:
        """A line is not closed for what it says."""

    def go_on(self) -> None:
        """Hand over what is held, as far as there is room."""
        inbox = self._pump.inbox
        while self._held and not inbox.is_full_for(self):
            self._put(self._held.popleft())
        if self._held:
            inbox.wait(self)

    def _report(self, report: Report) -> None:
        """From the thread."""
        assert self._loop is not None, "started"
        self._loop.call_soon_threadsafe(self._take, report)

    def _take(self, report: Report) -> None:
        match report:
            case Reading():
                self._hold(report)
            case Refusal():
                self._refuse(report)
            case Silence():
                self._tell(f"ไม่ได้ยินอะไรเลย · nothing is heard: {report.why}")
            case Return():
                self._tell(f"ได้ยินอีกครั้ง · heard again after {report.silent_s:.0f} s")

    def _hold(self, reading: Reading) -> None:
        payload = msgspec.json.encode({"ts": reading.at_us // 1_000, "values": reading.values})
        if len(self._held) >= HELD_MAX:
            self._held.popleft()
            self.dropped += 1
            if self.dropped == 1:
                log.error("serial: %s: the store is away for so long that readings are lost", self._options.port)
        self._held.append(self._message(payload, reading.at_us))
        self.go_on()

    def _refuse(self, refusal: Refusal) -> None:
        log.debug("serial: %s: %s", self._options.port, refusal.text)
        if self._pump.inbox.is_full_for(self) or not self._pump.inbox.has_room_for_refusal(self.station):
            self._pump.counters.unrecorded += 1
            return
        rejection = Rejection(Reason.BAD_FRAME, f"{self._options.port}: {refusal.text}")
        message = self._message(refusal.head, refusal.at_us)
        self._pump.put(Arrival(message=message, sender=self, rejection=rejection, ends=False))

    def _put(self, message: Message) -> None:
        self._pump.counters.messages += 1
        self._pump.put(Arrival(message=message, sender=self))

    def _message(self, payload: bytes, at_us: int) -> Message:
        return Message(topic=self._topic, payload=payload, received_us=at_us, client=self._options.port)

    def _tell(self, text: str) -> None:
        log.warning("serial: %s: %s", self._options.port, text)
        self._alarm(SILENT, self._options.port, f"{self.station}: {text}")


def instrument_of(options: SerialLine) -> Instrument:
    """The conversation with the instrument at the other end of a line."""
    match options:
        case PlantowerLine():
            return Plantower()
        case Sps30Line():
            return Sps30()
        case UltrasonicLine():
            return Ultrasonic(options.unit, options.no_echo)
        case ModbusLine():
            from ingest.serial.modbus import Modbus  # noqa: PLC0415  (pymodbus comes with it, and most boxes have none)

            return Modbus(options.register, options.every_s)
