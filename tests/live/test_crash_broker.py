"""Worker killed and broker restarted, again and again: nothing the worker acknowledged is lost or doubled."""

from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.live.crash import KILLS, MESSAGES, SEEDS, Fleet, await_settling, kill_worker, strike, until
from tests.live.records import RIVER_STEP_US, STATIONS, Sent, now_us, of_rivers, payload
from tests.live.verdict import assert_nothing_lost_and_same_story
from tests.live.ways import BrokerWay, topic

pytestmark = pytest.mark.live


@pytest.mark.parametrize("seed", SEEDS)
def test_real_floods_survive_a_killed_worker_and_a_restarted_broker(tmp_path: Path, reference: Path, seed: int) -> None:
    endure(tmp_path, of_rivers(reference, MESSAGES, now_us()), cadence_us=2 * RIVER_STEP_US, kills=KILLS, seed=seed)


def endure(folder: Path, sent: Sent, *, cadence_us: int, kills: int, seed: int) -> None:
    """Feed through the broker, kill and restart, then compare what is kept with what the worker acknowledged."""
    messages, fleet = sum(map(len, sent.values())), Fleet(sent)
    with ExitStack() as stack:
        way = BrokerWay(stack, folder, STATIONS, cadence_s=cadence_us / 1e6)
        fleet.start(way.port, way.secrets, levels=(4, 5), safe=way.distinct)
        restarts = (kills + 1) // 2
        blows = [lambda: kill_worker(way.box), way.mosquitto.restart] * restarts
        blows += [lambda: kill_worker(way.box)] * (kills - restarts)
        killer = strike(blows, way.distinct, messages=messages, seed=seed)
        fleet.join()
        killer.join()
        until(lambda: way.distinct() >= messages, "everything to be safe")
        await_settling(way.box)
    assert fleet.count() == messages
    assert way.tap.connections > len(blows), "a kill or a restart was not felt"
    assert way.tap.strange == []
    by_message = {(topic(r.station), payload(r)): r for stream in sent.values() for r in stream.readings()}
    acknowledged = [by_message[message] for message in way.acknowledged()]
    assert_nothing_lost_and_same_story(way.box, sent, acknowledged)
