"""Fixed moments of the sample sub-district, for pictures: the same readings, stories and clock each time."""

from collections.abc import Callable, Mapping, Sequence
from random import Random

import numpy as np

from alerts.channels.preview import PreviewChannel
from alerts.dispatch import Policy, send_due
from alerts.episode import Episode, Kind, Used
from alerts.people import Actor, Address, Role
from tests.api.world import HOUR_US, MINUTE_US, NOW_US, World

SAMRAN, PHONYANG = "331608-samran", "331608-phonyang"
OFFICER = Actor(account="officer-2", role=Role.OFFICER)
READING_US = 2 * MINUTE_US
RAIN_US = 5 * MINUTE_US
HOURS = 8 * 24
"""How far back each river is known: a week and more, as the station page looks."""
GAP_H = (43, 40)
"""Hours before now in which the weir said nothing in the critical scene."""

Scene = Callable[[World], None]


def calm(world: World) -> None:
    """Every station speaks, nothing is near a threshold, every reach is known."""
    for key, level_m in (("WL-01", 2.0), ("WL-02", 1.8), ("WL-03", 1.9), ("WL-04", 1.1)):
        world.put(f"{key}/stage_m", _river(level_m, level_m), step_us=READING_US)
        world.put(f"{key}/battery_v", _battery(), step_us=HOUR_US)
    _weather(world, rain_mm=0.0, dust=("AQ-01", "AQ-02"))
    for area in (SAMRAN, PHONYANG):
        world.known(area)


def critical(world: World) -> None:
    """Water over the weir, a warning in force, one story seen and one not, one station silent."""
    _telephones(world)
    for key, base_m, top_m in (("WL-01", 2.0, 4.08), ("WL-03", 1.9, 3.25), ("WL-04", 1.1, 2.2)):
        world.put(f"{key}/stage_m", _river(base_m, top_m), step_us=READING_US)
    weir = _river(1.8, 4.18)
    first, last = (len(weir) - hours * HOUR_US // READING_US for hours in GAP_H)
    world.put("WL-02/stage_m", weir[:first], step_us=READING_US, ago_us=(len(weir) - first) * READING_US)
    world.put("WL-02/stage_m", weir[last:], step_us=READING_US)
    for key in ("WL-01", "WL-02", "WL-03", "WL-04"):
        world.put(f"{key}/battery_v", _battery(), step_us=HOUR_US)
    _weather(world, rain_mm=0.335, dust=("AQ-01",))
    world.put("AQ-02/pm2_5_ug_m3", [21.0] * 12, step_us=RAIN_US, ago_us=133 * MINUTE_US)
    world.account(OFFICER.account, OFFICER.role)
    steps: Sequence[tuple[int, Callable[[], object]]] = (
        (175, lambda: _up(world, SAMRAN, 1, "WL-03", 2.95, 2.94)),
        (133, lambda: world.judge("AQ-02", 1, hazard="station")),
        (130, lambda: _seen(world, "AQ-02")),
        (85, lambda: _up(world, PHONYANG, 1, "WL-04", 2.12, 2.10)),
        (81, lambda: _seen(world, PHONYANG)),
        (60, lambda: _up(world, SAMRAN, 2, "WL-02", 3.42, 3.40)),
        (55, lambda: world.publish(SAMRAN, 2)),
        (4, lambda: _up(world, SAMRAN, 3, "WL-02", 4.03, 4.00)),
        (2, lambda: world.publish(SAMRAN, 3)),
        (1, lambda: world.notice("WL-04/stage_m")),
    )
    for minutes, act in steps:
        world.now_us = NOW_US - minutes * MINUTE_US
        act()
    world.now_us = NOW_US
    world.known(SAMRAN, level=3)
    world.known(PHONYANG, level=1)
    _send(world)


def unknown(world: World) -> None:
    """Nothing was ever heard of any station, and the machine does not judge."""
    world.blind()


SCENES: Mapping[str, tuple[Kind, Scene]] = {
    "calm": (Kind.ACTUAL, calm),
    "critical": (Kind.ACTUAL, critical),
    "drill": (Kind.EXERCISE, critical),
    "unknown": (Kind.ACTUAL, unknown),
}
"""As the tables name them; the drill is the critical one as an exercise, with messages on the preview phone."""


def _river(base_m: float, top_m: float) -> list[float]:
    """Hours of stage in m: low, then rising in the last six hours; every reading in whole millimetres."""
    at_h = np.arange(-HOURS * HOUR_US, 1, READING_US) / HOUR_US
    rise = 1 / (1 + np.exp(-(at_h + 2.5) / 0.8))
    course = base_m + (top_m - base_m) * (rise - rise[0]) / (rise[-1] - rise[0])
    return [round(float(value), 3) for value in course]


def _battery() -> list[float]:
    """Hours of a battery's voltage, higher by day."""
    at_h = np.arange(-HOURS, 1)
    return [round(float(value), 2) for value in 3.94 + 0.05 * np.sin(2 * np.pi * (at_h + 2) / 24)]


def _weather(world: World, *, rain_mm: float, dust: Sequence[str]) -> None:
    """A full day of rain, the same amount every five minutes, and an hour of dust where the instruments speak."""
    for key, share in (("RF-01", 1.0), ("RF-02", 0.7)):
        world.put(f"{key}/rain_mm", [round(share * rain_mm, 3)] * 288, step_us=RAIN_US)
    for key in dust:
        world.put(f"{key}/pm2_5_ug_m3", [18.0] * 12, step_us=RAIN_US)


def _up(world: World, area: str, level: int, station: str, value: float, threshold: float) -> None:
    """A story rises by one reading, and says so."""
    word = ("watch", "warning", "critical")[level - 1]
    used = Used(
        rule=f"flood.{word}",
        rule_version="1",
        series=f"{station}/stage_m",
        time_us=world.now_us,
        value=value,
        flag=1,
        seq=7,
        threshold=threshold,
        truth=True,
    )
    world.judge(area, level, used=[used])


def _seen(world: World, area: str) -> None:
    """An officer acknowledges the story of an area."""
    story = world.stories[area]
    after = world.deps.desk.acknowledge(story.id, version=story.version, actor=OFFICER)
    assert isinstance(after, Episode), after
    world.stories[area] = after


def _telephones(world: World) -> None:
    """Two numbers in each village of the reach: invented, and of the preview channel only."""
    world.ledger.put_addresses(
        [
            Address(
                id=f"phone-{village}-{n}",
                kind=world.kind,
                recipient=f"phone-{village}-{n}",
                area=village,
                channel="preview",
                target=f"หมู่ {village[-1]} เครื่อง {n}",
            )
            for village in ("33160801", "33160803", "33160807")
            for n in (1, 2)
        ]
    )


def _send(world: World) -> None:
    """Let the dispatcher work until nothing is left: an exercise reaches its phones, the actual world is refused."""
    ticks = iter(range(NOW_US, NOW_US + HOUR_US))
    phone = {"preview": PreviewChannel(world.ledger, now_us=lambda: world.now_us)}
    while send_due(
        world.ledger,
        phone,
        owner="look",
        now_us=lambda: world.now_us,
        real_us=lambda: next(ticks),
        rng=Random(1),
        policy=Policy(),
    ):
        pass
