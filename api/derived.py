"""What the newest readings of a station mean: rain of windows and days, air quality, water and bank. For programs.

Everything is computed by the functions that judge by it, from the stored readings with flag 1 or 2.
"""

import math

import numpy as np

from api.deps import Deps
from api.derived_schemas import AirOut, BandOut, DerivedOut, RainDayOut, RainOut, SumOut, WaterOut
from api.schemas import iso
from api.screens.facts import Facts
from api.screens.stations import Observed, rise_m_h
from sensors.air import means
from sensors.air.breakpoints import Index
from sensors.air.nowcast import nowcast
from sensors.air.thai_aqi import BANDS, NOT_ENOUGH, THAI_AQI
from sensors.air.us_aqi import CATEGORIES, US_AQI
from sensors.batch import Bool, ReadingBatch
from sensors.flags import usable
from sensors.heights import SITUATIONS, bank_pct, freeboard_m, situation
from sensors.rain import days, sums
from sensors.rain.classes import HEAVIEST, WORDS, classes
from sensors.store import History

HOUR_US = 3_600_000_000
WINDOWS_US = {
    "5min": HOUR_US // 12,
    "15min": HOUR_US // 4,
    "30min": HOUR_US // 2,
    "1h": HOUR_US,
    "3h": 3 * HOUR_US,
    "6h": 6 * HOUR_US,
    "12h": 12 * HOUR_US,
    "24h": 24 * HOUR_US,
    "48h": 48 * HOUR_US,
    "72h": 72 * HOUR_US,
}
LONGEST_US = max(WINDOWS_US.values())
ROWS_MAX = 20_000
"""Of one series: 72 h at a reading every thirteen seconds. What is beyond that is not covered, and said so."""
DUST = ("pm2_5_ug_m3", "pm10_ug_m3")
MM_DECIMALS = 2


def derived(deps: Deps, facts: Facts, observed: Observed) -> DerivedOut:
    """All that can be said of one station. Blocks."""
    station, now_us = observed.station, facts.now_us
    shown = [s for s in deps.registry.series if s.station == station.id and not s.superseded]
    return DerivedOut(
        station=station.id,
        at=iso(now_us),
        water=_water(facts, observed),
        rain=[_rain(deps, station.id, s.name, now_us) for s in shown if s.quantity == "rain_mm"],
        air=[_air(deps, station.id, s.name, now_us) for s in shown if s.quantity in DUST],
    )


def _water(facts: Facts, observed: Observed) -> WaterOut | None:
    banks = observed.station.banks
    if banks is None or observed.quantity != "stage_m" or not observed.current:
        return None
    percent = bank_pct(observed.value, banks)
    level = int(situation(np.array([percent]))[0])
    rise, reach = rise_m_h(facts, observed.series)
    return WaterOut(
        time=iso(observed.time_us),
        stage_m=observed.value,
        datum=observed.station.datum,
        freeboard_m=round(freeboard_m(observed.value, banks), 3),
        bank_pct=round(percent, 1),
        bank_surveyed=banks.surveyed,
        rise_m_per_h=_known(rise, 3),
        rise_reach_m_per_h=_known(reach, 3),
        thaiwater_level=level,
        thaiwater_word=SITUATIONS[level].thai,
        english=SITUATIONS[level].english,
        hex=SITUATIONS[level].hex,
    )


def _known(value: float, decimals: int) -> float | None:
    return round(value, decimals) if math.isfinite(value) else None


def _rain(deps: Deps, station: str, name: str, now_us: int) -> RainOut:
    history, good, cadence_us = _read(deps, station, name, now_us, LONGEST_US)
    windows_us = np.array(list(WINDOWS_US.values()))
    total = sums.of_history(history.time_us, history.value, good, now_us, window_us=windows_us, cadence_us=cadence_us)
    answers = zip(WINDOWS_US, total.fell_mm.tolist(), total.covered.tolist(), strict=True)
    found = [_sum(window, fell_mm, covered) for window, fell_mm, covered in answers]
    today = now_us // days.DAY_US
    both = days.daily(history.time_us, history.value, good, from_day=today - 1, to_day=today + 1, cadence_us=cadence_us)
    elapsed = max((now_us - today * days.DAY_US) / days.DAY_US, cadence_us / days.DAY_US)
    share = [float(both.covered[0]), min(float(both.covered[1]) / elapsed, 1.0)]
    day_before, so_far = (_day(today - 1 + k, float(both.fell_mm[k]), share[k], over=k == 0) for k in range(2))
    return RainOut(
        name=name,
        sums=found,
        rain_day=so_far,
        rain_day_before=day_before,
        wetness_mm=_wetness(deps, station, name, today),
    )


