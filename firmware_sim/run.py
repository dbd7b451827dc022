"""All devices on the caller's clock, over real MQTT."""

import logging
import selectors
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from firmware_sim import device as devices_of
from firmware_sim.backlog import Backlog
from firmware_sim.device import Device
from firmware_sim.mqtt_link import Link
from firmware_sim.orders import Orders
from firmware_sim.truth import Truth

log = logging.getLogger(__name__)

POLL_S = 0.1
"""Longest sleep: how late a stop, or a jump of the caller's clock, is noticed."""
GOODBYE_S = 0.5
"""How long the endpoint is given to take the goodbyes."""
TELL_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What became of the messages of all devices; published >= acknowledged."""

    sampled: int
    """Messages made."""
    published: int
    """Given to the network at least once."""
    acknowledged: int
    buffered: int
    """Kept: waiting, or in flight without an acknowledgement."""
    dropped: int
    """Lost for want of memory."""
    connected: int
    """Devices whose connection the endpoint has accepted and that stands."""
    refused: Mapping[str, str]
    """Station -> why the endpoint refuses it."""


class _Station:
    """A device that runs: its state, its memory, its session."""

    def __init__(self, device: Device, truth: Truth, *, from_us: int, backlog: Backlog, link: Link) -> None:
        self.device = device
        self.state = devices_of.powered(device, truth, from_us=from_us)
        self.backlog = backlog
        self.link = link
        self.sampled = 0

    @property
    def due_us(self) -> int:
        return devices_of.due_us(self.device, self.state)

    def take_samples(self, truth: Truth, *, now_us: int, topic_prefix: str) -> None:
        while self.due_us <= now_us:
            self.state, messages = devices_of.sample(
                self.device, truth, self.state, now_us=now_us, topic_prefix=topic_prefix
            )
            self.backlog.keep(messages)
            self.sampled += len(messages)


def run(
    devices: Sequence[Device],
    truth: Truth,
    *,
    host: str,
    port: int,
    passwords: Mapping[str, str],
    topic_prefix: str,
    now_us: Callable[[], int],
    stop: threading.Event,
    speed: float,
    tell: Callable[[Report], None] | None = None,
) -> Report:
    """Drive all devices until the truth ends and everything is acknowledged, or until `stop` is set.

    Blocks; run it in a thread. That one thread samples and serves all connections. While the endpoint is away the
    devices go on sampling, keep their messages and send them again, oldest first.

    Parameters
    ----------
    devices, truth : see `device.install` and `truth.flash_flood`; all readings of the devices must be in the truth
    host, port : of the endpoint or broker
    passwords : station -> secret; the user name is the station's id
    topic_prefix : the world, such as `takean/v1`
    now_us : the caller's clock, real or virtual, microseconds UTC. Samples before the present are not made up
    stop : set it from any thread; noticed within 0.1 s, returns within 2 s
    speed : virtual seconds per real second of `now_us`, > 0
    tell : told how it stands about once a second, in the same thread

    Raises
    ------
    ValueError : a device without a password or without its truth, or a speed that is not above 0
    """
    if not speed > 0:
        raise ValueError(f"speed is {speed} but must be above 0")
    nameless = [device.station for device in devices if device.station not in passwords]
    if nameless:
        raise ValueError(f"no password for {', '.join(nameless)}")
    start_us, end_us = now_us(), truth.end_us

    def station(device: Device) -> _Station:
        backlog, orders = Backlog(device.buffer_max), Orders(device.firmware)
        link = Link(
            station=device.station,
            password=passwords[device.station],
            host=host,
            port=port,
            status_topic=f"{topic_prefix}/{device.station}/status",
            birth=devices_of.birth(device),
            last_will=devices_of.LAST_WILL,
            backlog=backlog,
            obey=lambda command: orders.answer(command, now_us()),
        )
        return _Station(device, truth, from_us=start_us, backlog=backlog, link=link)

    stations = [station(device) for device in devices]
    told_s = time.monotonic()
    try:
        while not stop.is_set():
            now, now_s = now_us(), time.monotonic()
            for running in stations:
                running.take_samples(truth, now_us=min(now, end_us), topic_prefix=topic_prefix)
                running.link.tend(now_s=now_s)
                running.link.pump()
                if stop.is_set():  # an unreachable host holds every connection up
                    break
            due_us = min((running.due_us for running in stations), default=end_us + 1)
            if due_us > end_us and not any(len(running.backlog) for running in stations):
                break
            if tell is not None and now_s - told_s >= TELL_S:
                told_s = now_s
                tell(_report(stations))
            _serve(stations, timeout_s=min(max((due_us - now) / 1e6 / speed, 0.0), POLL_S))
    finally:
        report = _report(stations)
        _leave(stations)
    log.info("simulation ended: %s", report)
    return report


def _serve(stations: Sequence[_Station], *, timeout_s: float) -> None:
    """Wait until a connection has something to read or can be written again, or for the timeout."""
    with selectors.DefaultSelector() as selector:
        for running in stations:
            if running.link.socket is not None:
                events = selectors.EVENT_READ | (selectors.EVENT_WRITE if running.link.wants_write else 0)
                selector.register(running.link.socket, events, running.link)
        for key, ready in selector.select(timeout_s):
            key.data.serve(readable=bool(ready & selectors.EVENT_READ), writable=bool(ready & selectors.EVENT_WRITE))


def _leave(stations: Sequence[_Station]) -> None:
    """All say goodbye at once, then all are closed: stopping takes no longer for many than for one."""
    for running in stations:
        running.link.leave()
    until_s = time.monotonic() + GOODBYE_S
    while any(running.link.connected for running in stations) and time.monotonic() < until_s:
        _serve(stations, timeout_s=0.05)
    for running in stations:
        running.link.close()


def _report(stations: Sequence[_Station]) -> Report:
    return Report(
        sampled=sum(s.sampled for s in stations),
        published=sum(s.link.published for s in stations),
        acknowledged=sum(s.link.acknowledged for s in stations),
        buffered=sum(len(s.backlog) for s in stations),
        dropped=sum(s.backlog.dropped for s in stations),
        connected=sum(s.link.connected for s in stations),
        refused={s.device.station: s.link.refused for s in stations if s.link.refused},
    )
