"""Adopting a device: what is written into stations.toml, what is refused, and what becomes of what it said before."""

import json
import os
import signal
import stat
import time
import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.cells import Cells
from alerts.episode import Kind
from alerts.judge import Judge
from alerts.ledger.memory import MemoryLedger
from alerts.route import Routes
from bench.mqtt_load import Refused, publish
from ingest import credentials
from ingest.message import Reason
from ingest.networks import Network
from ingest.quarantine import Quarantine
from ingest.topics import Topics
from ingest.unregistered import Decoded, Seen, Unregistered
from sensors import stations
from sensors.stations import ConfigError, Metric, Registry
from sensors.store.memory import MemoryStore
from takean import newcomers, onboarding, supervise
from takean.cli import app
from takean.clock import REAL, real_us
from takean.onboarding import Wish
from takean.settings import SAMPLE
from takean.worker import Worker
from tests.builders import T0_US, registry, rule_set, station, thorough

TOPICS = Topics("takean/drill/v1")
START_S_MAX = 60.0


def until(condition: Callable[[], object]) -> None:
    """Poll until it is so, as long as processes may take to begin on a busy machine."""
    deadline_s = time.monotonic() + START_S_MAX
    while not condition():
        assert time.monotonic() < deadline_s, "waited in vain"
        time.sleep(0.02)


NEW = Seen(
    via="own",
    id="WL-09",
    first_us=T0_US,
    last_us=T0_US + 10 * 119_000_000,
    count=11,
    topic="takean/drill/v1/WL-09/data",
    client="c",
    readings=(Decoded("stage_m", 1.25, T0_US), Decoded("battery_v", None, T0_US), Decoded("rssi", -90.0, T0_US)),
)
NODE = Seen(
    via="sparkplug",
    id="river/n1",
    first_us=T0_US,
    last_us=T0_US,
    count=1,
    topic="spBv1.0/river/NDATA/n1",
    client="c",
    readings=(Decoded("level/upper", 231.0, T0_US), Decoded("uptime", 5.0, T0_US)),
)
LEVEL = {"level/upper": Metric(reading="stage_m", unit="cm")}
WISH = Wish(id="WL-09", name="สะพานใหม่", english="New bridge", like="WL-01", lat=14.9, lon=104.2)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "config"
    made.mkdir()
    for path in SAMPLE.iterdir():
        (made / path.name).write_bytes(path.read_bytes())
    return made


def adopt(folder: Path, wish: Wish, listed: Sequence[Seen] = (NEW, NODE), **more: Any) -> onboarding.Adopted:
    return onboarding.adopt(wish, listed, folder=folder, state=folder.parent, topics=TOPICS, environment={}, **more)


def test_a_station_stands_behind_what_stood_there_with_every_comment(folder: Path) -> None:
    path = folder / "stations.toml"
    path.chmod(0o640)
    before = path.read_bytes()
    adopted = adopt(folder, WISH)
    assert path.read_bytes() == before + adopted.text.encode()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert {p.name for p in folder.iterdir()} == {p.name for p in SAMPLE.iterdir()}
    made = stations.load(path).stations["WL-09"]
    like = stations.load(path).stations["WL-01"]
    assert (made.name, made.english, made.lat, made.lon) == ("สะพานใหม่", "New bridge", 14.9, 104.2)
    assert (made.areas, made.cadence_s, made.device, made.banks) == (like.areas, like.cadence_s, None, None)
    assert [s.name for s in made.sensor] == ["stage_m", "battery_v"]
    assert (made.sensor[0].suspect, made.sensor[0].rise_suspect_per_h) == ((-0.2, 7.5), 5.0)
    assert any("rssi" in note for note in adopted.notes)
    assert any("banks" in note for note in adopted.notes)


def test_a_device_behind_a_network_says_how_its_names_are_meant(folder: Path) -> None:
    wish = replace(WISH, id="river/n1", station="WL-09", reads=LEVEL)
    adopt(folder, wish)
    made = stations.load(folder / "stations.toml")
    device = made.stations["WL-09"].device
    assert device is not None
    assert (device.via, device.id, dict(device.names)) == ("sparkplug", "river/n1", LEVEL)
    assert [s.name for s in made.stations["WL-09"].sensor] == ["stage_m"]
    assert made.devices["sparkplug", "river/n1"][0] == "WL-09"


