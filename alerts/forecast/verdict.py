"""Whether a forecaster may be used, horizon by horizon, and why: in words."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from alerts.forecast.trial import LEARNED, LINEAR, METHODS, PERSISTENCE, Score

MARGIN = 0.05
"""It must be better by this share: by less, it may have been luck."""
LEAST_RISES = 100
"""Rows in a rise, over all folds."""
LEAST_FOLDS = 3
WON_SHARE = 2 / 3
"""Of the folds: no single flood decides."""
INSIDE = (0.65, 0.95)
"""Where the share within an 80 % interval must lie to be called one."""
NAMES = {PERSISTENCE: ("ค่าคงที่", "persistence"), LINEAR: ("เส้นตรง", "the straight line")}
MEASURES = (("mae", "ค่าคลาดเคลื่อนเฉลี่ย", "mean error"), ("pinball", "ค่าสูญเสีย pinball", "pinball loss"))
WHERE = {False: ("ทุกช่วง", "over all rows"), True: ("ช่วงน้ำขึ้น", "in rises")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """On one horizon."""

    horizon_h: float
    accepted: bool
    thai: str
    english: str


def verdicts(scores: Sequence[Score], horizons_h: Sequence[float]) -> tuple[Verdict, ...]:
    """Accept the horizons where what was learned beats persistence and the straight line alike, by mean error and by
    pinball loss, over all rows and in rises alone.
    """
    return tuple(_verdict(h, [one for one in scores if one.horizon_h == h]) for h in horizons_h)


def _verdict(horizon_h: float, scores: Sequence[Score]) -> Verdict:
    against = next(_objections(scores), None)
    ahead = f"ล่วงหน้า {horizon_h:g} ชม.", f"{horizon_h:g} h ahead"
    if against is not None:
        return Verdict(
            horizon_h=horizon_h,
            accepted=False,
            thai=f"{ahead[0]}: ไม่ใช้ {against[0]}",
            english=f"{ahead[1]}: not accepted: {against[1]}",
        )
    rises = next(one for one in scores if one.rises)
    less = {name: 100 * (1 - rises.mae[LEARNED] / rises.mae[name]) for name in NAMES}
    thai = " และ".join(f"น้อยกว่า{NAMES[name][0]} {percent:.0f}%" for name, percent in less.items())
    english = " and ".join(f"{percent:.0f} % below that of {NAMES[name][1]}" for name, percent in less.items())
    return Verdict(
        horizon_h=horizon_h,
        accepted=True,
        thai=f"{ahead[0]}: ใช้ ช่วงน้ำขึ้นคลาดเคลื่อน{thai}",
        english=f"{ahead[1]}: accepted; in rises its mean error is {english}",
    )


def _objections(scores: Sequence[Score]) -> Iterator[tuple[str, str]]:
    """(Thai, English), the gravest first."""
    if {one.rises for one in scores} != {False, True}:
        yield "ข้อมูลน้อยเกินไป", "the record is too short"
        return
    for score in scores:
        thai, english = WHERE[score.rises]
        if score.folds < LEAST_FOLDS or (score.rises and score.rows < LEAST_RISES):
            yield (
                f"ข้อมูล{thai}น้อยเกินไป ({score.rows} ค่า {score.folds} ช่วง)",
                f"too little to go by {english} ({score.rows} rows in {score.folds} folds)",
            )
        for name in METHODS[1:]:
            for measure, words, english_words in MEASURES:
                ours, theirs = getattr(score, measure)[LEARNED], getattr(score, measure)[name]
                gain = 1 - ours / theirs if theirs > 0 else -math.inf
                if not gain >= MARGIN:
                    yield (
                        f"{words}{thai}ไม่ดีกว่า {NAMES[name][0]} ถึง {MARGIN:.0%} ({ours:.4f} ต่อ {theirs:.4f})",
                        f"its {english_words} {english} is not {MARGIN:.0%} below that of {NAMES[name][1]}"
                        f" ({ours:.4f} against {theirs:.4f})",
                    )
        if score.won < WON_SHARE * score.folds:
            yield (
                f"{thai}ดีที่สุดเพียง {score.won} จาก {score.folds} ช่วง",
                f"best {english} in only {score.won} of {score.folds} folds",
            )
        if not INSIDE[0] <= score.inside <= INSIDE[1]:
            yield (
                f"{thai}ค่าจริงอยู่ในช่วง 80% เพียง {score.inside:.0%}",
                f"{score.inside:.0%} of what came {english} lay within its 80 % interval",
            )
