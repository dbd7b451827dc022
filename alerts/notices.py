"""Readings that no rule listened to and an officer must see: never thrown away in silence (contract 4, 5.8, 5.14).
Pure.
"""

from collections.abc import Mapping

import numpy as np

from alerts.cells import Cells
from alerts.episode import Notice
from alerts.judgement import Judged
from sensors.batch import Bool, ReadingBatch
from sensors.flags import Check, Flag, unpack

TEXTS: Mapping[str, str] = {
    "not_judged": "ค่านี้ตรวจไม่ได้ เก็บไว้แล้ว · stored, but no check could judge it",
    "rule_failed": "เกณฑ์ทำงานผิดพลาดกับชุดข้อมูลนี้ · a rule failed on this series",
    "plan_failed": "สร้างข้อความเตือนไม่ได้ ต้องแจ้งเอง · no message could be made, warn by hand",
    "clock": "เวลาของค่านี้ล้ำหน้านาฬิกาของระบบ ยังไม่ใช้ตัดสิน · stamped ahead of our clock: one of the two is wrong",
    "suspect_extreme": "ค่าสูงถึงเกณฑ์แต่น่าสงสัย · an extreme value under doubt",
    "late_extreme": "ค่าสูงถึงเกณฑ์แต่มาช้า · an extreme value that came late",
}


def notices(batch: ReadingBatch, conflict: Bool, judged: Judged, cells: Cells) -> list[Notice]:
    """What must be shown because of a batch: the newest reading of each series and case.

    An extreme is a value at which a level of 2 or above would hold. A value outside the instrument's own range (flag 4)
    is none.
    """
    odd = ~judged.listened
    if not odd.any():
        return []
    with np.errstate(invalid="ignore"):
        extreme = odd & (batch.value >= cells.warning[batch.series])
    ahead = unpack(judged.checks)[Check.CLOCK] == Flag.SUSPECT
    doubted = (judged.flag == Flag.SUSPECT) | conflict
    cases: Mapping[str, Bool] = {
        "not_judged": judged.broken,
        "rule_failed": judged.deaf,
        "clock": ahead & ~judged.broken,
        "suspect_extreme": extreme & doubted & ~judged.broken,
        "late_extreme": extreme & ~doubted & (judged.flag <= Flag.UNKNOWN) & ~judged.deaf,
    }
    found = []
    for code, rows in cases.items():
        marked = np.flatnonzero(rows)
        newest = dict(zip(batch.series[marked].tolist(), marked.tolist(), strict=True))
        why = f" ({judged.errors[-1]})" if code in ("not_judged", "rule_failed") and judged.errors else ""
        for series, row in newest.items():
            found.append(
                Notice(
                    kind=cells.kind,
                    code=code,
                    subject=cells.registry.series[series].key,
                    text=f"{TEXTS[code]}: {batch.value[row]:g}{why}",
                    at_us=int(batch.time_us[row]),
                )
            )
    return found
