"""The worker killed with -9 in a storm: nothing acknowledged is lost or doubled, and the story is the same."""

import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from alerts import route, rules
from alerts.cells import Cells
from alerts.episode import EventType, Kind
from alerts.judge import Judge
from alerts.ledger import AlertReader
from alerts.ledger.memory import MemoryLedger
from alerts.ledger.sql import open_ledger
from bench.mqtt_load import Report, publish
from sensors import stations
from sensors.batch import ReadingBatch
from sensors.store.duck import DuckStore
from sensors.store.memory import MemoryStore
from takean.settings import SAMPLE
from tests.builders import SOAK
from tests.live.installation import Installation

pytestmark = pytest.mark.live

STATIONS = ("S-1", "S-2", "S-3", "S-4")
MESSAGES = 20_000
KILLS = 5 if SOAK else 1
CADENCE_US = 60_000_000
PATIENCE_S = 100
"""For a start on a busy machine, and for the devices meanwhile."""
SEEDS = range(10) if SOAK else (20261122,)


class Stream(NamedTuple):
    """What one device sends."""

    time_us: NDArray[np.int64]
    stage_m: NDArray[np.float64]

    def payloads(self) -> list[bytes]:
        return [
            b'{"ts": %d, "values": {"stage_m": %.3f}}' % (t // 1000, v)
            for t, v in zip(self.time_us.tolist(), self.stage_m.tolist(), strict=True)
        ]


def streams(messages: int, seed: int) -> dict[str, Stream]:
    """Floods that come and go at every station: waves of several heights with the noise of an instrument."""
    rng, count = np.random.default_rng(seed), messages // len(STATIONS)
    end_us = time.time_ns() // 1000 // CADENCE_US * CADENCE_US
    time_us = end_us - CADENCE_US * np.arange(count, 0, -1, dtype=np.int64)
    made = {}
    for station in STATIONS:
        phase = rng.uniform(0, 2 * np.pi, 3)
        angle = 2 * np.pi * np.arange(count)
        wave = sum(h * np.sin(angle / p + f) for h, p, f in zip((1.6, 0.7, 0.3), (900, 340, 110), phase, strict=True))
        made[station] = Stream(time_us, np.round(np.clip(2.4 + wave + rng.normal(0, 0.004, count), 0, None), 3))
    return made


def send(box: Installation, sent: Mapping[str, Stream]) -> dict[str, Report]:
    """All devices at once, each until everything is acknowledged."""
    reports: dict[str, Report] = {}

    def one(station: str) -> None:
        topic = f"takean/drill/v1/{station}/data"
        reports[station] = publish(
            "127.0.0.1",
            box.mqtt_port,
            station,
            box.secrets[station],
            topic,
            sent[station].payloads(),
            window=100,
            attempts=PATIENCE_S * 4,
        )

    threads = [threading.Thread(target=one, args=(station,)) for station in sent]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return reports


def kill_at(box: Installation, marks: Sequence[int]) -> None:
    """Kill the process and start it again each time so many readings are stored."""
    for mark in marks:
        deadline_s = time.monotonic() + PATIENCE_S
        while box.metric("takean_stored_seq") < mark:
            assert time.monotonic() < deadline_s, f"no {mark} readings in {PATIENCE_S} s"
            time.sleep(0.01)
        box.kill()
        box.start()


Told = tuple[str, str, int, int, int, tuple[tuple[object, ...], ...]]


def history(ledger: AlertReader) -> list[Told]:
    """The story without ids and wall times, area by area in order."""
    told = []
    for episode in ledger.episodes(Kind.EXERCISE, limit=10_000):
        for event in ledger.events(episode.id):
            if event.type is EventType.JUDGED and event.hazard == "flood":
                used = tuple((u.rule, u.rule_version, u.series, u.time_us, u.value, u.truth) for u in event.used)
                told.append((event.area, event.hazard, event.from_level, event.to_level, event.event_us, used))
    return sorted(told)


def expected_history(box: Installation, sent: Mapping[str, Stream]) -> list[Told]:
    """What one uninterrupted judge makes of the same readings, in memory."""
    registry = stations.load(box.config / "stations.toml")
    routes = route.load(SAMPLE / "routes.toml", kind=Kind.EXERCISE)
    ledger, newest_us = MemoryLedger(), int(max(s.time_us[-1] for s in sent.values()))
    judge = Judge(
        cells=Cells.of(
            Kind.EXERCISE, registry, rules.compile_rules(rules.read(SAMPLE / "rules.toml"), registry), routes
        ),
        plan=lambda *_, **__: (),
        store=MemoryStore(registry.keys()),
        ledger=ledger,
        snapshot_path=None,
        now_us=lambda: newest_us,
        real_us=lambda: newest_us,
    )
    judge.start()
    for station, stream in sent.items():
        count = len(stream.time_us)
        judge.take(
            ReadingBatch.of(
                series=np.full(count, registry.index[station, "stage_m"]),
                time_us=stream.time_us,
                value=stream.stage_m,
                received_us=np.full(count, newest_us),
            )
        )
    return history(ledger)


def stored(box: Installation) -> dict[str, list[tuple[int, float]]]:
    """Every row of the journal, in order of arrival, by station."""
    registry = stations.load(box.config / "stations.toml")
    store = DuckStore(box.state / "journal.exercise.duckdb", registry.keys())
    rows: dict[str, list[tuple[int, float]]] = {station: [] for station in STATIONS}
    try:
        for chunk in store.scan(after_seq=0, rows=100_000):
            for series, time_us, value in zip(
                chunk.batch.series.tolist(), chunk.batch.time_us.tolist(), chunk.batch.value.tolist(), strict=True
            ):
                rows[registry.series[series].station].append((time_us, value))
    finally:
        store.close()
    return rows


def faults(sent: Mapping[str, Stream], kept: Mapping[str, Sequence[tuple[int, float]]]) -> list[str]:
    """Readings lost, doubled or changed."""
    found = []
    for station, stream in sent.items():
        wanted = list(zip(stream.time_us.tolist(), stream.stage_m.tolist(), strict=True))
        if len(kept[station]) != len(set(kept[station])):
            found.append(f"{station}: stored twice")
        if missing := set(wanted) - set(kept[station]):
            found.append(f"{station}: {len(missing)} lost")
        if strange := set(kept[station]) - set(wanted):
            found.append(f"{station}: {len(strange)} nobody sent")
    return found


@pytest.mark.parametrize("seed", SEEDS)
def test_a_killed_worker_loses_nothing_doubles_nothing_and_tells_the_same_story(tmp_path: Path, seed: int) -> None:
    sent = streams(MESSAGES, seed)
    box = Installation(tmp_path / "box", STATIONS)
    box.start()
    marks = [MESSAGES * (i + 1) // (KILLS + 2) for i in range(KILLS)]
    killer = threading.Thread(target=kill_at, args=(box, marks))
    killer.start()
    reports = send(box, sent)
    killer.join()
    assert all(not r.unacked and len(r.acked) == len(sent[s].time_us) for s, r in reports.items())
    assert sum(r.connections for r in reports.values()) > len(STATIONS), "the kill came too late to be felt"
    assert box.stop() == 0

    kept = stored(box)
    assert faults(sent, kept) == []
    ledger = open_ledger(box.state / "ledger.sqlite")
    try:
        told = history(ledger)
        assert ledger.judged_through(Kind.EXERCISE) == MESSAGES
    finally:
        ledger.close()
    wanted = expected_history(box, sent)
    assert len(wanted) > 20, "the waves should tell a story"
    assert told == wanted


def test_the_checker_finds_a_planted_loss_and_a_planted_double() -> None:
    sent = streams(400, 1)
    kept = {s: list(zip(x.time_us.tolist(), x.stage_m.tolist(), strict=True)) for s, x in sent.items()}
    assert faults(sent, kept) == []
    kept["S-1"].pop(17)
    kept["S-2"].append(kept["S-2"][3])
    kept["S-3"].append((1, 1.0))
    assert faults(sent, kept) == ["S-1: 1 lost", "S-2: stored twice", "S-3: 1 nobody sent"]
