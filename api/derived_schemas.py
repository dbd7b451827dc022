"""What `/api/v1/stations/{station}/derived` answers. The field names are a contract: added to, never renamed."""

from api.schemas import Out


class WaterOut(Out):
    """The newest water level beside its bank."""

    time: str
    stage_m: float
    """Over the gauge zero."""
    datum: str
    """LOCAL_STAFF: the gauge zero is not surveyed, and no level of another station may be compared with it."""
    freeboard_m: float
    """Below the lower bank; negative above it."""
    bank_pct: float
    """Of the way from the bed to the lower bank; may lie below 0 or above 100."""
    bank_surveyed: bool
    rise_m_per_h: float | None
    """Least squares over the last quarter of an hour, or three cadences, as the screens show it. Rules judge by
    Theil-Sen over their own spans."""
    rise_reach_m_per_h: float | None
    """Half the width of its 80 % interval; null with fewer than five readings."""
    thaiwater_level: int
    """Its `situation_level`, which is no rank of danger: 1 and 5 both are."""
    thaiwater_word: str
    english: str
    hex: str


class SumOut(Out):
    """Rain of a window that ends now."""

    window: str
    fell_mm: float
    """What is known to have fallen: more may have."""
    covered: float
    """Share of the window the readings speak for."""
    complete: bool
    """Whether that is enough to call the sum low."""


class RainDayOut(Out):
    """A Thai rain day, from 07:00 to 07:00."""

    date: str
    """On which it began."""
    since: str
    fell_mm: float
    covered: float
    """Share of what has passed of it."""
    complete: bool
    over: bool
    tmd_word: str
    """Class of the weather service; empty where it cannot be given."""
    english: str


class RainOut(Out):
    """One rain gauge."""

    name: str
    sums: list[SumOut]
    rain_day: RainDayOut
    rain_day_before: RainDayOut
    wetness_mm: float | None
    """Antecedent precipitation index after the rain day before, 0.90 a day; null where a day it rests on is missing."""


class BandOut(Out):
    """An index under its own name."""

    index_name: str
    index: str
    """`72`, `>200`; empty where there are too few hours."""
    band: int
    """From 1; 0 where there is none."""
    word: str
    """Thai; empty where the index has no Thai words."""
    english: str
    hex: str


class AirOut(Out):
    """One dust sensor, by full clock hours."""

    name: str
    until: str
    """The newest clock hour ended here."""
    hours_known: int
    """Of 24."""
    mean_24h_ug_m3: float | None
    thai_aqi: BandOut
    """Of that mean; of this pollutant alone."""
    nowcast_ug_m3: float | None
    us_aqi_nowcast: BandOut
    """Of the NowCast, an estimate; of this pollutant alone."""


class DerivedOut(Out):
    """What the newest readings of a station mean. None of it is a warning."""

    station: str
    at: str
    water: WaterOut | None
    """null without a bank or a level that may stand for now."""
    rain: list[RainOut]
    air: list[AirOut]
