"""Real MQTT: acknowledged or kept, sent again in order, and stopped in time."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import pytest

from firmware_sim.device import Device, install, payloads
from firmware_sim.mqtt_link import IN_FLIGHT_MAX
from firmware_sim.run import Report, run
from firmware_sim.truth import Truth
from tests.firmware_sim.acceptor import Acceptor
from tests.firmware_sim.world import BRIDGE, RAIN, SITES, START_US, UPPER, WEIR, storm

pytestmark = pytest.mark.live

HOUR_US = 3_600_000_000
TRUTH = storm(hours=3.0)


class World:
    """Runs devices in a thread against an acceptor, on a clock that the test moves."""

    def __init__(self) -> None:
        self.now_us = START_US
        self.stop = threading.Event()
        self.reports: list[Report] = []
        self._pool = ThreadPoolExecutor(1)

    def start(
        self,
        devices: tuple[Device, ...],
        acceptor: Acceptor,
        *,
        truth: Truth = TRUTH,
        now_us: Callable[[], int] | None = None,
        speed: float = 1e6,
    ) -> Future[Report]:
        return self._pool.submit(
            run,
            devices,
            truth,
            host="127.0.0.1",
            port=acceptor.port,
            passwords={device.station: f"secret of {device.station}" for device in devices},
            topic_prefix="takean/v1",
            now_us=now_us or (lambda: self.now_us),
            stop=self.stop,
            speed=speed,
            tell=self.reports.append,
        )

    def end(self) -> None:
        self.stop.set()
        self._pool.shutdown()


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.end()


def eventually(question: Callable[[], object], *, within_s: float = 10.0) -> None:
    until_s = time.monotonic() + within_s
    while not question():
        assert time.monotonic() < until_s, "it did not happen in time"
        time.sleep(0.005)


def expected(device: Device, truth: Truth = TRUTH) -> list[bytes]:
    return [m.payload for m in payloads(device, truth, START_US, truth.end_us + 1)]


def running_clock(speed: float) -> Callable[[], int]:
    """A virtual clock that stands at the start until it is first read."""
    origin_s: list[float] = []

    def now_us() -> int:
        now_s = time.monotonic()
        origin_s.append(now_s)
        return START_US + int((now_s - origin_s[0]) * speed * 1e6)

    return now_us


def test_the_whole_storm_is_delivered_and_the_run_ends_by_itself(world: World) -> None:
    devices = install(SITES, set_us=START_US, seed=1)
    with Acceptor() as acceptor:
        report = world.start(devices, acceptor, now_us=running_clock(4_500.0), speed=4_500.0).result(20)
        eventually(lambda: acceptor.disconnects == len(devices))
    for device in devices:
        assert [p.payload for p in acceptor.data(device.station)] == expected(device)
    total = sum(len(expected(device)) for device in devices)
    assert (report.sampled, report.published, report.acknowledged) == (total, total, total)
    assert (report.buffered, report.dropped, report.connected) == (0, 0, len(devices))


def test_a_device_introduces_itself_and_says_goodbye(world: World) -> None:
    (device,) = install([BRIDGE], set_us=START_US, seed=1)
    with Acceptor() as acceptor:
        running = world.start((device,), acceptor)
        eventually(lambda: acceptor.published)
        world.stop.set()
        running.result(2)
        eventually(lambda: acceptor.disconnects)
    (connect,) = acceptor.connects
    assert (connect.user, connect.password) == ("WL-01", "secret of WL-01")
    assert (connect.will_topic, connect.will) == ("takean/v1/WL-01/status", b'{"state": "offline"}')
    birth, goodbye = (p for p in acceptor.published if p.topic == "takean/v1/WL-01/status")
    assert json.loads(birth.payload) == {"state": "online", "fw": "1.4.2", "boot": device.boot}
    assert json.loads(goodbye.payload) == {"state": "offline"}
    assert birth.retained
    assert goodbye.retained


def test_nothing_is_lost_over_an_outage_and_old_readings_come_first(world: World) -> None:
    devices = install([UPPER, RAIN], set_us=START_US, seed=1)
    with Acceptor() as acceptor:
        running = world.start(devices, acceptor)
        world.now_us = START_US + HOUR_US
        eventually(lambda: all(acceptor.data(d.station) for d in devices))
        acceptor.away()
        world.now_us = START_US + 2 * HOUR_US
        eventually(lambda: world.reports and world.reports[-1].buffered > 30)
        acceptor.back()
        world.now_us = START_US + 3 * HOUR_US
        report = running.result(20)
    for device in devices:
        first_seen = list(dict.fromkeys(p.payload for p in acceptor.data(device.station)))
        assert first_seen == expected(device)
    assert report.acknowledged == report.sampled == sum(len(expected(d)) for d in devices)


def test_what_was_not_acknowledged_is_sent_again_in_order_and_nothing_else_is(world: World) -> None:
    (device,) = install([WEIR], set_us=START_US, seed=1)
    with Acceptor() as acceptor:
        acceptor.acknowledges.clear()
        running = world.start((device,), acceptor)
        world.now_us = START_US + 2 * HOUR_US
        eventually(lambda: len(acceptor.data("WL-02")) == IN_FLIGHT_MAX)
        eventually(lambda: world.reports and world.reports[-1].buffered == 60)
        acceptor.away()
        in_flight = acceptor.data("WL-02")
        assert [p.payload for p in in_flight] == expected(device)[:IN_FLIGHT_MAX]
        assert acceptor.most_unacknowledged == IN_FLIGHT_MAX + 1, "the birth is the one more"
        acceptor.acknowledges.set()
        acceptor.back()
        world.now_us = START_US + 3 * HOUR_US
        report = running.result(20)
    again = acceptor.data("WL-02")[IN_FLIGHT_MAX:]
    assert [p.payload for p in again] == expected(device)
    assert [p.repeated for p in again] == [True] * IN_FLIGHT_MAX + [False] * (len(again) - IN_FLIGHT_MAX)
    assert report.published == report.acknowledged == len(expected(device))


def test_beyond_the_memory_the_oldest_are_lost_and_counted(world: World) -> None:
    (device,) = install([WEIR], set_us=START_US, seed=1)
    with Acceptor() as acceptor:
        acceptor.away()
        running = world.start((replace(device, buffer_max=25),), acceptor)
        world.now_us = START_US + 3 * HOUR_US
        eventually(lambda: world.reports and world.reports[-1].dropped)
        acceptor.back()
        report = running.result(20)
    assert [p.payload for p in acceptor.data("WL-02")] == expected(device)[-25:]
    assert report.dropped == len(expected(device)) - 25


def test_a_stop_is_obeyed_within_two_seconds_whatever_the_endpoint_does(world: World) -> None:
    devices = install(SITES, set_us=START_US, seed=1)
    with Acceptor() as acceptor:
        acceptor.acknowledges.clear()
        running = world.start(devices, acceptor)
        world.now_us = START_US + HOUR_US
        eventually(lambda: len(acceptor.connects) == len(devices))
        stopped_s = time.monotonic()
        world.stop.set()
        report = running.result(5)
        assert time.monotonic() - stopped_s < 2.0
        assert report.buffered == report.sampled


def test_a_stop_is_obeyed_within_two_seconds_with_nobody_there(world: World) -> None:
    with Acceptor() as acceptor:
        pass
    running = world.start(install(SITES, set_us=START_US, seed=1), acceptor)
    eventually(lambda: world.reports)
    stopped_s = time.monotonic()
    world.stop.set()
    report = running.result(5)
    assert time.monotonic() - stopped_s < 2.0
    assert report.connected == 0


def test_a_refused_device_keeps_its_readings_and_the_report_says_why(world: World) -> None:
    with Acceptor(refuse=True) as acceptor:
        running = world.start(install([BRIDGE], set_us=START_US, seed=1), acceptor)
        world.now_us = START_US + HOUR_US
        eventually(lambda: world.reports and world.reports[-1].refused)
        world.stop.set()
        report = running.result(5)
    assert report.refused == {"WL-01": "Not authorized"}
    assert (report.published, report.buffered) == (0, 30)


def test_fifteen_minutes_at_a_day_a_minute_arrive_on_time(world: World) -> None:
    (device,) = install([replace(BRIDGE, cadence_s=900)], set_us=START_US, seed=1)
    speed = 1_440.0
    now_us = running_clock(speed)
    seen_us: list[int] = []
    with Acceptor() as acceptor:
        running = world.start((device,), acceptor, now_us=now_us, speed=speed)
        for count in (1, 2, 3):
            eventually(lambda wanted=count: len(acceptor.data("WL-01")) >= wanted)  # type: ignore[misc]
            seen_us.append(now_us())
        world.stop.set()
        running.result(5)
    due_us = [m.time_us for m in payloads(device, TRUTH, START_US, TRUTH.end_us)][:3]
    late_s = [(seen - due) / 1e6 / speed for seen, due in zip(seen_us, due_us, strict=True)]
    assert all(0 <= late < 900 / speed for late in late_s), late_s


def test_a_device_without_a_password_or_a_clock_that_stands_still_is_refused() -> None:
    (device,) = install([BRIDGE], set_us=START_US, seed=1)

    def start(passwords: dict[str, str], speed: float) -> None:
        run(
            (device,),
            TRUTH,
            host="127.0.0.1",
            port=1,
            passwords=passwords,
            topic_prefix="t",
            now_us=lambda: START_US,
            stop=threading.Event(),
            speed=speed,
        )

    with pytest.raises(ValueError, match="no password for WL-01"):
        start({}, 1.0)
    with pytest.raises(ValueError, match="speed is 0"):
        start({"WL-01": "x"}, 0.0)
