"""A running endpoint and a broker with our door on it, for the tests of the ways in."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ingest.broker import BrokerOptions
from ingest.limits import Limits
from tests.ingest.box import Box, until
from tests.ingest.mosquitto import BrokerBox, Mosquitto


@pytest.fixture
def make_box() -> Iterator[Callable[..., Box]]:
    """Make running endpoints with bounds of the test's own: `make_box(unacked_messages=10)`."""
    made: list[Box] = []

    def make(**limits: float) -> Box:
        made.append(Box(Limits(**limits)))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for box in made:
        box.close()


@pytest.fixture
def box(make_box: Callable[..., Box]) -> Box:
    """A running endpoint with the bounds of docs/wire.md."""
    return make_box()


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not gather: for tests that go through many batches one after the other."""
    monkeypatch.setattr("ingest.pump.GATHER_S", 0.0)


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """A running broker with the limits of deploy/mosquitto.conf, open to everybody."""
    broker = Mosquitto(tmp_path).start()
    yield broker
    broker.end()


@pytest.fixture
def make_broker_box(mosquitto: Mosquitto) -> Iterator[Callable[..., BrokerBox]]:
    """Make broker doors on `mosquitto`, connected: `make_broker_box(receive_maximum=5)`."""
    made: list[BrokerBox] = []

    def make(limits: Limits | None = None, *, connected: bool = True, **options: Any) -> BrokerBox:
        box = BrokerBox(BrokerOptions(**{"host": "127.0.0.1", "port": mosquitto.port, **options}), limits)
        made.append(box)
        if connected:
            until(lambda: box.broker.connected)
        return box

    yield make
    for box in made:
        if not box.loop.is_closed():
            box.close()


@pytest.fixture
def broker_box(make_broker_box: Callable[..., BrokerBox]) -> BrokerBox:
    """A broker door, connected."""
    return make_broker_box()
