"""Whatever fails while devices send, by either way in: nothing acknowledged is lost, nothing is stored twice.

The stories are those of a judge whom nobody disturbed, and the mirrors hold the same rows in the end.
"""

import subprocess
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import duckdb
import numpy as np
import pytest

from alerts.episode import Kind
from sensors.store.duck import DuckStore
from tests.builders import SOAK
from tests.live.checker import faults, journal
from tests.live.crash import Fleet, Progress, await_settling
from tests.live.disk import BoundFiles, Disk, SmallDisk
from tests.live.faults import ANYWHERE, OF_THE_BROKER, Scene, deal, the_power_fails, the_worker_dies
from tests.live.installation import Clocked
from tests.live.records import STATIONS, Reading, Sent, now_us, of_our_own, of_rivers, within_a_day
from tests.live.verdict import assert_nothing_lost_and_same_story
from tests.live.ways import BrokerWay, EndpointWay
from tests.sensors.mirrored import BUCKET, destination_of, differences, reader_of
from tests.sensors.servers import InfluxDB, Server, VictoriaMetrics

pytestmark = pytest.mark.live

MESSAGES = 50_000 if SOAK else 6_000
MORE_KILLS = 5 if SOAK else 0
SEEDS = range(5) if SOAK else (20261122,)
"""Four kinds of run, each with so many seeds: a million messages in all."""
RISE_SUSPECT_PER_H = 1e4
"""Weeks of a river are told in a day."""
LEVELS = (4, 5)
KEYS = [f"{station}/stage_m" for station in STATIONS]
Record = Callable[[str, object], None]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("way", ["endpoint", "broker"] if SOAK else ["endpoint"])
def test_real_floods_survive_whatever_fails(
    tmp_path: Path, reference: Path, record_property: Record, way: str, seed: int
) -> None:
    record_property("matrix", endure(tmp_path, of_rivers(reference, MESSAGES, now_us()), way=way, seed=seed))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("way", ["endpoint", "broker"] if SOAK else ["broker"])
def test_floods_of_our_own_survive_whatever_fails(tmp_path: Path, record_property: Record, way: str, seed: int) -> None:
    record_property("matrix", endure(tmp_path, of_our_own(MESSAGES, now_us(), seed=seed), way=way, seed=seed))


def endure(folder: Path, streams: Sent, *, way: str, seed: int) -> str:
    """Feed, let everything fail that can, then compare what is kept with what the worker acknowledged; the counts."""
    sent, step_us = within_a_day(streams, now_us())
    messages, rng = sum(map(len, sent.values())), np.random.default_rng(seed)
    with ExitStack() as stack:
        influx, victoria = _servers(stack, folder)
        disks: dict[str, Disk] = {}
        with suppress(subprocess.CalledProcessError):  # where we may not mount, the other one does
            disks["a small one"] = SmallDisk(stack, folder / "box/state")
        box = Clocked(
            folder / "box",
            STATIONS,
            kind="actual",
            cadence_s=max(1, step_us // 1_000_000),
            rise_suspect_per_h=RISE_SUSPECT_PER_H,
            more=_mirror(influx) + _mirror(victoria),
        )
        disks["bound files"] = BoundFiles(box.left)
        with ExitStack() as running:
            fleet, heard = Fleet(sent), Progress(sent, box.prefix)
            entry: EndpointWay | BrokerWay
            if way == "endpoint":
                entry = EndpointWay(running, folder, STATIONS, box=box)
                scene = Scene(box, disks, influx, victoria, None, fleet.count)
            else:
                entry = BrokerWay(running, folder, STATIONS, box=box, heard=heard.heard)
                scene = Scene(box, disks, influx, victoria, entry.mosquitto, heard.count)
            order = [*ANYWHERE, *[the_worker_dies] * MORE_KILLS, *(OF_THE_BROKER if way == "broker" else ())]
            rng.shuffle(order)
            fleet.start(entry.port, entry.secrets, prefix=box.prefix, levels=LEVELS, allowed=scene.may_send)
            deal(scene, [*order, the_power_fails], messages=messages, rng=rng)
            fleet.join()
            scene.wait(lambda: scene.safe() == messages, "everything to be safe")
            await_settling(box)
            stored = int(box.metric("takean_stored_seq"))
            for server in (influx, victoria):
                scene.wait(lambda server=server: scene.backlog(server) == 0, "a mirror")  # type: ignore[misc]
                scene.wait(lambda server=server: _held(server, stored) == stored, f"{stored} rows")  # type: ignore[misc]
        assert box.process is not None
        assert box.process.returncode == 0, (folder / "box/log").read_text(encoding="utf-8")
        assert box.left() == []
        assert fleet.count() == messages
        acknowledged: list[Reading] = fleet.acknowledged()
        if isinstance(entry, BrokerWay):
            acknowledged = heard.acknowledged()
            assert entry.tap.strange == []
        rows = assert_nothing_lost_and_same_story(box, sent, acknowledged, is_forgetful=scene.is_forgetful)
        assert _unlike(box, influx, victoria) == []
        lost = _plant_a_loss(box, acknowledged)
        assert faults(acknowledged, sent, journal(box.state, Kind.ACTUAL)) == [f"acknowledged and lost: {lost}"]
        assert len(_unlike(box, influx, victoria)) == 2, "each mirror has a row that the journal has not"
    return f"{way}, seed {seed}: {messages} sent, {len(set(acknowledged))} acknowledged by the worker, {rows} stored"


def _unlike(box: Clocked, *servers: Server) -> list[str]:
    """What the mirrors hold otherwise than the journal, whose first flags they have: a second look may have others."""
    with duckdb.connect(str(box.state / "journal.actual.duckdb")) as journal:
        journal.execute("delete from revision_of_flag")
    with closing(DuckStore(box.state / "journal.actual.duckdb", KEYS)) as stored:
        return [text for server in servers for text in differences(server, stored, KEYS, kind="actual")]


def _plant_a_loss(box: Clocked, acknowledged: Sequence[Reading]) -> Reading:
    """Remove a reading from the journal; which one."""
    lost = acknowledged[len(acknowledged) // 2]
    with duckdb.connect(str(box.state / "journal.actual.duckdb")) as journal:
        ((removed,),) = journal.execute(
            "delete from reading where time_us = ? and series = (select id from series where key = ?)",
            [lost.time_us, f"{lost.station}/stage_m"],
        ).fetchall()
    assert removed == 1
    return lost


def _servers(stack: ExitStack, folder: Path) -> tuple[InfluxDB, VictoriaMetrics]:
    places = [folder / name for name in ("influx", "victoria")]
    for place in places:
        place.mkdir()
    influx, victoria = InfluxDB(places[0]), VictoriaMetrics(places[1])
    for server in (influx, victoria):
        stack.callback(server.stop)
        server.start()
    influx.make(BUCKET)
    return influx, victoria


def _mirror(server: Server) -> str:
    """Lines of takean.toml."""
    d = destination_of(server)
    return f'[[mirror]]\nname = "{d.name}"\nkind = "{d.kind}"\nurl = "{d.url}"\nbucket = "{d.bucket}"\n'


def _held(server: Server, rows_max: int) -> int:
    """How many rows a mirror holds."""
    server.settle()
    with closing(reader_of(server, "actual")) as reader:
        found = (reader.history(key, from_us=0, to_us=2**62, limit=rows_max + 1) for key in KEYS)
        return sum(len(rows.time_us) for rows in found)