def test_a_payload_is_decoded_again_with_what_is_known_of_the_device_now(folder: Path) -> None:
    body = {
        "time": "2026-11-22T06:50:00Z",
        "deviceInfo": {"devEui": "0011223344556677"},
        "object": {"distance": 1520},
    }
    payload = json.dumps(body).encode()
    seen = Seen(
        via="chirpstack",
        id="0011223344556677",
        first_us=T0_US,
        last_us=T0_US,
        count=1,
        topic="application/a/device/0011223344556677/event/up",
        client="c",
        length=len(payload),
        head=payload,
    )
    wish = replace(WISH, id=seen.id, station="WL-09", reads={"distance": Metric(reading="distance_m", unit="mm")})
    adopt(folder, wish, [seen])
    assert [s.name for s in stations.load(folder / "stations.toml").stations["WL-09"].sensor] == ["distance_m"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"id": "nobody"}, "is not on the list"),
        ({"station": "WL-10"}, "publishes below its own name"),
        ({"reads": {"x": Metric(reading="rain_mm")}}, "speaks for itself"),
        ({"like": "WL-77"}, "no such station"),
        ({"like": "", "areas": ()}, "--area"),
        ({"like": "", "lat": None}, "--lat"),
        ({"name": " "}, "--name is empty"),
        ({"name": "x\x1b[31m"}, "control character"),
        ({"english": "a\nb"}, "control character"),
        ({"areas": ("atlantis",)}, "'atlantis' is not in [[area]]"),
        ({"lat": 99.0}, "is not on earth"),
        ({"id": "river/n1", "station": "WL-09"}, "it sent level/upper, uptime"),
        ({"id": "river/n1", "station": "WL-01", "reads": LEVEL}, "is in stations.toml already"),
        ({"id": "river/n1", "station": "GW-1", "reads": LEVEL}, "is the name of a network"),
        ({"id": "river/n1", "station": "WL 9", "reads": LEVEL}, "an id is 1-32 characters"),
        ({"id": "river/n1", "station": "W", "reads": {"level/upper": Metric(reading="stage_m")}}, "stage_m was 231 m"),
        ({"id": "river/n1", "station": "W", "reads": {"level/upper": Metric(reading="level")}}, "is expected"),
        (
            {"id": "river/n1", "station": "W", "reads": {"level/upper": Metric(reading="stage_m", unit="Cel")}},
            "Cel cannot be converted to m",
        ),
        ({"id": "river/n1", "station": "W", "reads": LEVEL, "like": "", "areas": ("331608",)}, "--every"),
    ],
)
def test_what_cannot_be_a_station_is_refused_with_its_reason_and_nothing_is_written(
    folder: Path, change: dict[str, Any], expected: str
) -> None:
    held = credentials.with_network(credentials.create(), "GW-1", Network(via="chirpstack"), "s")
    credentials.save(folder.parent / "devices.exercise.json", held)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(ConfigError) as refused:
        adopt(folder, replace(WISH, **change))
    assert expected in str(refused.value)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_configuration_that_was_wrong_before_is_not_added_to(folder: Path) -> None:
    rules = folder / "rules.toml"
    rules.write_text(rules.read_text(encoding="utf-8").replace("leave = 0.65", "leave = 0.75", 1), encoding="utf-8")
    with pytest.raises(ConfigError, match="must be below enter"):
        adopt(folder, WISH)


def test_looking_first_writes_nothing(folder: Path) -> None:
    before = (folder / "stations.toml").read_bytes()
    assert "WL-09" in adopt(folder, WISH, write=False).text
    assert (folder / "stations.toml").read_bytes() == before


def test_a_file_that_is_a_link_stays_one(folder: Path) -> None:
    real = folder.parent / "kept elsewhere.toml"
    (folder / "stations.toml").rename(real)
    (folder / "stations.toml").symlink_to(real)
    adopt(folder, WISH)
    assert (folder / "stations.toml").is_symlink()
    assert "WL-09" in stations.load(real).stations


def test_how_often_it_reports_is_told_from_its_arrivals(folder: Path) -> None:
    adopt(folder, replace(WISH, like="", areas=("331608",)))
    assert stations.load(folder / "stations.toml").stations["WL-09"].cadence_s == 120


def test_a_backlog_says_nothing_of_how_often_it_reports(folder: Path) -> None:
    at_once = replace_of(NEW, last_us=NEW.first_us + 2_000_000)
    with pytest.raises(ConfigError, match="--every"):
        adopt(folder, replace(WISH, like="", areas=("331608",)), [at_once])
    adopted = adopt(folder, replace(WISH, like="", areas=("331608",)), [NEW])
    assert any("every 120 s, guessed from 11 arrivals" in note for note in adopted.notes)


def test_a_value_that_is_zero_in_our_unit_is_zero(folder: Path) -> None:
    seen = replace_of(NODE, readings=(Decoded("t", 273.15, T0_US),))
    reads = {"t": Metric(reading="temperature_c", unit="K")}
    adopt(folder, replace(WISH, id="river/n1", station="WL-09", reads=reads), [seen])


