"""Any instrument at the end of a line: a pseudo-terminal that looks like an adapter's, or a real port."""

import os
import select
import struct
import tempfile
import termios
import threading
import time
import tty
from collections.abc import Callable
from contextlib import suppress
from fcntl import ioctl
from pathlib import Path
from types import TracebackType
from typing import Generic, Protocol, Self

import serial  # type: ignore[import-untyped]

from firmware_sim.serial.faults import NONE, Faults, Faulty, State
from firmware_sim.serial.instrument import Instrument, Port, S, Truth

TICK_S = 0.01
"""The instrument is asked whether it has something to say so often, in real time."""
READ_BYTES = 4096
UNREAD_BYTES_MAX = 1024
"""A line that nobody reads keeps no more than a UART would."""
STOP_S = 5.0


class End(Protocol):
    """The instrument's end of a line."""

    def receive(self, wait_s: float) -> bytes:
        """What came, after at most so long."""

    def send(self, data: bytes) -> None:
        """Say it; what nobody takes is lost."""

    def close(self) -> None:
        """Pull the plug."""


class Line(Generic[S]):
    """One instrument on one line, from `with` to its end; made by `on_pty` and `on_port`."""

    def __init__(
        self,
        instrument: Instrument[S],
        truth: Callable[[float], Truth],
        *,
        open_end: Callable[[], End],
        path: Path,
        faults: Faults,
        clock: Callable[[], float],
    ) -> None:
        self.path = path
        """The device a reader opens. The same after `replug`; absent while a pseudo-terminal is unplugged."""
        self._instrument = Faulty(instrument, faults)
        self._faults = faults
        self._truth = truth
        self._open_end = open_end
        self._clock = clock
        self._changed = threading.Condition()
        self._wanted = True
        self._stopping = False
        self._end: End | None = None
        self._state: State[S] | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=f"line {path.name}", daemon=True)

    def __enter__(self) -> Self:
        """Plug in; returns when the device is there."""
        self._thread.start()
        self._await(lambda: self._end is not None or self._faults.is_unplugged(self._clock()))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Unplug, end the thread; raises what the instrument or the truth raised, if nothing else is on its way."""
        with self._changed:
            self._stopping = True
        self._thread.join(STOP_S)
        if self._error is not None and error is None:
            raise self._error

    def unplug(self) -> None:
        """Pull the cable: readers get an error at once, the instrument loses its power and its memory."""
        self._want(plugged=False)

    def replug(self) -> None:
        """Put it back: the same path, an instrument that has just come on."""
        self._want(plugged=True)

    @property
    def is_plugged(self) -> bool:
        """Whether a reader could open it."""
        return self._end is not None

    @property
    def state(self) -> S | None:
        """The instrument's, for tests and pages; None while it is unplugged."""
        state = self._state
        return None if state is None else state.inner

    def _want(self, *, plugged: bool) -> None:
        with self._changed:
            self._wanted = plugged
        self._await(lambda: (self._end is not None) == (plugged and not self._faults.is_unplugged(self._clock())))

    def _await(self, there: Callable[[], bool]) -> None:
        with self._changed:
            if not self._changed.wait_for(lambda: self._error is not None or there(), STOP_S):
                raise TimeoutError(f"{self.path} did not change within {STOP_S:g} s")
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        # Only this thread touches the line itself; the others say what they want.
        try:
            while not self._stopping:
                self._follow()
                if self._end is None:
                    time.sleep(TICK_S)
                else:
                    self._turn(self._end)
        except BaseException as error:
            self._error = error
        finally:
            with suppress(OSError):
                self._unplugged()
            with self._changed:
                self._changed.notify_all()

    def _follow(self) -> None:
        now_s = self._clock()
        plugged = self._wanted and not self._faults.is_unplugged(now_s)
        if plugged == (self._end is not None):
            return
        if plugged:
            end = self._open_end()
            self._state, self._end = self._instrument.start(now_s), end
        else:
            self._unplugged()
        with self._changed:
            self._changed.notify_all()

    def _turn(self, end: End) -> None:
        received = end.receive(TICK_S)
        now_s = self._clock()
        assert self._state is not None, "it has one from the moment it is plugged in"
        self._state, sent = self._instrument.step(self._state, received, self._truth(now_s), now_s)
        if sent:
            end.send(sent)

    def _unplugged(self) -> None:
        end, self._end, self._state = self._end, None, None
        if end is not None:
            end.close()


