"""Real time, and the clock of judgement: virtual, or that of this box (`takean.box_clock`)."""

import json
import os
import struct
import time
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol
from uuid import UUID

if TYPE_CHECKING:  # the dispatcher needs a clock and no NumPy
    from sensors.batch import Int64
    from sensors.clocks import ClockState

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def real_us() -> int:
    """The box's wall clock, microseconds UTC: whoever sets it moves it."""
    return time.time_ns() // 1000


def steady_us() -> int:
    """Microseconds since the machine was started, sleep included: the same for all processes, and nobody can set it."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


def boot_id() -> UUID:
    """Another one after each start of the machine."""
    return UUID(BOOT_ID.read_text(encoding="ascii").strip())


class Course(NamedTuple):
    """Where a judgement clock stands, as its owner keeps it for its next start and for other processes."""

    boot: UUID
    """Of the machine's start that `offset_us` belongs to."""
    offset_us: int
    """Judgement clock minus steady clock."""
    shown_us: int
    """What it showed when this was written."""
    proven: bool
    voted: bool
    """See `sensors.box_clock.Standing`."""


_COURSE = struct.Struct("<16sqq??")
_SUM = struct.Struct("<I")


def keep(file: int, course: Course) -> None:
    """Write it in place: no room on the disk is needed, and a reader sees the old one or the new one."""
    held = _COURSE.pack(course.boot.bytes, *course[1:])
    os.pwrite(file, held + _SUM.pack(zlib.crc32(held)), 0)


def kept(path: Path) -> Course | None:
    """What was written last; None where there is nothing, or a power cut left half of it."""
    try:
        held = path.read_bytes()
    except FileNotFoundError:
        return None
    if len(held) != _COURSE.size + _SUM.size or _SUM.pack(zlib.crc32(held[: _COURSE.size])) != held[_COURSE.size :]:
        return None
    boot, *rest = _COURSE.unpack_from(held)
    return Course(UUID(bytes=boot), *rest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """The judgement clock of this box as another process than its owner sees it."""

    path: Path
    boot: UUID
    speed: float = 1.0

    def now_us(self) -> int:
        """Microseconds UTC; until its owner has begun, the wall clock, but no earlier than what was shown before."""
        course = kept(self.path)
        if course is None:
            return real_us()
        if course.boot == self.boot:
            return steady_us() + course.offset_us
        return max(real_us(), course.shown_us)


class Shown(Protocol):
    """What everybody else needs of a judgement clock."""

    @property
    def speed(self) -> float:
        """Seconds of it in a real one."""

    def now_us(self) -> int:
        """Microseconds UTC on this clock. From any thread."""


class JudgementClock(Shown, Protocol):
    """What the worker needs of the clock it judges by."""

    @property
    def leapt_us(self) -> int:
        """How far it was moved in all, beyond its even course: no time went by meanwhile."""

    @property
    def off_us(self) -> int:
        """How far the box's wall clock is off it; 0 within what is usual."""

    def look(self, devices: "ClockState", station: "Int64") -> None:
        """Compare it with the box's wall clock and the devices' clocks, and move it where they say so.

        Parameters
        ----------
        station : (series,) index of the station each belongs to
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """A clock that started at an origin and runs at a speed; speed 1 from the real origin is real time."""

    origin_us: int
    """What it showed at `real_origin_us`."""
    real_origin_us: int
    speed: float

    @property
    def leapt_us(self) -> int:
        """It never leaps."""
        return 0

    @property
    def off_us(self) -> int:
        """It has nothing to be off."""
        return 0

    def look(self, devices: "ClockState", station: "Int64") -> None:
        """Nobody moves a virtual clock."""

    def now_us(self) -> int:
        """Microseconds UTC on this clock."""
        return self.origin_us + round((real_us() - self.real_origin_us) * self.speed)


REAL = Clock(origin_us=0, real_origin_us=0, speed=1.0)


def shown(clock: Clock, path: Path) -> Shown:
    """The judgement clock of a world as a process that does not own it sees it.

    Parameters
    ----------
    path : where its owner keeps it, where it is that of this box
    """
    return clock if clock is not REAL else Followed(path=path, boot=boot_id())


def virtual(path: Path, *, origin_us: int, speed: float) -> Clock:
    """The virtual clock kept at `path`: continued where there is one, so that a kill changes nothing; else started now.

    Raises
    ------
    ValueError : the file is no clock
    """
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        return Clock(**{name: held[name] for name in ("origin_us", "real_origin_us", "speed")})
    except FileNotFoundError:
        pass
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: not a clock ({error}); remove the file to start a new one") from error
    clock = Clock(origin_us=origin_us, real_origin_us=real_us(), speed=speed)
    temporary = path.with_suffix(".new")
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(asdict(clock), file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    return clock
