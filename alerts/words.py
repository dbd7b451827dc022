"""Words and dates for people: Thai first, Asia/Bangkok, Buddhist year."""

from collections.abc import Mapping
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

BANGKOK = ZoneInfo("Asia/Bangkok")
BUDDHIST_ERA = 543
"""Years between the Common Era and the Thai solar calendar (Babel prints the wrong year for Thai)."""

LEVEL_WORDS: tuple[str, ...] = ("ปกติ", "เฝ้าระวัง", "เตือนภัย", "วิกฤต")
LEVEL_ENGLISH: tuple[str, ...] = ("Normal", "Watch", "Warning", "Critical")
UNKNOWN_WORD = "ไม่มีข้อมูล"
UNKNOWN_ENGLISH = "No data"
SILENT_WORD = "ขาดการติดต่อ"
SILENT_ENGLISH = "Silent"

HAZARD_WORDS: Mapping[str, str] = {
    "flood": "น้ำท่วม",
    "flash_flood": "น้ำท่วมฉับพลัน",
    "road_flood": "น้ำท่วมถนน",
    "air": "ฝุ่น PM2.5",
    "smoke": "ควันไฟจากการเผา",
    "station": "สถานีขาดการติดต่อ",
    "stuck": "เครื่องวัดค้าง",
    "battery": "แบตเตอรี่สถานีอ่อน",
}
HAZARD_ENGLISH: Mapping[str, str] = {
    "flood": "Flood",
    "flash_flood": "Flash flood",
    "road_flood": "Flooded road",
    "air": "PM2.5",
    "smoke": "Smoke from burning",
    "station": "Station silent",
    "stuck": "Instrument stuck",
    "battery": "Station battery low",
}
STATION_HAZARDS = ("station", "stuck", "battery")
"""What concerns a station, not an area: a technician's work, never made public."""

_MONTHS = ("ม.ค.", "ก.พ.", "มี.ค.", "เม.ย.", "พ.ค.", "มิ.ย.", "ก.ค.", "ส.ค.", "ก.ย.", "ต.ค.", "พ.ย.", "ธ.ค.")
_DAYS = ("จันทร์", "อังคาร", "พุธ", "พฤหัสบดี", "ศุกร์", "เสาร์", "อาทิตย์")


LAST_US = (2**63 - 1) // 1_000
"""2262, where nanoseconds in 64 bits end."""


def local(time_us: int) -> datetime:
    """UTC microseconds as an aware time in Bangkok.

    A time outside 1970 to 2262 is shown as the nearest of these: one impossible row must not take a screen away.
    """
    return datetime.fromtimestamp(min(max(time_us, 0), LAST_US) / 1e6, tz=UTC).astimezone(BANGKOK)


def thai_clock(time_us: int) -> str:
    """`14:35`"""
    return local(time_us).strftime("%H:%M")


def thai_date(time_us: int, *, weekday: bool = True) -> str:
    """`อาทิตย์ 22 พ.ย. 2569`"""
    t = local(time_us)
    day = f"{t.day} {_MONTHS[t.month - 1]} {t.year + BUDDHIST_ERA}"
    return f"{_DAYS[t.weekday()]} {day}" if weekday else day


def duration(span_us: int) -> str:
    """`2 ชม. 55 นาที`; below a minute `ไม่ถึง 1 นาที`."""
    minutes = max(0, span_us) // 60_000_000
    days, hours, rest = minutes // 1440, minutes // 60 % 24, minutes % 60
    parts = [f"{days} วัน"] if days else []
    parts += [f"{hours} ชม."] if hours else []
    parts += [f"{rest} นาที"] if rest and not days else []
    return " ".join(parts) or "ไม่ถึง 1 นาที"


def duration_english(span_us: int) -> str:
    """`2 h 55 min`; below a minute `under 1 min`."""
    minutes = max(0, span_us) // 60_000_000
    days, hours, rest = minutes // 1440, minutes // 60 % 24, minutes % 60
    parts = [f"{days} d"] if days else []
    parts += [f"{hours} h"] if hours else []
    parts += [f"{rest} min"] if rest and not days else []
    return " ".join(parts) or "under 1 min"


def compact_utc(time_us: int) -> str:
    """`20261122T073500Z`, with the fraction where there is one: for ids."""
    whole, rest = divmod(time_us, 1_000_000)
    stamp = datetime.fromtimestamp(whole, tz=UTC).strftime("%Y%m%dT%H%M%S")
    return f"{stamp}.{rest:06d}Z" if rest else f"{stamp}Z"


def input_words(label: str, *, what: str, unit: str, per_h: bool = False) -> tuple[str, str]:
    """What a rule compared, and its unit, as people say it.

    Parameters
    ----------
    label : see `alerts.rule.Listens.label`; empty for the reading itself
    what, unit : words of the quantity
    per_h : whether it was the slope

    Returns
    -------
    what, unit : `ฝนสะสม 3 ชม.`, `มม.`
    """
    if per_h:
        return f"{what}เพิ่มขึ้น", f"{unit}/ชม."
    kind, *numbers = label.split() or [""]
    match kind, [float(number) for number in numbers]:
        case "sum", [hours, *_]:
            return f"{what}สะสม {hours:g} ชม.", unit
        case "band", _:
            return f"ดัชนีคุณภาพอากาศ (AQI ไทย) ของ{what} เฉลี่ย 24 ชม.", ""
        case "jump", [span_s, floor, *_]:
            return f"{what}เทียบค่ากลาง {duration(round(span_s * 1e6))}", "เท่า" if floor else unit
        case "stuck", _:
            return f"{what}นิ่งอยู่", "ชม."
        case "ahead", [horizon_s, *_]:
            return f"{what}ที่คาดว่าจะถึงใน {duration(round(horizon_s * 1e6))}", unit
    return what, unit
