"""Where a mirror is, and what its kind can hold. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from sensors.store import DAY_US
from sensors.store.fitting import Limits

Server = Literal["influxdb", "victoriametrics"]

INFLUX = Limits(step_us=1, value_max=float("inf"), time_us=(-(2**63) // 1000 + DAY_US, 2**63 // 1000 - DAY_US))
"""Its times are int64 nanoseconds: 1677 to 2262."""
VICTORIA = Limits(step_us=1_000, value_max=1e9, time_us=(0, 2**41 * 1000))
"""Values of one block share their power of ten, in 18 digits: one of 1e300 turns all of its neighbours into zeros."""
LIMITS: Mapping[Server, Limits] = {"influxdb": INFLUX, "victoriametrics": VICTORIA}


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """One `[[mirror]]`."""

    name: str
    kind: Server
    url: str
    bucket: str
    org: str = ""
    token: str = field(default="", repr=False)
    ca_file: str = ""
