"""What a running box shows from outside: which readings are stored, what was refused, and whether it goes on."""

import time
from collections.abc import Sequence
from contextlib import closing

import httpx

from ingest.quarantine import ROWS_MAX, Quarantine, Row
from tests.live.crash import until
from tests.live.records import Reading, payload
from tests.live.ways import Way

USABLE = (1, 2)
"""QARTOD flags that rules may listen to."""
STAGE_M = 1.0
"""Of all good readings: they are taken milliseconds apart, and a millimetre in so short a time would be doubted."""


def good(station: str) -> Reading:
    """A reading that nobody can object to: taken now, and now is another millisecond each time."""
    time.sleep(0.002)
    return Reading(station, time.time_ns() // 1_000_000 * 1_000, STAGE_M)


def kept(way: Way, readings: Sequence[Reading]) -> dict[Reading, int]:
    """Those of the readings that are stored, with their flags."""
    found = {}
    for station in {r.station for r in readings}:
        times = [r.time_us for r in readings if r.station == station]
        window = {"from": str(min(times)), "to": str(max(times) + 1), "limit": "20000"}
        answer = httpx.get(f"{way.box.url}/api/v1/series/{station}/stage_m", params=window, timeout=10).json()
        for time_us, value, flag in zip(answer["times_us"], answer["values"], answer["flags"], strict=True):
            found[Reading(station, time_us, value)] = flag
    return {reading: found[reading] for reading in readings if reading in found}


def assert_goes_on(way: Way, station: str = "S-1") -> None:
    """The next good message is stored, believed and judged."""
    reading = good(station)
    way.deliver(station, [payload(reading)])
    flags = kept(way, [reading])
    assert list(flags) == [reading]
    assert flags[reading] in USABLE
    until(lambda: way.box.metric("takean_judged_seq") == way.box.metric("takean_stored_seq"), "judgement")


def open_floods(way: Way) -> list[str]:
    """Stories of floods that are open."""
    answer = httpx.get(f"{way.box.url}/api/v1/episodes", params={"open": "true"}, timeout=10).json()
    return sorted(e["id"] for e in answer if e["hazard"] == "flood")


class Refused:
    """What came into quarantine since this was made."""

    def __init__(self, way: Way) -> None:
        self._path = way.box.state / "quarantine.sqlite"
        self._before = max((row.id for row in self._list(1)), default=0)

    def rows(self) -> list[Row]:
        """Oldest first."""
        return [row for row in reversed(self._list(ROWS_MAX)) if row.id > self._before]

    def reasons(self) -> list[str]:
        """Of the rows, oldest first."""
        return [str(row.reason) for row in self.rows()]

    def _list(self, limit: int) -> Sequence[Row]:
        with closing(Quarantine(self._path)) as quarantine:
            return quarantine.list(limit)
