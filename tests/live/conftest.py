"""Two running boxes for all hostile tests: a start costs seconds, and what one test leaves, the next must bear."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.live.ways import BrokerWay, EndpointWay
from tests.sensors.mirrored import influxdb, victoria

__all__ = ["influxdb", "victoria"]

STATIONS = ("S-1", "S-2", "S-3")


@pytest.fixture(scope="package")
def endpoint_way(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EndpointWay]:
    """A running box with its own endpoint."""
    with ExitStack() as stack:
        yield EndpointWay(stack, tmp_path_factory.mktemp("endpoint"), STATIONS)


@pytest.fixture(scope="package")
def broker_way(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerWay]:
    """A running box behind a broker, and only there."""
    with ExitStack() as stack:
        yield BrokerWay(stack, tmp_path_factory.mktemp("broker"), STATIONS)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The counts of the crash matrix, each with the seed that gives them again."""
    for report in terminalreporter.getreports("passed"):
        for name, found in getattr(report, "user_properties", ()):
            if name == "matrix":
                terminalreporter.write_line(f"crash matrix: {found}")
