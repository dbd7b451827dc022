"""Read everything the screens need, once, and keep it for the blink in which many ask."""

import threading
import time
from collections import Counter
from collections.abc import Callable

import numpy as np

from alerts.episode import Episode, Event, Purpose
from alerts.ledger import DeliveryState, PreviewMessage
from alerts.words import STATION_HAZARDS
from api.deps import Deps
from api.screens.facts import CLOCK_AHEAD_US, DAY_US, RECENT_US, Facts, worst_first
from api.screens.stations import main_series

HISTORY_ROWS_MAX = 720
"""Of one series for trend and newest usable value: two hours at one reading every ten seconds."""
EPISODES_MAX = 200
GROUNDS_MAX = 50
"""Stories whose grounds are looked up; the rest show their hazard only."""
NOTICES_MAX = 200
MESSAGES_MAX = 50
KEEP_S = 0.5
"""How long one reading serves: a crowd of residents costs the store no more than one."""


def gather(deps: Deps) -> Facts:
    """Read store, record and worker as they stand. Blocks."""
    now_us = deps.now_us()
    status = deps.worker()
    keys = deps.registry.keys()
    time_us, value, flag = deps.reader.latest(keys)
    recent = {}
    for station in deps.registry.stations:
        index = main_series(deps.registry, station)
        if index >= 0 and time_us[index]:
            start = min(int(time_us[index]), now_us) - RECENT_US
            recent[index] = deps.reader.history(
                keys[index], from_us=start, to_us=now_us + CLOCK_AHEAD_US, limit=HISTORY_ROWS_MAX
            )
    rain = [i for i, series in enumerate(deps.registry.series) if series.quantity == "rain_mm"]
    rain_mm, rain_count = np.full(len(keys), np.nan), np.zeros(len(keys), dtype=np.int64)
    if rain:
        rain_mm[rain], rain_count[rain] = deps.reader.totals(
            [keys[i] for i in rain], from_us=now_us - DAY_US, to_us=now_us
        )
    episodes = deps.ledger.episodes(deps.kind, open_only=True, limit=EPISODES_MAX)
    ended = [
        e
        for e in deps.ledger.episodes(deps.kind, limit=EPISODES_MAX)
        if e.closed_us is not None and now_us - e.closed_us <= DAY_US
    ]
    told = _told(deps, episodes)
    return Facts(
        registry=deps.registry,
        rules=deps.rules,
        routes=deps.desk.routes,
        kind=deps.kind,
        speed=deps.speed,
        now_us=now_us,
        judging=status.alive and status.ready,
        devices=dict(status.device_status),
        time_us=time_us,
        value=value,
        flag=flag,
        recent=recent,
        rain_mm=rain_mm,
        rain_count=rain_count,
        episodes=episodes,
        told=told,
        deliveries=_deliveries(deps, told, episodes),
        grounds=_grounds(deps, episodes),
        statuses=deps.ledger.statuses(deps.kind),
        notices=deps.ledger.notices(deps.kind, limit=NOTICES_MAX),
        messages=_messages(deps),
        ended=ended,
        valid_until_us=_valid_until(deps, episodes),
    )


def _deliveries(deps: Deps, told: Episode | None, opened: list[Episode]) -> dict[tuple[str, DeliveryState], int]:
    """Counts over every open danger, or over the newest past one."""
    total: Counter[tuple[str, DeliveryState]] = Counter()
    stories = [e for e in opened if e.hazard not in STATION_HAZARDS] or ([told] if told else [])
    for story in stories:
        total.update(deps.ledger.delivery_counts(deps.kind, story.id))
    return dict(total)


def _valid_until(deps: Deps, opened: list[Episode]) -> dict[str, int]:
    """Until when the newest alert of each warning in force said that it holds."""
    warned = [e for e in opened if e.public_level]
    newest = {
        e.id: next((d for d in deps.ledger.deliveries(e.id) if d.purpose is not Purpose.CALL), None) for e in warned
    }
    return {id: delivery.expires_us for id, delivery in newest.items() if delivery is not None}


def _told(deps: Deps, opened: list[Episode]) -> Episode | None:
    dangers = [e for e in opened if e.hazard not in STATION_HAZARDS]
    if dangers:
        return min(dangers, key=worst_first)
    past = deps.ledger.episodes(deps.kind, limit=EPISODES_MAX)
    return next((e for e in past if e.hazard not in STATION_HAZARDS), None)


def _grounds(deps: Deps, opened: list[Episode]) -> dict[str, Event]:
    found = {}
    for episode in sorted((e for e in opened if e.hazard not in STATION_HAZARDS), key=worst_first)[:GROUNDS_MAX]:
        event = next((e for e in reversed(deps.ledger.events(episode.id)) if e.used), None)
        if event is not None:
            found[episode.id] = event
    return found


def _messages(deps: Deps) -> list[PreviewMessage]:
    return deps.ledger.preview_messages(deps.kind, limit=MESSAGES_MAX)


class Snapshots:
    """The newest facts, read at most twice a second whoever asks. For use from threads."""

    def __init__(self, deps: Deps, *, keep_s: float = KEEP_S, clock: Callable[[], float] = time.monotonic) -> None:
        self._deps = deps
        self._keep_s = keep_s
        self._clock = clock
        self._lock = threading.Lock()
        self._facts: Facts | None = None
        self._read_at = 0.0

    def facts(self) -> Facts:
        """Facts that were read after this call began, or at most `keep_s` before. Blocks."""
        with self._lock:
            if self._facts is None or self._clock() - self._read_at >= self._keep_s:
                began = self._clock()
                self._facts = gather(self._deps)
                self._read_at = began
            return self._facts

    def forget(self) -> None:
        """Read anew for whoever asks next: something was decided."""
        with self._lock:
            self._facts = None
