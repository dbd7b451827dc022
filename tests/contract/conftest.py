"""Servers that all contract tests share."""

from collections.abc import Iterator

import pytest

from tests.sensors.mirrored import BUCKET
from tests.sensors.servers import InfluxDB, VictoriaMetrics


@pytest.fixture(scope="session")
def influxdb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InfluxDB]:
    server = InfluxDB(tmp_path_factory.mktemp("influxdb"))
    try:
        server.start()
        server.make(BUCKET)
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def victoria(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VictoriaMetrics]:
    server = VictoriaMetrics(tmp_path_factory.mktemp("victoria"))
    try:
        server.start()
        yield server
    finally:
        server.stop()
