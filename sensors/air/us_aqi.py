"""The air quality index of the United States, revision of 2024, under its own name, bands and words."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from sensors.air.breakpoints import Breakpoints, Index, Source

US_AQI = Index(
    name="US AQI (EPA 2024)",
    source=Source(
        title="EPA-454/B-24-002, Technical Assistance Document for the Reporting of Daily Air Quality, May 2024",
        effective_from=date(2024, 5, 6),
        retrieved=date(2026, 11, 22),
    ),
    upper=(50, 100, 150, 200, 300, 500),
    cut="truncate",
    tables={
        "pm2_5_ug_m3": (Breakpoints(hours=24, decimals=1, upper=(9.0, 35.4, 55.4, 125.4, 225.4, 325.4)),),
        "pm10_ug_m3": (Breakpoints(hours=24, decimals=0, upper=(54, 154, 254, 354, 424, 604)),),
        "o3_ppm": (
            Breakpoints(hours=8, decimals=3, upper=(0.054, 0.070, 0.085, 0.105, 0.200), beyond=300),
            Breakpoints(hours=1, decimals=3, upper=(0.124, 0.164, 0.204, 0.404, 0.604), skipped=2),
        ),
        "co_ppm": (Breakpoints(hours=8, decimals=1, upper=(4.4, 9.4, 12.4, 15.4, 30.4, 50.4)),),
        "so2_ppb": (
            Breakpoints(hours=1, decimals=0, upper=(35, 75, 185, 304), beyond=200),
            Breakpoints(hours=24, decimals=0, upper=(304, 604, 1004), skipped=4),
        ),
        "no2_ppb": (Breakpoints(hours=1, decimals=0, upper=(53, 100, 360, 649, 1249, 2049)),),
    },
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Category:
    """One band as the EPA shows it."""

    english: str
    hex: str
    text_hex: str
    """Of text on it: black on what is light."""


CATEGORIES: Mapping[int, Category] = {
    1: Category(english="Good", hex="#00E400", text_hex="#000000"),
    2: Category(english="Moderate", hex="#FFFF00", text_hex="#000000"),
    3: Category(english="Unhealthy for Sensitive Groups", hex="#FF7E00", text_hex="#000000"),
    4: Category(english="Unhealthy", hex="#FF0000", text_hex="#FFFFFF"),
    5: Category(english="Very Unhealthy", hex="#8F3F97", text_hex="#FFFFFF"),
    6: Category(english="Hazardous", hex="#7E0023", text_hex="#FFFFFF"),
    7: Category(english="Hazardous (beyond the AQI)", hex="#7E0023", text_hex="#FFFFFF"),
}
"""Number of `US_AQI.band` -> category."""
