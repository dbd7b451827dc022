"""Everything the screens show, as it stood at one moment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from alerts.episode import AreaStatus, Episode, Event, Kind, Notice
from alerts.ledger import DeliveryState, PreviewMessage
from alerts.route import Routes
from alerts.rules import RuleSet
from sensors.batch import Float64, Int64
from sensors.flags import Flags, usable
from sensors.stations import Registry
from sensors.store import History

MINUTE_US = 60_000_000
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US

RECENT_US = 2 * HOUR_US
"""How far back the newest usable value is looked for: older ones are not shown to anybody as current."""
CLOCK_AHEAD_US = 10 * MINUTE_US
"""A device's clock may run ahead of ours by so much and still be believed to speak of now."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Facts:
    """One consistent-enough reading of store, record and worker. Columns have one element per registered series."""

    registry: Registry
    rules: RuleSet
    routes: Routes
    kind: Kind
    speed: float
    now_us: int
    """Judgement clock."""
    judging: bool
    """Whether the worker's heartbeat is fresh and it judges."""
    devices: Mapping[str, str]
    """Station -> online or offline, as the device said."""

    time_us: Int64
    """Event time of the newest reading, 0 when never heard."""
    value: Float64
    """Newest reading whatever its flag; NaN where nothing was measured."""
    flag: Flags
    recent: Mapping[int, History]
    """Main series of each station -> its readings of the last two hours."""
    rain_mm: Float64
    """Sum of the usable readings of the last 24 h; only rain series are filled."""
    rain_count: Int64

    episodes: Sequence[Episode]
    """Open, newest first."""
    told: Episode | None
    """The story the delivery card speaks of: the worst open one, else the newest."""
    deliveries: Mapping[tuple[str, DeliveryState], int]
    """Of every open danger, else of `told`, by (channel, state)."""
    grounds: Mapping[str, Event]
    """Open episode -> its newest event that names the readings it rests on."""
    statuses: Sequence[AreaStatus]
    notices: Sequence[Notice]
    messages: Sequence[PreviewMessage]
    ended: Sequence[Episode] = ()
    """Closed in the last 24 h, newest first."""
    valid_until_us: Mapping[str, int] = field(default_factory=dict)
    """Open episode with a public warning -> judgement clock until which its newest alert said that it holds; without an
    entry where no alert left yet."""


def worst_first(episode: Episode) -> tuple[int, int, int]:
    """Sort key: what people must look at first."""
    return (-max(episode.judged_level, episode.public_level), -episode.judged_level, -episode.opened_us)


def lapsed_us(facts: Facts, episode: Episode) -> int:
    """Until when a warning in force was announced to hold, where that has passed; 0 where it has not.

    Expiry alone takes nothing down (design, section 6): it is said beside the warning.
    """
    until_us = facts.valid_until_us.get(episode.id, 0) if episode.public_level else 0
    return until_us if until_us <= facts.now_us else 0


def usable_rows(facts: Facts, series: int) -> tuple[Int64, Float64]:
    """Times and values a rule would listen to, rising in time."""
    history = facts.recent[series]
    good = usable(history.flag) & np.isfinite(history.value)
    return history.time_us[good], history.value[good]
