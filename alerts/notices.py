"""What an officer or technician must see that no rule acts on: never thrown away in silence (contract 4, 5.3, 5.8,
5.14). Pure.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from alerts.cells import Cells
from alerts.episode import EventType, Notice
from alerts.lifecycle import REFOLDED, Change
from alerts.track_state import Taken
from alerts.words import LEVEL_WORDS, duration, duration_english
from sensors.batch import Bool, ReadingBatch
from sensors.flags import Check, Flag, unpack

TEXTS: Mapping[str, str] = {
    "not_judged": "ค่านี้ตรวจไม่ได้ เก็บไว้แล้ว · stored, but no check could judge it",
    "rule_failed": "เกณฑ์ทำงานผิดพลาดกับชุดข้อมูลนี้ · a rule failed on this series",
    "plan_failed": "สร้างข้อความเตือนไม่ได้ ต้องแจ้งเอง · no message could be made, warn by hand",
    "clock": "เวลาของค่านี้เป็นไปไม่ได้ นาฬิกาผิด ยังไม่ใช้ตัดสิน · stamped ahead of our clock, or years ago: one of the two is "
    "wrong",
    "clock_steady": "นาฬิกาของอุปกรณ์ผิดคงที่ ปรับเวลาให้แล้ว · the device's clock is steadily wrong: its times are put right",
    "suspect_extreme": "ค่าสูงถึงเกณฑ์แต่น่าสงสัย · an extreme value under doubt",
    "late_extreme": "ค่าสูงถึงเกณฑ์แต่มาช้า · an extreme value that came late",
    "correction": "ข้อมูลที่มาทีหลังบอกว่าระดับต่ำกว่าที่ประกาศ โปรดพิจารณาลดระดับ · readings that came later say less than what "
    "was announced: consider lowering it",
    "box_clock": "นาฬิกาของเครื่องนี้ไม่ตรงกับสถานีส่วนใหญ่หรือเดินกระโดด ตัดสินตามลำดับที่ข้อมูลมาถึง โปรดตรวจ · this box's clock "
    "disagrees with most stations, or leapt: judged by arrival, look at it",
    "unanswered": "เรียกผู้รับผิดชอบครบทุกคนแล้ว ไม่มีใครรับทราบ · everybody on call was called and nobody answered",
    "broker_away": "ติดต่อโบรกเกอร์ MQTT ไม่ได้ ยังไม่ได้รับข้อมูล · the MQTT broker is away: nothing is heard",
    "broker_drops": "โบรกเกอร์ MQTT ทิ้งข้อความ ข้อมูลอาจหาย · the MQTT broker drops messages: readings may be lost",
    "broker_session_lost": "โบรกเกอร์ MQTT ลืมการเชื่อมต่อเดิม ข้อมูลระหว่างนั้นอาจหาย · the MQTT broker forgot our session: "
    "readings in between may be lost",
    "broker_refused": "โบรกเกอร์ MQTT ไม่รับการเชื่อมต่อ ตรวจชื่อและรหัสผ่าน · the MQTT broker refuses us: look at name and "
    "password",
    "sparkplug_gap": "ข้อความของโหนด Sparkplug หายระหว่างทาง ขอให้โหนดแนะนำตัวใหม่แล้ว · messages of a Sparkplug "
    "node are missing: it is asked to say again who it is",
    "serial_silent": "เครื่องวัดที่ต่อสายกับเครื่องนี้ · an instrument on a serial line of this box",
    "mirror_away": "สำเนาข้อมูลบนเซิร์ฟเวอร์อื่นตามไม่ทัน การเตือนภัยไม่กระทบ · a mirror is behind; warnings do not depend on it",
    "mirror_refused": "สำเนาข้อมูลบนเซิร์ฟเวอร์อื่นขาดบางค่า การเตือนภัยไม่กระทบ · a mirror lacks some readings; "
    "warnings do not depend on it",
    "quarantine_full": "ที่เก็บข้อความที่ถูกปฏิเสธเต็ม · the store of refused messages is full",
}


def notices(batch: ReadingBatch, conflict: Bool, taken: Taken, cells: Cells, *, steady: Bool) -> list[Notice]:
    """What must be shown because of a batch: the newest reading of each series and case, with its age and doubt.

    An extreme is a value at which a level of 2 or above would hold. A value outside the instrument's own range (flag 4)
    is none.

    Parameters
    ----------
    batch : n readings at their devices' times
    steady : (series,) whose clock was known to be steadily wrong before
    """
    by_arrival = (taken.clock == Flag.UNKNOWN) & ~steady[batch.series]
    odd = ~taken.listened & ~taken.alike
    if not odd.any() and not by_arrival.any():
        return []
    with np.errstate(invalid="ignore"):
        extreme = odd & (batch.value >= cells.warning[batch.series])
    ahead = unpack(taken.checks)[Check.CLOCK] == Flag.SUSPECT
    doubted = (taken.flag == Flag.SUSPECT) | conflict
    cases: Mapping[str, Bool] = {
        "not_judged": taken.broken,
        "rule_failed": taken.deaf,
        "clock": ahead & ~taken.broken,
        "clock_steady": by_arrival,
        "suspect_extreme": extreme & doubted & ~taken.broken,
        "late_extreme": extreme & ~doubted & (taken.flag <= Flag.UNKNOWN) & ~taken.deaf,
    }
    found = []
    for code, rows in cases.items():
        marked = np.flatnonzero(rows)
        newest = dict(zip(batch.series[marked].tolist(), marked.tolist(), strict=True))
        why = f" ({taken.errors[-1]})" if code in ("not_judged", "rule_failed") and taken.errors else ""
        for series, row in newest.items():
            lag_us = int(batch.received_us[row] - batch.time_us[row])
            found.append(
                Notice(
                    kind=cells.kind,
                    code=code,
                    subject=cells.registry.series[series].key,
                    text=f"{TEXTS[code]}: {batch.value[row]:g} ({_doubt(lag_us, int(taken.flag[row]))}){why}",
                    at_us=int(batch.time_us[row]),
                )
            )
    return found


def _doubt(lag_us: int, flag: int) -> str:
    """How late or early a reading came, and how far the checks believe it."""
    thai, english = ("ช้า", "late") if lag_us >= 0 else ("ล้ำหน้า", "ahead")
    lag = f"{thai} {duration(abs(lag_us))}"
    return f"{lag} คุณภาพ {flag} · {duration_english(abs(lag_us))} {english}, flag {flag}"


def off_by(off_us: int) -> str:
    """How far this box's own clock is off, for `box_clock`."""
    thai, english = ("ล้ำหน้า", "ahead") if off_us > 0 else ("ช้า", "behind")
    return f"{thai} {duration(abs(off_us))} · {duration_english(abs(off_us))} {english}"


def corrections(changes: Sequence[Change]) -> Iterator[Notice]:
    """Falls that came out by looking again, below what was announced: an officer decides, nothing is withdrawn."""
    for event, story in changes:
        refolded = event.type is EventType.JUDGED and event.note == REFOLDED
        if refolded and event.to_level < min(event.from_level, story.public_level):
            yield Notice(
                kind=event.kind,
                code="correction",
                subject=story.id,
                text=f"{TEXTS['correction']} ({story.public_level} → {event.to_level})",
                at_us=event.recorded_us,
            )


def unanswered(changes: Sequence[Change]) -> Iterator[Notice]:
    """Chains that ended without an answer: they stand until somebody looks, whatever becomes of the level."""
    for event, story in changes:
        if event.type is EventType.UNANSWERED:
            yield Notice(
                kind=event.kind,
                code="unanswered",
                subject=story.id,
                text=f"{TEXTS['unanswered']} ({LEVEL_WORDS[event.to_level]} {event.to_level})",
                at_us=event.event_us,
            )
