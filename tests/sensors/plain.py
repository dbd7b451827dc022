"""The checks, clocks and slopes once more, as a loop over rows that reads like their sentences."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import combinations, pairwise
from math import floor, isnan
from statistics import median

from sensors.batch import ReadingBatch
from sensors.checks import GAP_CADENCES
from sensors.clocks import (
    ARRIVALS,
    DRIFT,
    FUTURE_US,
    GOES_ON_US,
    PAST_US,
    RENEWED_US,
    SLACK_US,
    STEADY_US,
    WATCHED_US,
    WAY_US,
)
from sensors.stations import Limits
from sensors.trend import GAP_CADENCES as SLOPE_GAP_CADENCES
from sensors.trend import POINTS, SLOTS

HOUR_US = 3_600_000_000


@dataclass
class Believed:
    """A believable reading."""

    time_us: int
    value: float
    jump: int = 0


@dataclass
class PlainChecks:
    """One series."""

    limits: Limits
    index: int
    newest: Believed | None = None
    earlier: Believed | None = None
    still_us: list[int] = field(default_factory=lambda: [0, 0])
    calm_us: list[int] = field(default_factory=lambda: [0, 0])

    def flags(self, time_us: int, value: float, *, clock: int, conflict: bool) -> tuple[list[int], bool]:
        """Flags in the order of Check, and whether the reading is fresh."""
        gross = self._gross(time_us, value)
        fresh = gross < 4 and clock < 3 and not conflict and (self.newest is None or time_us > self.newest.time_us)
        rate = gap = spike = flat = 9 if isnan(value) else 2
        if fresh:
            rate, gap, spike, flat = self._in_time(time_us, value)
        return [gross, rate, gap, clock, 3 if conflict else 1, spike, flat], fresh

    def _gross(self, time_us: int, value: float) -> int:
        at, i = self.limits, self.index
        if isnan(value):
            return 9
        if value < at.fail_low[i] or value > at.fail_high[i]:
            return 4
        if value < at.suspect_low[i] or value > at.suspect_high[i]:
            return 3
        month = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time_us, hours=7)).month - 1
        off_season = at.seasonal[i] and (value < at.season_low[i, month] or value > at.season_high[i, month])
        return 3 if off_season else 1

    def _in_time(self, time_us: int, value: float) -> tuple[int, int, int, int]:
        at, i, before = self.limits, self.index, self.newest
        rise, most = float(at.rise_suspect_per_h[i]), float(at.spike[i])
        gap_us = GAP_CADENCES * at.cadence_us[i]
        near = before is not None and time_us - before.time_us <= gap_us
        rate = 1 if near or isnan(rise) else 2
        spike = 1 if near or isnan(most) else 2
        now = Believed(time_us, value)
        if before is not None:
            step_us = time_us - before.time_us
            fast = abs(value - before.value) > rise * (step_us / HOUR_US)
            large = abs(value - before.value) > most
            if (fast or large) and before.jump and self.earlier is not None and self._back(now, self.earlier):
                if time_us - self.earlier.time_us > 2 * gap_us:
                    rate, spike = 1 if isnan(rise) else 2, 1 if isnan(most) else 2
            elif fast or large:
                now.jump = 1 if value > before.value else -1
                if fast:
                    rate = 2 if now.jump == before.jump else 3
                if large:
                    spike = 2
        flat = self._flat(now, near=near)
        self.newest, self.earlier = now, before
        return rate, 1 if near else 2, spike, flat

    def _back(self, now: Believed, then: Believed) -> bool:
        change, hours = abs(now.value - then.value), (now.time_us - then.time_us) / HOUR_US
        i = self.index
        return not (change > self.limits.rise_suspect_per_h[i] * hours or change > self.limits.spike[i])

    def _flat(self, now: Believed, *, near: bool) -> int:
        at, i = self.limits, self.index
        self.still_us = self._stood(now, self.still_us, float(at.flat_eps[i]), near=near)
        stood, suspect, fail = max(self.still_us), at.flat_suspect_us[i], at.flat_fail_us[i]
        if fail and stood >= fail:
            return 4
        found = 3 if suspect and stood >= suspect else 1
        if at.calm_us[i]:
            repeats = at.calm_range[i] == 0  # of an amount, but for none
            counts = not repeats or now.value != 0
            self.calm_us = self._stood(now, self.calm_us, float(at.calm_range[i]), near=near) if counts else [0, 0]
            if max(self.calm_us) >= at.calm_us[i]:
                return 3
        return found

    def _stood(self, now: Believed, so_far_us: list[int], eps: float, *, near: bool) -> list[int]:
        found = []
        for k, shift in enumerate((0.0, 0.5)):
            stays = self.newest is not None and (
                now.value == self.newest.value
                if eps == 0
                else not isnan(eps)
                and floor(now.value / (2 * eps) + shift) == floor(self.newest.value / (2 * eps) + shift)
            )
            counted = now.time_us - self.newest.time_us if self.newest is not None and near else 0
            found.append(so_far_us[k] + counted if stays else 0)
        return found


def plain_flags(batch: ReadingBatch, conflict: list[bool], clock: list[int], limits: Limits) -> list[list[int]]:
    """Flags of each row, with a last element that is 1 where it is fresh."""
    series = {i: PlainChecks(limits, i) for i in set(batch.series.tolist())}
    found = []
    columns = (batch.series.tolist(), batch.time_us.tolist(), batch.value.tolist(), clock, conflict)
    for i, time_us, value, at, against in zip(*columns, strict=True):
        flags, fresh = series[i].flags(time_us, value, clock=at, conflict=against)
        found.append([*flags, int(fresh)])
    return found


@dataclass
class PlainClock:
    """One series: all of its arrivals, looked at anew for each reading."""

    packs: list[tuple[int, list[int]]] = field(default_factory=list)
    """Arrival, and the times of the readings that came with it."""
    before: int | None = None
    """What the arrivals before the newest have shown."""

    def judged(self, time_us: int, received_us: int) -> tuple[int, int]:
        """Judged time and flag."""
        if not self.packs or self.packs[-1][0] != received_us:
            self.before = self._found()
            self.packs.append((received_us, []))
        self.packs[-1][1].append(time_us)
        now, lead_us = self._found(), time_us - received_us
        reference = now if now is not None else self.before
        if reference is not None:
            older = self._goes_on(len(self.packs) - 1) and lead_us < reference - WAY_US
            if older or (now is not None and abs(lead_us) > FUTURE_US):
                return time_us - reference, 2
        return time_us, 3 if lead_us > FUTURE_US or lead_us < -PAST_US else 1

    def _goes_on(self, k: int) -> bool:
        if k == 0:
            return False
        (heard_us, before), (received_us, times) = self.packs[k - 1 : k + 1]
        went_us = times[0] - max(before)
        return went_us >= -WAY_US and (went_us <= GOES_ON_US or went_us >= received_us - heard_us)

    def _found(self) -> int | None:
        """The lead that all arrivals have shown to be the clock's."""
        start: tuple[int, int] | None = None
        leads: list[int] = []
        steady, arrivals = False, 0
        for k, (received_us, times) in enumerate(self.packs):
            lead_us = max(times) - received_us
            if abs(lead_us) <= WATCHED_US:
                start, steady = None, False
                continue
            if start is None:
                if not (self._goes_on(k) and lead_us < -WAY_US - SLACK_US):
                    start, leads, steady = (received_us, lead_us), [lead_us], False
                    arrivals = 1
                continue
            elapsed_us = received_us - start[0]
            drift_us = min(elapsed_us, RENEWED_US) // DRIFT
            higher_us = lead_us - start[1]
            if higher_us < -WAY_US - drift_us and self._goes_on(k):
                continue
            if higher_us < -WAY_US - drift_us or higher_us > SLACK_US + drift_us:
                start, leads, steady, arrivals = (received_us, lead_us), [lead_us], False, 1
                continue
            leads.append(lead_us)
            arrivals += 1
            if elapsed_us >= STEADY_US and arrivals >= ARRIVALS and higher_us >= -SLACK_US - drift_us:
                steady = True
            if received_us // RENEWED_US != start[0] // RENEWED_US:
                start, leads = (received_us, max(leads)), [lead_us]
        return start[1] if steady and start is not None else None


