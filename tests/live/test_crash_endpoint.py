"""The worker killed with -9 while devices feed it: nothing acknowledged is lost or doubled, the story is the same."""

from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.live.crash import KILLS, MESSAGES, SEEDS, Fleet, await_settling, kill_worker, strike
from tests.live.records import RIVER_STEP_US, STATIONS, Sent, now_us, of_rivers
from tests.live.verdict import assert_nothing_lost_and_same_story
from tests.live.ways import EndpointWay

pytestmark = pytest.mark.live


@pytest.mark.parametrize("seed", SEEDS)
def test_real_floods_survive_a_killed_worker(tmp_path: Path, reference: Path, seed: int) -> None:
    endure(tmp_path, of_rivers(reference, MESSAGES, now_us()), cadence_us=2 * RIVER_STEP_US, kills=KILLS, seed=seed)


def endure(folder: Path, sent: Sent, *, cadence_us: int, kills: int, seed: int) -> None:
    """Feed and kill, then compare what is kept with what the devices were told."""
    messages, fleet = sum(map(len, sent.values())), Fleet(sent)
    with ExitStack() as stack:
        way = EndpointWay(stack, folder, STATIONS, cadence_s=cadence_us / 1e6)
        fleet.start(way.port, way.secrets, levels=(4, 5))
        killer = strike([lambda: kill_worker(way.box)] * kills, fleet.count, messages=messages, seed=seed)
        fleet.join()
        killer.join()
        assert fleet.count() == messages
        await_settling(way.box)
    assert sum(report.connections for report in fleet.reports.values()) > len(STATIONS), "no kill was felt"
    assert_nothing_lost_and_same_story(way.box, sent, fleet.acknowledged())
