"""Alertmanager on grouping, inhibition and silences: a real one gets the alerts that our stations would raise."""

import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from alerts.episode import EventType
from alerts.shelf import Scope
from tests.alerts.judge_world import ONE, World
from tests.alerts.people_world import chained, of, rise
from tests.alerts.test_gateways import ALL, behind, ever, run
from tests.alerts.test_rearm import stories
from tests.builders import MINUTE_US, T0_US, batch, registry, station
from tests.ingest.mosquitto import free_port

SERVER = "prometheus-alertmanager"
PATIENCE_S = 20.0


class Manager:
    """One Alertmanager with a receiver that keeps what it is told."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.told: list[list[dict[str, str]]] = []
        """Labels of the alerts of each notification."""

    def post(self, *labels: dict[str, str]) -> None:
        """Alerts that begin now."""
        alerts = [{"labels": one, "startsAt": _rfc3339(timedelta())} for one in labels]
        httpx.post(f"{self.url}/api/v2/alerts", json=alerts).raise_for_status()

    def states(self) -> dict[str, str]:
        """alertname/area -> active or suppressed."""
        found = httpx.get(f"{self.url}/api/v2/alerts").raise_for_status().json()
        return {f"{a['labels']['alertname']}/{a['labels'].get('area', '')}": a["status"]["state"] for a in found}

    def settle(self, holds: Callable[[], bool]) -> None:
        """Wait until it holds."""
        deadline_s = time.monotonic() + PATIENCE_S
        while not holds():
            assert time.monotonic() < deadline_s, (self.told, self.states())
            time.sleep(0.05)


def _rfc3339(ahead: timedelta) -> str:
    return (datetime.now(tz=UTC) + ahead).isoformat()


CONFIG = {
    "route": {
        "receiver": "box",
        "group_by": ["area", "hazard"],
        "group_wait": "500ms",
        "group_interval": "1s",
        "repeat_interval": "1h",
    },
    "inhibit_rules": [
        {
            "source_matchers": ["alertname = GatewayDead"],
            "target_matchers": ["alertname = StationSilent"],
            "equal": ["gateway"],
        }
    ],
}


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    port = free_port()
    made = Manager(f"http://127.0.0.1:{port}")
    with _receiver(made) as hook:
        config = CONFIG | {"receivers": [{"name": "box", "webhook_configs": [{"url": hook}]}]}
        file = tmp_path / "alertmanager.json"
        file.write_text(json.dumps(config))
        subprocess.run(["amtool", "check-config", str(file)], check=True, capture_output=True)
        process = subprocess.Popen(
            [
                SERVER,
                f"--config.file={file}",
                f"--storage.path={tmp_path / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
                "--cluster.listen-address=",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            made.settle(lambda: _is_ready(made.url))
            yield made
        finally:
            process.terminate()
            process.wait(timeout=10)


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/-/ready").status_code == 200
    except httpx.HTTPError:
        return False


@contextmanager
def _receiver(manager: Manager) -> Iterator[str]:
    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            manager.told.append([alert["labels"] for alert in body["alerts"]])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nothing of it belongs into the tests' output."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def flood(sensor: int, area: str = "village", level: str = "2") -> dict[str, str]:
    return {"alertname": f"Flood{sensor}", "area": area, "hazard": "flood", "level": level}


def test_forty_sensors_of_an_area_are_one_notification_there_and_one_story_here(manager: Manager) -> None:
    manager.post(*(flood(n) for n in range(40)), flood(40, area="other"))
    manager.settle(lambda: len(manager.told) == 2)
    assert sorted(len(alerts) for alerts in manager.told) == [1, 40]

    world = World(registry=registry(*(station(f"S{i}") for i in range(40)), station("O", areas=("other",))))
    for minute, value in enumerate((1.0, 3.5, 3.5)):
        for series in range(41):
            world.take(batch([value], series=series, start_us=T0_US + minute * MINUTE_US))
    assert len(stories(world)) == 2


def test_a_dead_gateway_inhibits_its_stations_and_no_flood_in_both(manager: Manager) -> None:
    silent = [{"alertname": "StationSilent", "area": f"S{n}", "gateway": "G-1"} for n in range(3)]
    lone = {"alertname": "StationSilent", "area": "lone", "gateway": ""}
    manager.post({"alertname": "GatewayDead", "area": "G-1", "gateway": "G-1"}, *silent, lone, flood(0))
    manager.settle(lambda: len(manager.told) == 3)
    states = manager.states()
    assert {name for name, state in states.items() if state == "suppressed"} == {
        f"StationSilent/S{n}" for n in range(3)
    }
    assert states["Flood0/village"] == "active"

    world = World(registry=behind(60, 60, 60))
    run(world, 5, ALL)
    run(world, 30, {})
    assert ever(world) == ["G-1", "lone"]


def test_a_silence_there_hides_a_step_up_and_here_it_does_not(manager: Manager) -> None:
    add = ["amtool", f"--alertmanager.url={manager.url}", "silence", "add", "area=village", "--duration=1h"]
    subprocess.run([*add, "--comment=gate works", "--author=first"], check=True, capture_output=True)
    manager.post(flood(0), flood(1, level="3"), flood(2, area="other"))
    manager.settle(lambda: len(manager.told) == 1 and len(manager.states()) == 3)
    assert [alert["area"] for alert in manager.told[0]] == ["other"]
    assert manager.states()["Flood1/village"] == "suppressed", "whatever its level"

    world = World(routes=chained(10))
    world.desk().silence(Scope(area="village"), level=2, minutes=60, reason="gate works", actor=ONE)
    rise(world, 1.0, 3.5, 3.5)
    assert of(world, EventType.CALLED) == []
    rise(world, 4.5, 4.5)
    assert [event.to_level for event in of(world, EventType.CALLED)] == [3]
