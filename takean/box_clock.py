"""The judgement clock of a live box: it runs by the machine's steady clock and is moved only for a reason.

A wall clock may stand at 1970 after a power cut and leap by years when a time server is found again; nothing falls
silent by it, and nothing is late. What is a reason says `sensors.box_clock`.
"""

import ctypes
import logging
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import numpy as np

from sensors.batch import Int64
from sensors.box_clock import HEARD_US, Standing, Votes, move, stations_heard
from sensors.clocks import FUTURE_US, ClockState
from sensors.store import SeriesStore
from sensors.window import NEVER
from takean.clock import Course, boot_id, keep, kept, real_us, steady_us

log = logging.getLogger(__name__)

WRITTEN_US = 1_767_225_600_000_000
"""2026-01-01T00:00:00Z: a wall clock before the program itself was written is wrong."""
NEWEST_ROWS = 1_000
"""So many of the journal are looked at: the last ones may be of series that nobody registers any more."""
SAID_US = 1_000_000
"""Moves of less are not worth a line in the log."""
_STATUS, _STA_UNSYNC = 40, 0x40
"""Where `struct timex` of 64-bit Linux has its status, and the bit of it that says that nobody sets the clock."""


def is_synchronised() -> bool:
    """Whether the kernel says that a time server sets the wall clock; see adjtimex(2)."""
    timex = ctypes.create_string_buffer(512)  # all zero: nothing is changed
    if ctypes.CDLL(None, use_errno=True).adjtimex(timex) < 0:
        return False
    return not int.from_bytes(timex.raw[_STATUS : _STATUS + 4], "little") & _STA_UNSYNC


class BoxClock:
    """Of one worker; see the module.

    Parameters
    ----------
    path : where its course is kept for the other processes and the next start
    floor_us : newest arrival that was judged; the clock never starts before it
    real_us, steady_us, boot : of the machine
    synchronised : whether a time server sets the wall clock

    Raises
    ------
    OSError : the file cannot be written
    """

    speed = 1.0

    def __init__(
        self,
        path: Path,
        *,
        floor_us: int,
        real_us: Callable[[], int] = real_us,
        steady_us: Callable[[], int] = steady_us,
        boot: Callable[[], UUID] = boot_id,
        synchronised: Callable[[], bool] = is_synchronised,
    ) -> None:
        self._real_us, self._steady_us, self._synchronised = real_us, steady_us, synchronised
        self._floor_us = max(floor_us, WRITTEN_US)
        self._boot = boot()
        steady, wall = steady_us(), real_us()
        before = kept(path)
        ran_on = before is not None and before.boot == self._boot and steady + before.offset_us >= before.shown_us
        if before is not None and ran_on:  # the machine has: the clock is as good as it was
            self._offset_us, self._proven, self._voted = before.offset_us, before.proven, before.voted
        else:
            self._offset_us = max(wall, self._floor_us) - steady
            self._proven, self._voted = wall >= self._floor_us, False
        self._since_us = self._agreed_us = steady + self._offset_us
        self._electors = 0
        self._before: Int64 | None = None
        self._looked_us = steady
        self._shown_us = 0
        self._leapt_us = 0
        self._off_us = 0
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if before is None:
            os.ftruncate(self._file, 0)  # what a power cut left of it
        self._keep(steady)

    def now_us(self) -> int:
        """Microseconds UTC on this clock; it stands still rather than go back by less than a leap. From any thread."""
        shown_us = self._steady_us() + self._offset_us
        if 0 < self._shown_us - shown_us <= FUTURE_US:
            return self._shown_us
        self._shown_us = shown_us
        return shown_us

    @property
    def leapt_us(self) -> int:
        """How far it was moved in all."""
        return self._leapt_us

    @property
    def off_us(self) -> int:
        """How far the wall clock is off it; 0 within FUTURE_US."""
        return self._off_us

    def look(self, devices: ClockState, station: Int64) -> None:
        """See `clock.JudgementClock`; call about once a second."""
        steady, wall = self._steady_us(), self._real_us()
        now_us = steady + self._offset_us
        gap_us = wall - now_us
        if self._before is None:
            self._begin(devices, station, now_us)
        electors = self._electors if now_us - self._since_us <= HEARD_US else 0
        spoken = devices.heard_us != self._before
        done = move(
            Standing(
                gap_us=gap_us,
                behind=wall < self._floor_us,
                proven=self._proven,
                voted=self._voted,
                synchronised=self._synchronised(),
                waited_us=now_us - self._agreed_us,
                elapsed_us=steady - self._looked_us,
            ),
            Votes.of(devices, station, spoken=spoken, electors=electors, now_us=now_us),
        )
        self._looked_us = steady
        if done.by_us:
            self._offset_us += done.by_us
            self._leapt_us += done.by_us
            self._proven = True
        leaps = abs(done.by_us) > FUTURE_US
        if leaps:
            self._since_us, self._voted = now_us + done.by_us, done.voted
            self._agreed_us = self._since_us
            self._before, self._electors = devices.heard_us, stations_heard(devices, station, now_us)
        off_us = gap_us - done.by_us
        self._off_us = off_us if abs(off_us) > FUTURE_US else 0
        if not self._off_us:
            self._proven, self._voted, self._agreed_us = True, False, now_us + done.by_us
        if abs(done.by_us) >= SAID_US:
            said = "the judgement clock moves by %.1f s; the wall clock is off it by %.1f s"
            log.warning(said, done.by_us / 1e6, off_us / 1e6)
        self._keep(steady)

    def _begin(self, devices: ClockState, station: Int64, now_us: int) -> None:
        """Who was heard before the start, by whatever clock, has a say when it speaks again."""
        heard_us = devices.heard_us
        old = np.where((heard_us <= self._since_us) | (heard_us > now_us), heard_us, NEVER)
        self._before = old
        known = replace(devices, heard_us=old)
        self._electors = stations_heard(known, station, int(old.max(initial=0)))

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)

    def _keep(self, steady: int) -> None:
        shown_us = steady + self._offset_us
        keep(self._file, Course(self._boot, self._offset_us, shown_us, self._proven, self._voted))


def newest_arrival_us(store: SeriesStore) -> int:
    """When the newest reading of a journal arrived, by the clock of that time; 0 where there is none."""
    newest = 0
    for chunk in store.scan(after_seq=max(0, store.last_seq() - NEWEST_ROWS), rows=NEWEST_ROWS):
        newest = int(chunk.batch.received_us[-1])
    return newest
