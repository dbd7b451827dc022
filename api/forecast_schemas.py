"""What `/api/v1/stations/{station}/forecast` answers. The field names are a contract: added to, never renamed."""

from typing import Literal

from api.schemas import Out


class ReachOut(Out):
    """Hours from now; null where it is not said. Of ten such rises eight come there between `first_h` and `last_h`."""

    expected_h: float | None
    first_h: float | None
    last_h: float | None


class HeightOut(Out):
    """A threshold of the station, or its lower bank."""

    level: int
    """1-3; 0: the bank."""
    word: str
    height: float
    reached: bool
    trend: ReachOut | None
    """If the water goes on rising as it did: Theil-Sen with its 80 % interval."""
    learned: ReachOut | None
    """By the learned quantiles, as far as they are accepted."""


class HorizonOut(Out):
    """What was learned to be ahead."""

    horizon_h: float
    time: str
    """Counted from the reading."""
    p10: float
    p50: float
    p90: float


class VerdictOut(Out):
    """Whether what was learned may be used for a horizon."""

    horizon_h: float
    accepted: bool
    why: str
    english: str


class ModelOut(Out):
    """What was trained for the station."""

    trained: str
    trained_from: str
    trained_until: str
    trained_rows: int
    age_days: float
    """Since it was trained."""
    upstream: list[str]
    verdicts: list[VerdictOut]


class ForecastOut(Out):
    """What is ahead of a gauge. None of it is a warning, and no rule listens to it."""

    station: str
    name: str
    unit: str
    at: str
    time: str | None
    """Of the newest usable reading; null where there is none."""
    age_s: float | None
    value: float | None
    """null while the data is stale."""
    stale: bool
    """The newest usable reading is more than three cadences old: nothing is said."""
    speaks: Literal["learned", "trend", "nothing"]
    """Which of the two goes first."""
    why: str
    english: str
    rise_per_h: float | None
    rise_low_per_h: float | None
    rise_high_per_h: float | None
    thresholds: list[HeightOut]
    horizons: list[HorizonOut]
    """Only those that are accepted."""
    model: ModelOut | None