@given(st.text(max_size=30), st.text(max_size=30), st.text(min_size=1, max_size=30))
@thorough(100)
def test_no_text_of_a_device_or_a_person_is_anything_but_text(id: str, name: str, theirs: str) -> None:
    hostile = f"g/n\n[[station]]\nid = 'X'{id}"
    name = f"ท{''.join(c for c in name if c.isprintable())}"
    seen = replace_of(NODE, id=hostile, readings=(Decoded(theirs, 1.0, T0_US),))
    wish = replace(WISH, id=hostile, station="WL-09", name=name, reads={theirs: Metric(reading="stage_m")})
    try:
        theirs.encode()
        (id + name).encode()
    except UnicodeEncodeError:
        return
    text = onboarding.block(
        wish, seen, registry=stations.load(SAMPLE / "stations.toml"), credentials=credentials.create(), topics=TOPICS
    ).text
    (made,) = tomllib.loads(text)["station"]
    assert (made["name"], made["device"]["id"]) == (name, hostile)
    assert made["device"]["names"] == {theirs: {"reading": "stage_m"}}


def replace_of(seen: Seen, **changes: Any) -> Seen:
    return Seen(**{**{field: getattr(seen, field) for field in seen.__struct_fields__}, **changes})


def test_who_never_spoke_or_owes_three_readings_is_silent() -> None:
    reg = registry(station("A"), station("B"), station("C"), station("D"))
    now_us = T0_US + 181_000_000
    times = {"A": T0_US + 1_000_000, "B": T0_US, "C": 0, "D": now_us + 3_600_000_000}
    column = [times[series.station] for series in reg.series]
    silent = onboarding.silent(reg, rule_set(reg), np.array(column), now_us)
    assert [(s.station, s.heard_us) for s in silent] == [("B", T0_US), ("C", 0), ("D", 0)]


# ---- with a worker


@contextmanager
def running(
    folder: Path, reg: Registry, ledger: MemoryLedger, store: MemoryStore, *, world: str = ""
) -> Iterator[tuple[Worker, Any]]:
    """A worker whose secrets lie in a file, and a function that publishes; in the `world` exercise on its topics."""
    prefix = "takean/drill/v1" if world else "takean/v1"
    path = folder / "devices.json"
    if not path.exists():
        credentials.save(path, credentials.create())
    quarantine = Quarantine(folder / "quarantine.sqlite")
    listed = Unregistered(folder / f"unregistered{world and '.'}{world}.sqlite")
    judge = Judge(
        cells=Cells.of(Kind.TEST, reg, rule_set(reg), Routes(by={})),
        plan=lambda *_, **__: (),
        store=store,
        ledger=ledger,
        snapshot_path=folder / "judge.npz",
        now_us=REAL.now_us,
        real_us=real_us,
    )
    worker = Worker(
        judge=judge,
        topics=Topics(prefix),
        credentials=credentials.load(path),
        credentials_file=path,
        quarantine=quarantine,
        unregistered=listed,
        clock=REAL,
        listen=("127.0.0.1", 0),
        failed=lambda error: pytest.fail(str(error)),
    )
    host, port = worker.start() or ("", 0)

    def send(name: str, *payloads: bytes, attempts: int = 40, secret: str = "") -> int:
        topic = f"{prefix}/{name}/data"
        secret = secret or f"secret of {name}"
        return len(publish(host, port, name, secret, topic, payloads, 10, attempts=attempts).acked)

    try:
        yield worker, send
    finally:
        worker.stop()
        quarantine.close()
        listed.close()


def let_in(folder: Path, *names: str) -> None:
    held = credentials.load(folder / "devices.json")
    for name in names:
        held = credentials.with_station(held, name, f"secret of {name}")
    credentials.save(folder / "devices.json", held)


def reading(value: float, ago_s: float = 0.0) -> bytes:
    return json.dumps({"ts": int((time.time() - ago_s) * 1_000), "values": {"stage_m": value}}).encode()


def listed(folder: Path, name: str = "unregistered.sqlite") -> Sequence[Seen]:
    kept = Unregistered(folder / name)
    try:
        return kept.list()
    finally:
        kept.close()


