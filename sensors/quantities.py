"""The vocabulary of what is measured, as data."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Flat:
    """When a series that stands still is doubted, and when its instrument is broken (QARTOD test 8)."""

    eps: float
    """What stays within this stands still; unit of the quantity."""
    suspect_s: float
    """0: never."""
    fail_s: float
    """0: never."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """One kind of measurement; its name carries the canonical unit."""

    name: str
    unit: str
    """Canonical unit in the spelling of RFC 8428 where it has one."""
    thai: str
    english: str
    decimals: int
    """Digits after the point that a person is shown."""
    fail: tuple[float, float]
    """Gross range (QARTOD test 4): outside it no instrument of this kind can be right."""
    spike: float | None = None
    """A larger change between two readings waits for the next one (QARTOD test 6); None: none is too large."""
    flat: Flat | None = None
    """None: it may stand still for ever."""
    repeats_s: float = 0.0
    """The same amount in every reading for so long is doubted, but none at all may go on for ever; 0: never."""


# Gross ranges: stage, any gauge of a lowland river; distance and depth, the longest reach of radar gauges and pressure
# probes that are sold for rivers (60 m); rain, above the world record for one hour (WMO: 305 mm in 42 min) no tipping
# bucket can count; a rain counter only grows, and 1e7 mm is a thousand years of the wettest place; dust, ten times the
# saturation of Plantower sensors (1,000 ug/m3 effective range, data sheet); temperature, WMO records; wind, the WMO
# record gust (113.3 m/s, Barrow Island 1996); battery, lithium or lead packs of field loggers.
#
# Spikes: stage, the steepest example of the QARTOD Water Level manual v2.1 (test 7: 0.50 m between readings; the
# steepest recorded flood of a fast river rises that much in 15 min); temperature and humidity, the limits of the WMO
# guidelines on quality control of automatic stations (2004) for two values in a row: 3 Cel, 10 %. Smoke may come from
# one reading to the next, rain does, and a battery jumps when its panel is lit: none.
#
# Flat lines: the manual's example for stage (test 8: 0.001 m), but not its counts of 3 and 5: a river in the dry season
# stands still for long. In seven recorded rivers and creeks the longest flat line was 19 h, so a day doubts and
# three days fail. Clean air reads the same whole number for hours (longest on record 7 h; a dead box, 735 h), air at
# saturation 100 % all night. Air temperature moves within a night. Rain is 0 for months, and so may a battery be full.
# Repeats: the same rain in every reading for hours is a sum that somebody shared out, or a stuck register. In five
# years of three hourly gauges the longest lasted 6 h, in nine weeks of 45 gauges of 5 min less than 3 h.
_DAY_S = 86_400.0
QUANTITIES: dict[str, Quantity] = {
    q.name: q
    for q in (
        Quantity(
            name="stage_m",
            unit="m",
            thai="ระดับน้ำ",
            english="stage",
            decimals=2,
            fail=(-5.0, 40.0),
            spike=0.5,
            flat=Flat(eps=0.001, suspect_s=_DAY_S, fail_s=3 * _DAY_S),
        ),
        Quantity(  # nearer than a centimetre none measures: 0 is how many say that they hear no echo
            name="distance_m", unit="m", thai="ระยะถึงผิวน้ำ", english="distance", decimals=3, fail=(0.01, 60.0)
        ),
        Quantity(name="depth_m", unit="m", thai="ความลึกเหนือหัววัด", english="depth", decimals=3, fail=(-1.0, 60.0)),
        Quantity(
            name="rain_mm", unit="mm", thai="ฝน", english="rain", decimals=1, fail=(0.0, 305.0), repeats_s=_DAY_S / 2
        ),
        Quantity(
            name="rain_total_mm",
            unit="mm",
            thai="ฝนสะสมของเครื่อง",
            english="rain counter",
            decimals=1,
            fail=(0.0, 1e7),
        ),
        Quantity(
            name="pm2_5_ug_m3",
            unit="ug/m3",
            thai="ฝุ่น PM2.5",
            english="PM2.5",
            decimals=1,
            fail=(0.0, 10_000.0),
            flat=Flat(eps=0.05, suspect_s=_DAY_S, fail_s=3 * _DAY_S),
        ),
        Quantity(
            name="pm2_5_cf1_ug_m3",
            unit="ug/m3",
            thai="PM2.5 (CF=1)",
            english="PM2.5 (CF=1)",
            decimals=1,
            fail=(0.0, 10_000.0),
        ),
        Quantity(name="pm1_ug_m3", unit="ug/m3", thai="ฝุ่น PM1", english="PM1", decimals=1, fail=(0.0, 10_000.0)),
        Quantity(name="pm10_ug_m3", unit="ug/m3", thai="ฝุ่น PM10", english="PM10", decimals=1, fail=(0.0, 10_000.0)),
        Quantity(
            name="temperature_c",
            unit="Cel",
            thai="อุณหภูมิ",
            english="temperature",
            decimals=1,
            fail=(-90.0, 60.0),
            spike=3.0,
            flat=Flat(eps=0.05, suspect_s=_DAY_S / 2, fail_s=_DAY_S),
        ),
        Quantity(
            name="humidity_pct",
            unit="%RH",
            thai="ความชื้น",
            english="humidity",
            decimals=0,
            fail=(0.0, 100.0),
            spike=10.0,
            flat=Flat(eps=0.5, suspect_s=_DAY_S, fail_s=3 * _DAY_S),
        ),
        Quantity(name="wind_m_s", unit="m/s", thai="ความเร็วลม", english="wind speed", decimals=1, fail=(0.0, 113.3)),
        Quantity(
            name="battery_pct", unit="%EL", thai="แบตเตอรี่คงเหลือ", english="battery left", decimals=0, fail=(0.0, 100.0)
        ),
        Quantity(name="battery_v", unit="V", thai="แบตเตอรี่", english="battery", decimals=2, fail=(0.0, 60.0)),
    )
}
