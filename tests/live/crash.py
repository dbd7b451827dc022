"""Devices that send while things are killed beneath them."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import httpx
import numpy as np

from bench.mqtt_load import Report, publish
from tests.builders import SOAK
from tests.live.installation import Installation
from tests.live.records import Reading, Stream

MESSAGES = 50_000 if SOAK else 8_000
KILLS = 5 if SOAK else 2
"""Of the real floods; those of our own get half of both."""
SEEDS = range(5) if SOAK else (20261122,)
BEAT_S_MIN = 0.3
"""Two heartbeats are further apart than this, and what is read of one varies by less."""
PATIENCE_S = 100
"""For a start on a busy machine, and for the devices meanwhile."""
RETRY_S = 0.1
WINDOW = 100
AHEAD = 600
"""Messages that may wait in a broker: more than the windows of all devices."""
AFTER_MARK_S = 0.06
"""A kill falls up to this long behind its mark: the gather time of a batch and its commits."""


@dataclass
class Fleet:
    """All devices at once, each sending until everything of its own is acknowledged."""

    sent: Mapping[str, Stream]
    reports: dict[str, Report] = field(init=False)
    _threads: list[threading.Thread] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.reports = {station: Report() for station in self.sent}

    def start(
        self,
        port: int,
        secrets: Mapping[str, str],
        *,
        levels: Sequence[int] = (4,),
        safe: Callable[[], int] | None = None,
    ) -> None:
        """Begin to send.

        Parameters
        ----------
        levels : protocol levels, which the devices take by turns
        safe : count of messages that are safe at the end of the line. Where a broker stands between, the devices keep
            near it, so that they still have something to send when things are killed
        """
        for number, (station, stream) in enumerate(self.sent.items()):
            payloads: Iterable[bytes] = stream.payloads()
            thread = threading.Thread(
                target=publish,
                args=("127.0.0.1", port, station, secrets[station], f"takean/drill/v1/{station}/data"),
                kwargs={
                    "payloads": payloads if safe is None else self._held_back(payloads, safe),
                    "window": WINDOW,
                    "attempts": round(PATIENCE_S / RETRY_S),
                    "retry_s": RETRY_S,
                    "level": levels[number % len(levels)],
                    "report": self.reports[station],
                },
            )
            self._threads.append(thread)
            thread.start()

    def _held_back(self, payloads: Iterable[bytes], safe: Callable[[], int]) -> Iterator[bytes]:
        for number, content in enumerate(payloads):
            until(lambda number=number: number * len(self.sent) < safe() + AHEAD, "the worker")  # type: ignore[misc]
            yield content

    def join(self) -> None:
        """Wait for the devices."""
        for thread in self._threads:
            thread.join()

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


def strike(
    blows: Sequence[Callable[[], None]], progress: Callable[[], int], *, messages: int, seed: int
) -> threading.Thread:
    """Deal blows at seeded random moments while messages flow; returns the thread that does, already started.

    Between two blows some messages pass, however far things had got when the first one was dealt.
    """
    rng, between = np.random.default_rng(seed), messages // 50
    marks = np.sort(rng.integers(messages // 20, messages * 17 // 20, len(blows))).tolist()
    rests_s = rng.uniform(0.0, AFTER_MARK_S, len(blows)).tolist()

    def run() -> None:
        fed = 0
        for blow, mark, rest_s in zip(blows, marks, rests_s, strict=True):
            wanted = max(mark, fed + between)
            until(lambda wanted=wanted: progress() >= wanted, f"{wanted} messages")  # type: ignore[misc]
            time.sleep(rest_s)
            blow()
            fed = progress()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def until(condition: Callable[[], bool], what: str) -> None:
    """Poll until it is so."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline_s, f"waited {PATIENCE_S} s in vain for {what}"
        time.sleep(0.002)


def kill_worker(box: Installation) -> None:
    """Kill the worker as a power cut would, and wait until the box is ready again."""
    killed = worker_pid(box)
    os.kill(killed, signal.SIGKILL)
    await_successor(box, killed)


def await_successor(box: Installation, killed: int) -> None:
    """Wait until the supervisor has brought a killed worker back."""
    until(lambda: worker_pid(box, default=killed) != killed, "another worker")
    until(lambda: ready(box), "readiness")


def worker_pid(box: Installation, *, default: int | None = None) -> int:
    """The process that stores and judges; `default` while there is none."""
    found = box.pids().get("worker", default)
    assert found is not None, "the box has no worker"
    return found


def ready(box: Installation) -> bool:
    """Whether the box says that it is able to warn."""
    try:
        return httpx.get(f"{box.url}/readyz", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def await_settling(box: Installation) -> None:
    """Wait for two turns of the worker's clock: what is final now is written by then."""
    beats: list[float] = []

    def turned_twice() -> bool:
        age_s = httpx.get(f"{box.url}/readyz", timeout=10).json()["heartbeat_age_s"]
        beat_s = time.monotonic() - age_s
        if not beats or beat_s > beats[-1] + BEAT_S_MIN:
            beats.append(beat_s)
        return len(beats) > 2

    until(turned_twice, "two turns")