@pytest.mark.parametrize("at_once", [newcomers.ROWS_AT_ONCE, 15])
def test_what_a_device_said_before_it_was_adopted_is_stored_and_pages_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(newcomers, "ROWS_AT_ONCE", at_once)
    credentials.save(tmp_path / "devices.json", credentials.create())
    let_in(tmp_path, "A", "C")
    long = json.dumps({"ts": 1, "values": {f"n{i}": 1.0 for i in range(1_000)}}).encode()
    past = [reading(9.0, ago_s=7_200 - 60 * i) for i in range(30)]
    before = registry(station("A"))
    with running(tmp_path, before, MemoryLedger(), MemoryStore(before.keys())) as (worker, send):
        assert send("C", *past, long, reading(1.5)) == 32
        assert send("A", reading(1.0)) == 1
        assert worker.status().stored_seq == 1
        assert worker.status().quarantined == 32
    (seen,) = listed(tmp_path)
    assert (seen.id, seen.count, [(d.name, d.value) for d in seen.readings]) == ("C", 32, [("stage_m", 1.5)])

    after, ledger = registry(station("A"), station("C")), MemoryLedger()
    store = MemoryStore(after.keys())
    with running(tmp_path, after, ledger, store):
        until(lambda: not listed(tmp_path))
        rows = store.history("C/stage_m", from_us=0, to_us=real_us(), limit=100)
        assert rows.value.tolist() == [9.0] * 30 + [1.5]
    (story,) = [e for e in ledger.episodes(Kind.TEST) if e.hazard == "flood"]
    assert story.closed_us is not None, "it is told as over"
    assert ledger.deliveries(limit=10) == []


def test_a_device_that_is_still_unknown_stays_on_the_list(tmp_path: Path) -> None:
    reg = registry(station("A"))
    credentials.save(tmp_path / "devices.json", credentials.create())
    let_in(tmp_path, "C")
    for _ in range(2):
        with running(tmp_path, reg, MemoryLedger(), MemoryStore(reg.keys())) as (_, send):
            assert send("C", reading(1.0)) == 1
    assert [(seen.id, seen.count) for seen in listed(tmp_path)] == [("C", 2)]
    kept = Quarantine(tmp_path / "quarantine.sqlite")
    assert kept.count_by_reason() == {Reason.UNREGISTERED: 2}
    kept.close()


def test_secrets_are_taken_while_the_worker_runs_and_whoever_lost_his_is_closed(tmp_path: Path) -> None:
    reg = registry(station("A"), station("B"))
    with running(tmp_path, reg, MemoryLedger(), MemoryStore(reg.keys())) as (worker, send):
        let_in(tmp_path, "A", "B")
        until(lambda: "A" in worker._doors._keys.now.digests)
        assert send("A", reading(1.0)) == 1
        held = credentials.without(credentials.load(tmp_path / "devices.json"), "A")
        credentials.save(tmp_path / "devices.json", held)
        until(lambda: worker._doors._keys.now == held)
        with pytest.raises(Refused):
            send("A", reading(1.1))
        assert send("B", reading(1.0)) == 1


# ---- whole


def test_an_unknown_device_becomes_a_station_by_one_command(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the command, a worker of before and one of after, and a supervisor that is told; what that one then does is
    proved in test_supervise.
    """
    state = folder.parent
    monkeypatch.setenv("TAKEAN_CONFIG", str(folder))
    monkeypatch.setenv("TAKEAN_STATE", str(state))
    credentials.save(state / "devices.json", credentials.create())
    let_in(state, "WL-09")
    payloads = [reading(1.0 + i / 100, ago_s=60 * i) for i in range(6)]
    before = stations.load(folder / "stations.toml")
    with running(state, before, MemoryLedger(), MemoryStore(before.keys()), world="exercise") as (_, send):
        assert send("WL-09", *payloads) == 6
    (told,) = listed(state, "unregistered.exercise.sqlite")
    assert (told.id, told.count, told.readings[0].name) == ("WL-09", 6, "stage_m")

    lock = supervise.hold(state)
    os.pwrite(lock, b"%d\n" % os.getpid(), 0)
    reloads: list[int] = []
    held = signal.signal(signal.SIGUSR1, lambda number, _: reloads.append(number))
    try:
        app(["station", "adopt", "WL-09", "--name", "สะพานใหม่", "--like", "WL-01"], standalone_mode=False)
        until(lambda: reloads)
    finally:
        signal.signal(signal.SIGUSR1, held)
        os.close(lock)
    assert "takes it now" in capsys.readouterr().out

    after = stations.load(folder / "stations.toml")
    store = MemoryStore(after.keys())
    with running(state, after, MemoryLedger(), store, world="exercise") as (_, send):
        until(lambda: not listed(state, "unregistered.exercise.sqlite"))
        assert send("WL-09", reading(1.5, ago_s=-1)) == 1
    rows = store.history("WL-09/stage_m", from_us=0, to_us=real_us() + 10_000_000, limit=100)
    assert rows.value.tolist() == [1.05, 1.04, 1.03, 1.02, 1.01, 1.0, 1.5]


def test_nobody_is_told_where_nothing_runs(tmp_path: Path) -> None:
    assert not supervise.reload(tmp_path)
    lock = supervise.hold(tmp_path)
    assert not supervise.reload(tmp_path), "whoever holds the folder has not said that he listens"
    os.close(lock)
    assert not supervise.reload(tmp_path)
