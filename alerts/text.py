"""What people are told: reviewed templates, Thai first; source, hazard, place, time, what to do, whom to call, until
when.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from alerts.episode import Kind
from alerts.words import HAZARD_WORDS, LEVEL_WORDS, thai_clock, thai_date

DRILL_PREFIX: Mapping[Kind, str] = {
    Kind.ACTUAL: "",
    Kind.EXERCISE: "ซ้อม: ไม่ใช่เหตุจริง\n",
    Kind.TEST: "ทดสอบ: ไม่ใช่เหตุจริง\n",
}
"""Starts every text that is no actual warning."""

UNITS: Mapping[str, str] = {"m": "ม.", "mm": "มม.", "ug/m3": "มคก./ลบ.ม.", "%RH": "%", "%EL": "%", "V": "โวลต์"}
"""Units as people read them."""

ACTIONS: Mapping[tuple[str, int], str] = {
    ("flood", 1): "ติดตามข่าว เตรียมของจำเป็น ยา และเอกสาร",
    ("flood", 2): "ยกของขึ้นที่สูง ย้ายรถและสัตว์เลี้ยง พาผู้ป่วยและผู้สูงอายุไปที่ปลอดภัย ห้ามลุยน้ำไหลแรง",
    ("flood", 3): "ออกจากพื้นที่เสี่ยงไปที่สูงทันที ตัดไฟ พาผู้สูงอายุและเด็กออกก่อน ห้ามข้ามน้ำไหล",
    ("flash_flood", 1): "ติดตามฝนและข่าว อย่าอยู่ใกล้ลำห้วยและเชิงเขา",
    ("flash_flood", 2): "ออกห่างจากลำห้วยและเชิงเขา ย้ายไปที่สูง ห้ามลุยน้ำไหลแรง",
    ("flash_flood", 3): "ขึ้นที่สูงทันที ห้ามข้ามน้ำไหล",
    ("road_flood", 1): "ขับช้า รถเล็กและจักรยานยนต์เลี่ยงเส้นทางนี้",
    ("road_flood", 2): "ห้ามรถเล็กผ่าน ใช้เส้นทางอื่น",
    ("road_flood", 3): "ปิดเส้นทาง ห้ามผ่านทุกชนิด",
    ("air", 1): "ลดกิจกรรมกลางแจ้ง กลุ่มเสี่ยงสวมหน้ากากและอยู่ในอาคาร",
    ("air", 2): "ทุกคนงดกิจกรรมกลางแจ้ง สวมหน้ากาก มีอาการผิดปกติให้พบแพทย์",
    ("air", 3): "อยู่ในอาคาร ปิดประตูหน้าต่าง กลุ่มเสี่ยงไปห้องปลอดฝุ่น",
    ("smoke", 1): "ปิดประตูหน้าต่าง กลุ่มเสี่ยงสวมหน้ากาก พบการเผาแจ้งเจ้าหน้าที่",
    ("smoke", 2): "อยู่ในอาคาร ปิดประตูหน้าต่าง สวมหน้ากาก พบไฟโทรแจ้งทันที",
    ("smoke", 3): "ออกจากพื้นที่ควัน พาเด็กและผู้สูงอายุไปที่อากาศสะอาด",
}
"""What to do now, by hazard and level. Ours, to be reviewed with the provincial disaster office."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a text is made of."""

    kind: Kind
    place: str
    phone: str
    hazard: str
    level: int
    areas: str
    """`ริมห้วยสำราญ (หมู่ 1, หมู่ 3, หมู่ 7)`"""
    reading: str
    """The reading that decided, as a line; empty when a person did without one."""
    now_us: int
    expires_us: int


def alert(facts: Facts) -> str:
    """A warning, whole."""
    word = HAZARD_WORDS[facts.hazard]
    lines = [
        f"{DRILL_PREFIX[facts.kind]}{facts.place} แจ้ง{LEVEL_WORDS[facts.level]}{word} ระดับ {facts.level}",
        f"พื้นที่ {facts.areas}",
    ]
    if facts.reading:
        lines.append(facts.reading)
    lines += [
        f"ทำทันที: {ACTIONS[facts.hazard, facts.level]}",
        f"ขอความช่วยเหลือ โทร {facts.phone}",
        f"ออกเมื่อ {thai_clock(facts.now_us)} น. มีผลถึง {thai_clock(facts.expires_us)} น. "
        f"{thai_date(facts.expires_us, weekday=False)}",
    ]
    return "\n".join(lines)


def all_clear(facts: Facts) -> str:
    """The end of a warning, to whoever got it."""
    return "\n".join(
        (
            f"{DRILL_PREFIX[facts.kind]}{facts.place} แจ้งยุติเหตุ{HAZARD_WORDS[facts.hazard]} กลับสู่ภาวะปกติ",
            f"พื้นที่ {facts.areas}",
            "ยังต้องระวัง: ตรวจสายไฟและถนนก่อนใช้ ระวังสัตว์มีพิษ",
            f"ขอความช่วยเหลือ โทร {facts.phone}",
            f"ออกเมื่อ {thai_clock(facts.now_us)} น. {thai_date(facts.now_us, weekday=False)}",
        )
    )


def withdrawn(facts: Facts) -> str:
    """A warning taken back by officers although the danger has not been judged over."""
    return "\n".join(
        (
            f"{DRILL_PREFIX[facts.kind]}{facts.place} ยกเลิกประกาศ{HAZARD_WORDS[facts.hazard]}",
            f"พื้นที่ {facts.areas}",
            "เจ้าหน้าที่ยกเลิกประกาศนี้ ยังให้ติดตามระดับน้ำและข่าวต่อไป",
            f"ขอความช่วยเหลือ โทร {facts.phone}",
            f"ออกเมื่อ {thai_clock(facts.now_us)} น. {thai_date(facts.now_us, weekday=False)}",
        )
    )


def call(*, kind: Kind, hazard: str, level: int, area: str, reading: str, since_us: int) -> str:
    """To somebody on call: what waits for an answer, and since when."""
    word = HAZARD_WORDS.get(hazard, hazard)
    lines = [f"{DRILL_PREFIX[kind]}เวรเตือนภัย: {LEVEL_WORDS[level]}{word} ระดับ {level} ยังไม่มีผู้รับทราบ", f"พื้นที่ {area}"]
    if reading:
        lines.append(reading)
    lines.append(f"ตั้งแต่ {thai_clock(since_us)} น. {thai_date(since_us, weekday=False)} โปรดเข้าระบบเพื่อรับทราบหรือประกาศ")
    return "\n".join(lines)


def reading(*, what: str, where: str, value: str, threshold: str, unit: str, time_us: int) -> str:
    """What was measured, where, and against which threshold."""
    return (
        f"{what}{where} {value} {unit} (เกณฑ์ {threshold} {unit}) "
        f"เวลา {thai_clock(time_us)} น. {thai_date(time_us, weekday=False)}"
    )


def area_list(name: str, villages: Sequence[str]) -> str:
    """An area with the villages in it."""
    return f"{name} ({', '.join(villages)})" if villages else name
