"""Kapacitor's published example of levels with resets, and the one place where we answer otherwise."""

from alerts.episode import EventType
from sensors.stations import Sensor
from tests.alerts.judge_world import World
from tests.builders import MINUTE_US, T0_US, absence_rule, batch, level_rule, registry, station

VALUES = (61, 73, 64, 85, 62, 56, 47)
THEIRS = (1, 2, 2, 3, 1, 1, 0)
"""INFO WARNING WARNING CRITICAL INFO INFO OK: AlertNode, infoReset, warnReset and critReset (docs.influxdata.com)."""
OURS = (1, 2, 2, 3, 2, 1, 0)
"""At 62 the reset of warn (below 60) is not met: a fall never skips a level that still holds (contract 5.4)."""
STEPS = ((60, 50), (70, 60), (80, 70))
"""(above, reset below) of info, warn and crit."""
HELD = 2
"""Readings of each value: a fall has a dwell here, which Kapacitor has not."""


def ours(values: tuple[int, ...]) -> tuple[int, ...]:
    """Judged level after each value was held."""
    reg = registry(station("A", Sensor(quantity="pm2_5_ug_m3", spike=0.0)))
    rules = [
        level_rule(level, float(enter), leave=float(leave), quantity="pm2_5_ug_m3", unit="ug/m3", up_for_s=0.0,
                   down_for_s=60.0)
        for level, (enter, leave) in enumerate(STEPS, start=1)
    ]  # fmt: skip
    world = World(registry=reg, own_rules=(*rules, absence_rule()))
    found = []
    for k, value in enumerate(values):
        world.take(batch([float(value)] * HELD, start_us=T0_US + k * HELD * MINUTE_US))
        judged = [event.to_level for event in world.events() if event.type is EventType.JUDGED]
        found.append(judged[-1] if judged else 0)
    return tuple(found)


def theirs(values: tuple[int, ...]) -> tuple[int, ...]:
    """As Kapacitor decides: the highest level above the present one whose condition holds; else the present one until
    its reset is met; then the highest whose condition holds, however far below.
    """
    level, found = 0, []
    for value in values:
        holds = max((k for k, (enter, _) in enumerate(STEPS, start=1) if value > enter), default=0)
        if holds > level or level == 0 or value < STEPS[level - 1][1]:
            level = holds
        found.append(level)
    return tuple(found)


def test_the_published_sequence_with_our_one_deviation() -> None:
    assert ours(VALUES) == OURS
    assert [k for k, (a, b) in enumerate(zip(OURS, THEIRS, strict=True)) if a != b] == [VALUES.index(62)]


def test_our_reading_of_kapacitor_gives_what_it_publishes() -> None:
    assert theirs(VALUES) == THEIRS


def test_upward_and_while_no_reset_is_met_both_agree() -> None:
    for values in ((47, 61, 55, 73, 64, 85, 75, 90), (90, 71, 85), (55, 61, 51, 81), (71, 61, 70, 79, 81)):
        assert ours(values) == theirs(values)
