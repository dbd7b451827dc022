"""The same with floods of our own making, which need no recordings: other cadences, other orders of levels."""

from pathlib import Path

import pytest

from tests.builders import SOAK
from tests.live.crash import KILLS, MESSAGES, SEEDS
from tests.live.records import MINUTE_US, now_us, of_our_own
from tests.live.test_crash_broker import endure as endure_behind_a_broker
from tests.live.test_crash_endpoint import endure as endure_at_the_endpoint

pytestmark = pytest.mark.live

DOORS = {"broker": endure_behind_a_broker, "endpoint": endure_at_the_endpoint}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("door", DOORS if SOAK else ["broker"])
def test_floods_of_our_own_survive_kills(tmp_path: Path, door: str, seed: int) -> None:
    sent = of_our_own(MESSAGES // 2, now_us(), seed=seed)
    DOORS[door](tmp_path, sent, cadence_us=10 * MINUTE_US, kills=(KILLS + 1) // 2, seed=seed)
