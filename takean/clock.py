"""The two clocks: real time, and the clock of judgement, which may be virtual."""

import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path


def real_us() -> int:
    """Now, microseconds UTC."""
    return time.time_ns() // 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """A clock that started at an origin and runs at a speed; speed 1 from the real origin is real time."""

    origin_us: int
    """What it showed at `real_origin_us`."""
    real_origin_us: int
    speed: float

    def now_us(self) -> int:
        """Microseconds UTC on this clock."""
        return self.origin_us + round((real_us() - self.real_origin_us) * self.speed)


REAL = Clock(origin_us=0, real_origin_us=0, speed=1.0)


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