def on_pty(
    instrument: Instrument[S],
    truth: Callable[[float], Truth],
    *,
    path: Path | None = None,
    faults: Faults = NONE,
    clock: Callable[[], float] | None = None,
    speed: float = 1.0,
) -> Line[S]:
    """Put an instrument on a pseudo-terminal.

    Parameters
    ----------
    truth : what is the case at a moment of the clock; called from a thread of its own
    path : where the device shall stand, a symbolic link as udev would make it; by default in a new temporary folder
    clock : seconds, never going back; by default from 0 at `speed` times real time

    Returns
    -------
    line : a context manager; `line.path` is what a reader opens
    """
    place = path if path is not None else Path(tempfile.mkdtemp(prefix="line-")) / "tty"
    return Line(
        instrument,
        truth,
        open_end=lambda: _Pty(place, own_folder=path is None),
        path=place,
        faults=faults,
        clock=clock or _running(speed),
    )


def on_port(
    instrument: Instrument[S], truth: Callable[[float], Truth], device: str, *, faults: Faults = NONE
) -> Line[S]:
    """Put an instrument on a real port, in real time: a cable leads from there to the reader's adapter.

    Raises
    ------
    OSError : at `with`: the port cannot be opened (serial.SerialException is one)
    """
    return Line(
        instrument,
        truth,
        open_end=lambda: _Serial(device, instrument.port),
        path=Path(device),
        faults=faults,
        clock=_running(1.0),
    )


def _running(speed: float) -> Callable[[], float]:
    start_s = time.monotonic()
    return lambda: (time.monotonic() - start_s) * speed


class _Pty:
    def __init__(self, path: Path, *, own_folder: bool) -> None:
        self._path = path
        self._own_folder = own_folder
        path.parent.mkdir(parents=True, exist_ok=True)
        # The reader's end stays open here too, or the line would hang up whenever a reader closes it.
        self._ours, self._theirs = os.openpty()
        tty.setraw(self._theirs)
        os.set_blocking(self._ours, False)
        beside = path.with_name(f"{path.name}.new")
        beside.unlink(missing_ok=True)
        beside.symlink_to(os.ttyname(self._theirs))
        beside.replace(path)

    def receive(self, wait_s: float) -> bytes:
        ready, _, _ = select.select([self._ours], [], [], wait_s)
        return os.read(self._ours, READ_BYTES) if ready else b""

    def send(self, data: bytes) -> None:
        (unread,) = struct.unpack("i", ioctl(self._theirs, termios.FIONREAD, b"\0" * 4))
        if unread + len(data) > UNREAD_BYTES_MAX:
            termios.tcflush(self._theirs, termios.TCIFLUSH)
        with suppress(BlockingIOError):
            os.write(self._ours, data)

    def close(self) -> None:
        self._path.unlink(missing_ok=True)
        os.close(self._theirs)
        os.close(self._ours)
        if self._own_folder:
            with suppress(OSError):  # somebody else's file is in it
                self._path.parent.rmdir()


class _Serial:
    def __init__(self, device: str, port: Port) -> None:
        self._port = serial.Serial(device, port.baud, parity=port.parity, timeout=TICK_S, write_timeout=STOP_S)

    def receive(self, wait_s: float) -> bytes:
        self._port.timeout = wait_s
        return bytes(self._port.read(max(1, self._port.in_waiting)))

    def send(self, data: bytes) -> None:
        self._port.write(data)

    def close(self) -> None:
        self._port.close()
