"""Who speaks and is not registered: refused with its reason, listed with what it said, and never more than so many."""

import math
from pathlib import Path

import pytest

from ingest import codecs
from ingest.message import Message, Reason
from ingest.pipeline import assemble
from ingest.source import Format, Sources
from ingest.topics import Topics
from ingest.unregistered import NAMES_MAX, Decoded, Seen, Unregistered, sight, sights
from sensors.stations import Device
from tests.builders import T0_US, registry

REGISTRY = registry()
SOURCES = Sources.of(Topics("takean/v1"), REGISTRY)
CODECS = codecs.standard()


def message(station: str, payload: str, at_us: int = T0_US) -> Message:
    return Message(f"takean/v1/{station}/data", payload.encode(), at_us, "client of it")


def reading(value: float, name: str = "stage_m", time_us: int = T0_US) -> str:
    return f'{{"ts": {time_us // 1000}, "values": {{"{name}": {value}}}}}'


def seen(id: str, *, at_us: int = T0_US, count: int = 1) -> Seen:
    return Seen(via="own", id=id, first_us=at_us, last_us=at_us, count=count, topic=f"t/{id}", client="c")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "unregistered.sqlite"


def test_an_unregistered_station_is_told_from_an_unknown_reading() -> None:
    messages = [
        message("A", reading(1.0)),
        message("NEW", reading(2.0)),
        message("A", reading(3.0, "depth_m")),
        message("NEW", "{"),
    ]
    batch, refused = assemble(messages, sources=SOURCES, codecs=CODECS, index=REGISTRY.index)
    assert batch.value.tolist() == [1.0]
    assert sorted((m.payload.decode(), r.reason) for m, r in refused) == sorted(
        [
            (reading(2.0), Reason.UNREGISTERED),
            (reading(3.0, "depth_m"), Reason.UNKNOWN_NAME),
            ("{", Reason.UNREGISTERED),
        ]
    )


def test_what_a_network_server_decoded_is_shown_under_the_devices_own_names() -> None:
    payload = (
        '{"time": "2026-11-22T06:50:00Z", "deviceInfo": {"devEui": "0011223344556677"},'
        ' "object": {"distance": 2310, "battery": {"volt": 3.6}, "state": "ok"}}'
    )
    said = Message("application/x/device/0011223344556677/event/up", payload.encode(), T0_US, "c")
    source = SOURCES.find(said.topic)
    assert source is not None
    shown = sight(said, source, CODECS[source.format])
    assert [(d.name, d.value) for d in shown.readings] == [("distance", 2310.0), ("battery.volt", 3.6)]
    assert "none of the 3 decoded fields is a reading" in shown.problem


def test_a_device_behind_a_network_is_registered_by_its_station_alone() -> None:
    device = Device(via="chirpstack", id="0011223344556677")
    found = Sources(Topics("p"), {("chirpstack", device.id): ("A", device)}, {"A"})
    known = found.find("application/x/device/0011223344556677/event/up")
    other = found.find("application/x/device/0011223344556678/event/up")
    assert known is not None
    assert other is not None
    assert (known.is_registered, known.station) == (True, "A")
    assert (other.is_registered, other.id) == (False, "0011223344556678")


def test_a_sparkplug_node_is_known_by_any_device_behind_it() -> None:
    device = Device(via="sparkplug", id="g/node/dev")
    found = Sources(Topics("p"), {("sparkplug", device.id): ("A", device)}, {"A"})
    registered = {
        topic: source.is_registered
        for topic in ("NDEATH/node", "DDATA/node/dev", "DDATA/node/other", "NBIRTH/nod")
        if (source := found.find(f"spBv1.0/g/{topic}")) is not None
    }
    assert registered == {"NDEATH/node": True, "DDATA/node/dev": True, "DDATA/node/other": False, "NBIRTH/nod": False}


def test_the_last_payload_is_decoded_the_newest_of_each_name() -> None:
    payload = (
        f'[{{"ts": {T0_US // 1000}, "values": {{"stage_m": 1.5, "battery_v": null}}}},'
        f' {{"ts": {T0_US // 1000 - 60_000}, "values": {{"stage_m": 1.4, "odd": true}}}}]'
    )
    sent = message("NEW", payload)
    source = SOURCES.find(sent.topic)
    assert source is not None
    (told,) = sights([(message("NEW", "{", T0_US - 5), source), (sent, source)], CODECS)
    assert told.readings == (Decoded("stage_m", 1.5, T0_US), Decoded("battery_v", None, T0_US))
    assert (told.via, told.id, told.count, told.last_us) == (Format.OWN, "NEW", 2, T0_US)
    assert "odd" in told.problem
    assert (told.head, told.length) == (payload.encode(), len(payload))


def test_a_thousand_names_and_a_long_one_are_not_kept() -> None:
    values = ", ".join([f'"n{i}": 1' for i in range(1_000)])
    sent = message("NEW", f'{{"ts": 1, "values": {{"{"x" * 1_000}": 1, {values}}}}}')
    source = SOURCES.find(sent.topic)
    assert source is not None
    told = sight(sent, source, CODECS[Format.OWN])
    assert len(told.readings) == NAMES_MAX
    assert not any(reading.name.startswith("xx") for reading in told.readings)
    assert len(told.head) == 4_096


def test_the_list_is_brought_up_to_date_and_outlives_a_restart(path: Path) -> None:
    first, other = Unregistered(path), Unregistered(path)
    first.put([seen("NEW", at_us=1)])
    first.put([seen("NEW", at_us=9, count=3), seen("OLD", at_us=5)])
    assert [(s.id, s.first_us, s.last_us, s.count) for s in other.list()] == [("NEW", 1, 9, 4), ("OLD", 5, 5, 1)]
    other.remove("own", "NEW")
    other.remove("own", "never there")
    first.close()
    other.close()
    again = Unregistered(path)
    assert [s.id for s in again.list()] == ["OLD"]
    again.close()


def test_what_was_decoded_is_given_back_whatever_it_is(path: Path) -> None:
    listed = Unregistered(path)
    sent = message("NEW", '{"ts": 1, "values": {"\\u0e19\\u0e49\\u0e33": 1.5, "": 2, "z": NaN}}')
    source = SOURCES.find(sent.topic)
    assert source is not None
    told = sight(sent, source, CODECS[Format.OWN])
    half = Seen(via="own", id="h", first_us=0, last_us=0, count=1, topic="\ud800", client="\udfff", problem="\ud801")
    listed.put([told, half])
    assert {s.id: s for s in listed.list()}["NEW"] == told
    assert [d.name for d in told.readings] == ["น้ำ"]
    assert math.isclose(told.readings[0].value or 0.0, 1.5)
    listed.close()


def test_inventing_names_fills_no_disk_and_pushes_nobody_out_who_goes_on_speaking(path: Path) -> None:
    listed = Unregistered(path, entries_max=10)
    listed.put([seen("HONEST", at_us=1)])
    listed.put([seen("HONEST", at_us=2)])
    for burst in range(20):
        listed.put([seen(f"X{burst}-{i}", at_us=10 + burst) for i in range(50)])
    held = listed.list()
    assert len(held) == 10
    assert "HONEST" in {s.id for s in held}
    assert listed.dropped == 20 * 50 + 1 - 10
    listed.close()


def test_at_least_one_entry_is_kept(path: Path) -> None:
    with pytest.raises(ValueError, match="at least one"):
        Unregistered(path, entries_max=0)
