"""What the worker says of itself, callable from any thread."""

import time
from bisect import bisect_left
from dataclasses import dataclass, field

from alerts.judge import Judge
from api.deps import ClockSkew, Latency, WorkerStatus
from ingest.pump import Pump
from sensors.clocks import watched
from takean.clock import JudgementClock
from takean.doors import Doors
from takean.mirror_watch import MirrorWatch
from takean.presence import Presence
from takean.refusals import Refusals

HEARTBEAT_S_MAX = 3.0
"""A worker that has not turned for this long is not watching."""
LATENCY_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


@dataclass(slots=True)
class _Latencies:
    """Seconds from arrival to decision."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(LATENCY_S) + 1))
    sum_s: float = 0.0

    def add(self, seconds: float, times: int) -> None:
        self.counts[bisect_left(LATENCY_S, seconds)] += times
        self.sum_s += seconds * times

    def shown(self) -> Latency:
        total, buckets = 0, []
        for bound, count in zip(LATENCY_S, self.counts, strict=False):
            total += count
            buckets.append((bound, total))
        return Latency(buckets=buckets, sum_s=self.sum_s, count=sum(self.counts))


@dataclass(slots=True, kw_only=True)
class Vitals:
    """Gathered from its parts whenever somebody asks."""

    judge: Judge
    clock: JudgementClock
    pump: Pump
    doors: Doors
    refusals: Refusals
    presence: Presence
    mirrors: MirrorWatch
    process: str
    """Its name."""
    _latencies: _Latencies = field(default_factory=_Latencies)
    _turned_s: float = field(default_factory=time.monotonic)

    def turned(self) -> None:
        """A turn was finished."""
        self._turned_s = time.monotonic()

    def decided(self, received_us: int, times: int) -> None:
        """So many messages were stored and judged, the oldest of which came then."""
        spent_s = (self.clock.now_us() - received_us) / 1e6 / self.clock.speed
        self._latencies.add(max(0.0, spent_s), times)

    def status(self, *, has_started: bool, runs: bool) -> WorkerStatus:
        """All of it.

        Parameters
        ----------
        runs : whether its thread does
        """
        age_s = time.monotonic() - self._turned_s
        alive = runs and age_s <= HEARTBEAT_S_MAX
        reason = ""
        if not has_started:
            reason = "starting: what the journal holds is judged first"
        elif not alive:
            reason = f"no heartbeat for {age_s:.0f} s"
        elif not self.judge.healthy:
            reason = "readings are stored but not judged: the ledger cannot be written"
        elif not self.pump.healthy:
            reason = "readings cannot be stored: look at the disk"
        elif self.doors.is_deaf:
            reason = f"the broker {self.doors.broker_name} is away: no readings come in"
        counters, counts = self.pump.counters, self.judge.counts
        return WorkerStatus(
            alive=alive,
            ready=not reason,
            reason=reason,
            heartbeat_age_s=age_s,
            stored_seq=self.judge.store.last_seq(),
            judged_seq=self.judge.judged_seq,
            readings={"stored": counts.stored, "repeat": counts.repeat, "conflict": counts.conflict},
            quarantined=self.refusals.count,
            unrecorded=counters.unrecorded + self.refusals.unrecorded,
            forgotten=self.refusals.forgotten,
            broker=self.doors.broker,
            mirrors=self.mirrors.status(),
            latency=self._latencies.shown(),
            cpu_s={self.process: time.process_time()},
            connections=counters.connections,
            device_status=self.presence.words(),
            clock_off_s=self.clock.off_us / 1e6,
            skews=self._skews() if has_started else {},
        )

    def _skews(self) -> dict[str, ClockSkew]:
        """Stations whose clocks are minutes off; nothing is known of any before the start."""
        series, clocks = self.judge.cells.registry.series, self.judge.clocks
        return {
            series[i].station: ClockSkew(seconds=int(clocks.lead_us[i]) / 1e6, steady=bool(clocks.steady[i]))
            for i in watched(clocks).tolist()
        }
