"""The Thai air quality index of B.E. 2566, under its own name, bands and words."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from sensors.air.breakpoints import Breakpoints, Index, Source

THAI_AQI = Index(
    name="ดัชนีคุณภาพอากาศ (AQI ไทย)",
    source=Source(
        # In force from the day of its standard of 37.5 ug/m3.
        title="ประกาศกรมควบคุมมลพิษ เรื่อง ดัชนีคุณภาพอากาศของประเทศไทย พ.ศ. 2566, Royal Gazette 140 special 157",
        effective_from=date(2023, 6, 1),
        retrieved=date(2026, 11, 22),
    ),
    upper=(25, 50, 100, 200),
    # The announcement names no way to its digits; rounding never hides the step into the next band that cutting would.
    cut="round",
    tables={
        "pm2_5_ug_m3": (Breakpoints(hours=24, decimals=1, upper=(15.0, 25.0, 37.5, 75.0)),),
        "pm10_ug_m3": (Breakpoints(hours=24, decimals=0, upper=(50, 80, 120, 180)),),
        "o3_ppb": (Breakpoints(hours=8, decimals=0, upper=(35, 50, 70, 120)),),
        "co_ppm": (Breakpoints(hours=8, decimals=1, upper=(4.4, 6.4, 9.0, 30.0)),),
        "no2_ppb": (Breakpoints(hours=1, decimals=0, upper=(60, 106, 170, 340)),),
        "so2_ppb": (Breakpoints(hours=1, decimals=0, upper=(100, 200, 300, 400)),),
    },
)
"""No concentration is tied to an index above 200: there it is `>200`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """One band as it is shown. Only the colour word is official; sites differ in the shade."""

    thai: str
    english: str
    colour: str
    """Colour word of the announcement."""
    hex: str
    text_hex: str
    """Of text on it: black on what is light."""


BANDS: Mapping[int, Band] = {
    1: Band(thai="ดีมาก", english="very good", colour="ฟ้า", hex="#3BCCFF", text_hex="#000000"),
    2: Band(thai="ดี", english="good", colour="เขียว", hex="#92D050", text_hex="#000000"),
    3: Band(thai="ปานกลาง", english="moderate", colour="เหลือง", hex="#FFFF00", text_hex="#000000"),
    4: Band(
        thai="เริ่มมีผลกระทบต่อสุขภาพ", english="starting to affect health", colour="ส้ม", hex="#FFA200", text_hex="#000000"
    ),
    5: Band(thai="มีผลกระทบต่อสุขภาพ", english="affecting health", colour="แดง", hex="#CD0000", text_hex="#FFFFFF"),
}
"""Number of `THAI_AQI.band` -> band."""
NOT_ENOUGH = "ข้อมูลไม่พอ"
"""Instead of a band where less than three quarters of the hours are known."""
