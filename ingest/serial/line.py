"""One serial line, served by one thread: opened, listened to, asked, and opened again when it was pulled out."""

import logging
import math
import os
import select
import termios
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing

import msgspec
import serial  # type: ignore[import-untyped]

from ingest.serial.gather import Gather, Refusals
from ingest.serial.heard import Heard, Instrument
from ingest.serial.options import ModbusLine, SerialLine

log = logging.getLogger(__name__)

READ_BYTES_MAX = 4096
STOP_S = 3.0
"""What a driver gets to close a port; some wait half a minute for bytes that an adapter does not take."""
PAUSE_S = 0.05
"""Bytes come in drops; so long they gather in the kernel before they are looked at, which spares the processor. At
115,200 baud that is 600 bytes, and the kernel holds 4,096."""
WAIT_S = 0.5
"""First wait before a line is opened again; doubled up to the next."""
WAIT_S_MAX = 10.0
SILENT_S = 10.0
"""A line that is gone for so long is told; a hub that resets takes a second or two."""
SILENT_READINGS = 2
"""So many readings long an open line may say nothing before that is told."""

_PARITY = {"none": serial.PARITY_NONE, "even": serial.PARITY_EVEN, "odd": serial.PARITY_ODD}


class Reading(msgspec.Struct, frozen=True):
    """What an instrument said in one period."""

    values: dict[str, float | None]
    at_us: int


class Refusal(msgspec.Struct, frozen=True):
    """What it said that could not be used."""

    text: str
    head: bytes
    at_us: int


class Silence(msgspec.Struct, frozen=True):
    """Nothing is heard, and why."""

    why: str


class Return(msgspec.Struct, frozen=True):
    """Something is heard again."""

    silent_s: float


Report = Reading | Refusal | Silence | Return