@dataclass
class PlainTrend:
    """One series."""

    span_us: int
    cadence_us: int
    gate_per_h: float
    opened: list[tuple[int, float]] = field(default_factory=list)

    def rise(self, time_us: int, value: float) -> float:
        """Slope at a usable reading, NaN without coverage."""
        slot_us = max(self.cadence_us, -(-self.span_us // SLOTS))
        held = [(t, v) for t, v in self.opened[-SLOTS:] if t >= time_us - self.span_us]
        points = [*held, (time_us, value)]
        if not self.opened or time_us // slot_us > self.opened[-1][0] // slot_us:
            self.opened.append((time_us, value))
        gaps = [b[0] - a[0] for a, b in pairwise(points)]
        if (
            len(points) < POINTS
            or 2 * (time_us - points[0][0]) < self.span_us
            or max(gaps) > SLOPE_GAP_CADENCES * self.cadence_us + (slot_us if slot_us > self.cadence_us else 0)
        ):
            return float("nan")
        cheap = (value - points[0][1]) / ((time_us - points[0][0]) / HOUR_US)
        return cheap if cheap < self.gate_per_h else theil(points)


def theil(points: list[tuple[int, float]]) -> float:
    """Median slope of all pairs, per hour."""
    return median((b[1] - a[1]) / ((b[0] - a[0]) / HOUR_US) for a, b in combinations(points, 2))