def _sum(window: str, fell_mm: float, covered: float) -> SumOut:
    complete = covered >= sums.COMPLETE
    return SumOut(window=window, fell_mm=round(fell_mm, MM_DECIMALS), covered=round(covered, 3), complete=complete)


def _day(day: int, fell_mm: float, covered: float, *, over: bool) -> RainDayOut:
    """The class is of a whole day; of a part of one it can only be the heaviest, for a day only grows."""
    number = int(classes(np.array([fell_mm]))[0])
    complete = covered >= sums.COMPLETE
    thai, english = WORDS[number] if (over and complete) or number == HEAVIEST else ("", "")
    return RainDayOut(
        date=days.first_date(day).isoformat(),
        since=iso(day * days.DAY_US),
        fell_mm=round(fell_mm, MM_DECIMALS),
        covered=round(covered, 3),
        complete=complete,
        over=over,
        tmd_word=thai,
        english=english,
    )


def _wetness(deps: Deps, station: str, name: str, today: int) -> float | None:
    if deps.hours is None:
        return None
    series = deps.registry.series[deps.registry.index[station, name]]
    first = today - days.days_counted()
    hours = deps.hours.hourly(series.key, from_us=first * days.DAY_US, to_us=today * days.DAY_US)
    daily = days.daily_of_hours(
        hours.hour_us, hours.usable, hours.mean, from_day=first, to_day=today, cadence_us=series.cadence_us
    )
    return _known(float(days.wetness(daily.complete_mm())[-1]), 1)


def _air(deps: Deps, station: str, name: str, now_us: int) -> AirOut:
    quantity = deps.registry.series[deps.registry.index[station, name]].quantity
    history, good, cadence_us = _read(deps, station, name, now_us, (means.HOURS + 1) * HOUR_US)
    _, state = means.follow(
        _batch(history, now_us),
        good,
        means.HoursState.empty(1),
        wanted=np.ones(1, dtype=np.bool_),
        cadence_us=np.array([cadence_us]),
    )
    hours = means.before_now(state, np.array([0]), now_us)
    mean, cast = float(means.mean_of(hours, means.HOURS)[0]), float(nowcast(hours)[0])
    return AirOut(
        name=name,
        until=iso(now_us // HOUR_US * HOUR_US),
        hours_known=int(np.isfinite(hours).sum()),
        mean_24h_ug_m3=_known(mean, 1),
        thai_aqi=_thai(quantity, mean),
        nowcast_ug_m3=None if math.isnan(cast) else math.floor(cast * 10 + 1e-6) / 10,
        us_aqi_nowcast=_american(quantity, cast),
    )


def _thai(quantity: str, mean: float) -> BandOut:
    text, band = _looked_up(THAI_AQI, quantity, mean)
    if not band:
        return BandOut(index_name=THAI_AQI.name, index="", band=0, word=NOT_ENOUGH, english="not enough data", hex="")
    shown = BANDS[band]
    return BandOut(
        index_name=THAI_AQI.name, index=text, band=band, word=shown.thai, english=shown.english, hex=shown.hex
    )


def _american(quantity: str, cast: float) -> BandOut:
    text, band = _looked_up(US_AQI, quantity, cast)
    if not band:
        return BandOut(index_name=US_AQI.name, index="", band=0, word="", english="not enough data", hex="")
    shown = CATEGORIES[band]
    return BandOut(index_name=US_AQI.name, index=text, band=band, word="", english=shown.english, hex=shown.hex)


def _looked_up(index: Index, quantity: str, concentration: float) -> tuple[str, int]:
    found = index.sub_index(quantity, np.array([concentration]))
    return index.text(float(found[0])), int(index.band(found)[0])


def _read(deps: Deps, station: str, name: str, now_us: int, length_us: int) -> tuple[History, Bool, int]:
    """One series up to now, which of it counts, and its cadence."""
    series = deps.registry.series[deps.registry.index[station, name]]
    history = deps.reader.history(series.key, from_us=now_us - length_us, to_us=now_us + 1, limit=ROWS_MAX)
    return history, usable(history.flag) & np.isfinite(history.value), series.cadence_us


def _batch(history: History, now_us: int) -> ReadingBatch:
    n = len(history.time_us)
    return ReadingBatch.of(
        series=np.zeros(n), time_us=history.time_us, value=history.value, received_us=np.full(n, now_us)
    )