class Line:
    """A thread of its own between `start` and `stop`.

    Parameters
    ----------
    options : the port and how often it is read
    instrument : what is at its other end
    names : the instrument's own name of a value -> reading name, of those that the station has
    now_us : clock of judgement
    report : called in the thread
    """

    def __init__(
        self,
        *,
        options: SerialLine,
        instrument: Instrument,
        names: Mapping[str, str],
        now_us: Callable[[], int],
        report: Callable[[Report], None],
    ) -> None:
        self._options = options
        self._instrument = instrument
        self._now_us = now_us
        self._report = report
        self._gather = Gather(names)
        self._refusals = Refusals()
        self._stopping = False
        self._wake_r, self._wake_w = os.pipe()
        self._thread = threading.Thread(target=self._run, name=f"serial {options.port}", daemon=True)
        # Monotonic seconds.
        self._period_s = 0.0
        self._heard_s = 0.0
        """The last byte, or when a line that spoke was lost."""
        self._is_open = False
        self._is_silence_told = False
        self._why = ""
        """Why nothing is heard, if nothing is."""
        self._defect = ""
        """The last that was logged whole."""

    def start(self) -> None:
        """Begin; returns at once, whether or not the port is there."""
        self._heard_s = time.monotonic()
        self._period_s = self._heard_s + self._options.every_s
        self._thread.start()

    def stop(self) -> None:
        """Let the instrument rest and close the port; waits for it, STOP_S at most."""
        if self._stopping:
            return
        self._stopping = True
        os.write(self._wake_w, b".")
        self._thread.join(STOP_S)
        if self._thread.is_alive():
            log.error("serial: %s: its driver does not let go of it; the end of the process will", self._options.port)
            return
        os.close(self._wake_r)
        os.close(self._wake_w)

    # ---- in the thread

    def _run(self) -> None:
        wait_s = WAIT_S
        while not self._stopping:
            opened_s, why = time.monotonic(), ""
            try:
                with closing(self._open()) as port:
                    self._serve(port.fileno())
            except (OSError, termios.error) as error:
                why = str(error)
            except Exception as error:  # a baud that the adapter cannot do, or a defect of ours: it ends no other line
                why = repr(error)
                if why != self._defect:
                    self._defect = why
                    log.exception("serial: %s: opened anew after what should not happen", self._options.port)
            again_s = time.monotonic()
            if self._heard_s >= opened_s:
                wait_s, self._heard_s = WAIT_S, again_s
            self._lost(why)
            again_s += wait_s
            wait_s = min(2 * wait_s, WAIT_S_MAX)
            while not self._stopping and (now_s := time.monotonic()) < again_s:
                self._look_after(now_s)
                self._sleep(min(again_s, self._next_s()) - now_s)

    def _open(self) -> serial.Serial:
        options = self._options
        parity, stop_bits = (options.parity, options.stop_bits) if isinstance(options, ModbusLine) else ("none", 1)
        return serial.Serial(
            options.port,
            baudrate=options.baud,
            parity=_PARITY[parity],
            stopbits=stop_bits,
            exclusive=True,
        )

    def _serve(self, port: int) -> None:
        """Listen and ask until the line is gone or nobody listens any more.

        pyserial opens and sets the line; its own reading and writing wait with select(), which fails beyond the file
        descriptor 1,023, and a box has thousands of connections.
        """
        instrument = self._instrument
        self._is_open = True
        log.info("serial: %s is open", self._options.port)
        self._why = "the port is open, but nothing comes: look at power, wires and baud"
        os.write(port, instrument.begin())
        while not self._stopping:
            now_s = time.monotonic()
            question, heard = instrument.turn(now_s)
            if question:
                os.write(port, question)
            self._note(heard, now_s)
            self._look_after(now_s)
            if self._sleep(min(instrument.due_s, self._next_s()) - now_s, port):
                self._sleep(PAUSE_S)
                self._listen(port)
        os.write(port, instrument.end())

    def _listen(self, port: int) -> None:
        chunk = os.read(port, READ_BYTES_MAX)
        if not chunk:
            raise OSError(f"{self._options.port} hung up")
        now_s = time.monotonic()
        if self._is_silence_told:
            self._report(Return(now_s - self._heard_s))
            self._is_silence_told = False
        self._heard_s = now_s
        self._note(self._instrument.feed(chunk), now_s)

    def _note(self, heard: Sequence[Heard], now_s: float) -> None:
        if heard:
            self._gather.add(heard, self._now_us())
            self._refusals.add(heard, now_s)

    def _look_after(self, now_s: float) -> None:
        """Report what is due."""
        if now_s >= self._period_s:
            missed = math.floor((now_s - self._period_s) / self._options.every_s)
            self._period_s += (missed + 1) * self._options.every_s
            at_us = self._gather.heard_us
            if (values := self._gather.close()) and at_us is not None:
                self._report(Reading(values, at_us))
        if (told := self._refusals.take(now_s)) is not None:
            self._report(Refusal(*told, self._now_us()))
        if now_s >= self._silent_s():
            self._is_silence_told = True
            self._report(Silence(self._why))

    def _next_s(self) -> float:
        """When `_look_after` is due."""
        return min(self._period_s, self._refusals.due_s, self._silent_s())

    def _silent_s(self) -> float:
        if self._is_silence_told:
            return math.inf
        patience_s = max(SILENT_S, SILENT_READINGS * self._options.every_s) if self._is_open else SILENT_S
        return self._heard_s + patience_s

    def _lost(self, why: str) -> None:
        self._is_open = False
        if why != self._why and not self._stopping:
            log.warning("serial: %s is gone, trying again and again: %s", self._options.port, why)
        self._why = why

    def _sleep(self, wait_s: float, port: int = -1) -> bool:
        """Wait, but not when it is to stop; whether something came on the port, its end included."""
        watched = select.poll()
        watched.register(self._wake_r, select.POLLIN)
        if port >= 0:
            watched.register(port, select.POLLIN)
        wait_ms = math.ceil(max(0.0, wait_s) * 1000) if math.isfinite(wait_s) else None
        ready = {fd for fd, _ in watched.poll(wait_ms)}
        return port in ready and self._wake_r not in ready
