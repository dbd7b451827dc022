"""Devices that send while things are killed beneath them."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from bench.mqtt_load import Report, publish
from tests.builders import SOAK
from tests.live.installation import Installation
from tests.live.records import Reading, Stream
from tests.live.tap import Acknowledged

BEAT_S_MIN = 0.3
"""Two heartbeats are further apart than this, and what is read of one varies by less."""
PATIENCE_S = 100
"""For a start on a busy machine, and for the devices meanwhile."""
RETRY_S = 0.1
LOOK_S = 0.05
"""How often a box is asked; the processor is for those who are watched."""
WINDOW = 100 if SOAK else 25
AHEAD = 6 * WINDOW
"""Messages that may be under way: more than the windows of all devices."""


class Progress:
    """How many messages are safe by the worker's own word, heard on the line between it and a broker.

    Of each station the newest counts with all before it: what a killed broker forgot will never be safe, and nobody
    waits for it.
    """

    def __init__(self, sent: Mapping[str, Stream], prefix: str) -> None:
        self._place = {
            (f"{prefix}/{station}/data", content): (station, index)
            for station, stream in sent.items()
            for index, content in enumerate(stream.payloads())
        }
        self._reached = dict.fromkeys(sent, 0)
        self._safe: set[tuple[str, int]] = set()
        self._sent = sent

    def heard(self, message: Acknowledged) -> None:
        """A PUBACK of the worker."""
        station, index = self._place[message.topic, message.payload]
        self._safe.add((station, index))
        self._reached[station] = max(self._reached[station], index + 1)

    def count(self) -> int:
        """So many, or forgotten by the broker."""
        return sum(self._reached.values())

    def acknowledged(self) -> list[Reading]:
        """Readings that the worker said are safe."""
        readings = {station: stream.readings() for station, stream in self._sent.items()}
        return [readings[station][index] for station, index in self._safe]


@dataclass
class Fleet:
    """All devices at once, each sending until everything of its own is acknowledged."""

    sent: Mapping[str, Stream]
    reports: dict[str, Report] = field(init=False)
    _threads: list[threading.Thread] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.reports = {station: Report() for station in self.sent}

    def start(
        self, port: int, secrets: Mapping[str, str], *, prefix: str, levels: Sequence[int], allowed: Callable[[], int]
    ) -> None:
        """Begin to send.

        Parameters
        ----------
        levels : protocol levels, which the devices take by turns
        allowed : count of messages that all of them may have sent by now: they keep to it together, so that they still
            have something to send when things fail
        """
        for number, (station, stream) in enumerate(self.sent.items()):
            thread = threading.Thread(
                target=publish,
                args=("127.0.0.1", port, station, secrets[station], f"{prefix}/{station}/data"),
                kwargs={
                    "payloads": self._held_back(stream.payloads(), allowed),
                    "window": WINDOW,
                    "attempts": round(PATIENCE_S / RETRY_S),
                    "retry_s": RETRY_S,
                    "level": levels[number % len(levels)],
                    "report": self.reports[station],
                },
                daemon=True,
            )
            self._threads.append(thread)
            thread.start()

    def _held_back(self, payloads: Iterable[bytes], allowed: Callable[[], int]) -> Iterator[bytes]:
        for number, content in enumerate(payloads):
            until(lambda number=number: number * len(self.sent) < allowed(), "leave to send")  # type: ignore[misc]
            yield content

    def join(self) -> None:
        """Wait for the devices."""
        for thread in self._threads:
            thread.join(PATIENCE_S)
        left = {station: len(report.acked) for station, report in self.reports.items()}
        assert not any(thread.is_alive() for thread in self._threads), f"devices still wait: {left}"

    def count(self) -> int:
        """PUBACKs so far."""
        return sum(len(report.acked) for report in self.reports.values())

    def acknowledged(self) -> list[Reading]:
        """Readings whose device has its PUBACK."""
        found = []
        for station, report in self.reports.items():
            readings = self.sent[station].readings()
            found += [readings[index] for index in report.acked]
        return found


def until(condition: Callable[[], bool], what: str, *, every_s: float = 0.002) -> None:
    """Poll until it is so; what costs something is asked less often."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline_s, f"waited {PATIENCE_S} s in vain for {what}"
        time.sleep(every_s)


def kill_worker(box: Installation) -> None:
    """Kill the worker as a power cut would, and wait until the box is ready again."""
    killed = worker_pid(box)
    os.kill(killed, signal.SIGKILL)
    until(lambda: not box.is_ready(), "/readyz to tell that the worker is dead", every_s=LOOK_S)
    await_successor(box, killed)


def await_successor(box: Installation, killed: int) -> None:
    """Wait until the supervisor has brought a killed worker back."""
    until(lambda: worker_pid(box, default=killed) != killed, "another worker", every_s=LOOK_S)
    until(box.is_ready, "readiness", every_s=LOOK_S)


def worker_pid(box: Installation, *, default: int | None = None) -> int:
    """The process that stores and judges; `default` while there is none."""
    found = box.pids().get("worker", default)
    assert found is not None, "the box has no worker"
    return found


def await_settling(box: Installation) -> None:
    """Wait for two turns of the worker's clock: what is final now is written by then."""
    beats: list[float] = []

    def turned_twice() -> bool:
        age_s = box.get("readyz").json()["heartbeat_age_s"]
        beat_s = time.monotonic() - age_s
        if not beats or beat_s > beats[-1] + BEAT_S_MIN:
            beats.append(beat_s)
        return len(beats) > 2

    until(turned_twice, "two turns", every_s=LOOK_S)
