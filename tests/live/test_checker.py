"""The tools of the live tests find what they are there to find."""

import threading
from pathlib import Path

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from alerts.episode import EventType
from alerts.ledger.memory import MemoryLedger
from bench.mqtt_load import packet, publish, text
from takean.settings import SAMPLE
from tests.live.checker import Row, differences, faults, history, settled, uninterrupted
from tests.live.crash import until
from tests.live.installation import stations_toml
from tests.live.mosquitto import TAKEAN, Mosquitto, replaced
from tests.live.records import STATIONS, Sent, of_our_own
from tests.live.tap import Acknowledged, Conversation, PacketStream, Tap
from tests.live.ways import topic

END_US = 1_795_330_200_000_000


@pytest.fixture(scope="module")
def sent() -> Sent:
    return of_our_own(4_000, END_US, seed=1)


@pytest.fixture
def rows(sent: Sent) -> list[Row]:
    """A journal without fault."""
    readings = [reading for stream in sent.values() for reading in stream.readings()]
    return [
        Row(f"{r.station}/stage_m", r.time_us, r.stage_m, END_US) for r in sorted(readings, key=lambda r: r.time_us)
    ]


def test_a_journal_without_fault_has_none(sent: Sent, rows: list[Row]) -> None:
    assert faults([row.reading() for row in rows], sent, rows) == []


def test_a_planted_loss_is_found(sent: Sent, rows: list[Row]) -> None:
    acknowledged = [row.reading() for row in rows]
    lost = rows.pop(17)
    assert faults(acknowledged, sent, rows) == [f"acknowledged and lost: {lost.reading()}"]


def test_what_nobody_acknowledged_is_no_loss(sent: Sent, rows: list[Row]) -> None:
    acknowledged = [row.reading() for row in rows[:100]]
    assert faults(acknowledged, sent, rows[:100]) == []


def test_a_planted_double_is_found(sent: Sent, rows: list[Row]) -> None:
    rows.append(rows[-1])
    assert faults([], sent, rows) == [f"stored 2 times: {rows[-1].reading()}"]


def test_a_planted_change_of_a_value_is_found(sent: Sent, rows: list[Row]) -> None:
    true = rows[5].reading()
    rows[5] = rows[5]._replace(value=rows[5].value + 0.001)
    assert faults([true], sent, rows) == [f"acknowledged and lost: {true}", f"sent by nobody: {rows[5].reading()}"]


def test_a_planted_overtaking_is_found(sent: Sent, rows: list[Row]) -> None:
    rows[0], rows[len(STATIONS)] = rows[len(STATIONS)], rows[0]
    assert len(faults([], sent, rows)) == 1


def judged(folder: Path, rows: list[Row]) -> MemoryLedger:
    (folder / "stations.toml").write_text(stations_toml(STATIONS), encoding="utf-8")
    for name in ("rules.toml", "routes.toml"):
        (folder / name).write_bytes((SAMPLE / name).read_bytes())
    return uninterrupted(folder, rows)


def test_a_planted_wrong_history_is_found(tmp_path: Path, rows: list[Row]) -> None:
    told = history(judged(tmp_path, rows))
    assert len(told) > 20
    assert differences(told, told) == []
    assert differences(told[1:], told) == [f"not told: {told[0]}"]
    assert differences([*told, told[3]], told) == [f"told by mistake: {told[3]}"]
    wrong = [told[0]._replace(to_level=told[0].to_level + 1), *told[1:]]
    assert differences(wrong, told) == [f"not told: {told[0]}", f"told by mistake: {wrong[0]}"]
    other_reading = [told[0]._replace(used=()), *told[1:]]
    assert len(differences(other_reading, told)) == 2


def test_a_lost_reading_that_decided_makes_another_history(tmp_path: Path, rows: list[Row]) -> None:
    whole = judged(tmp_path, rows)
    told, final = history(whole), settled(whole)
    decided = next(e for e in told if e.type == EventType.JUDGED)
    poorer = judged(tmp_path, [r for r in rows if (r.series, r.time_us) != (decided.used[0][2], decided.event_us)])
    assert differences(history(poorer), told) != []
    assert differences(settled(poorer), final) != []
    assert len(final) > 20


def delivered(level: int, packet_id: int, topic: str, payload: bytes, properties: bytes = b"") -> bytes:
    more = bytes([len(properties)]) + properties if level == 5 else b""
    return packet(0x32, text(topic) + packet_id.to_bytes(2) + more + payload)


def connect(level: int) -> bytes:
    return packet(0x10, b"\0\4MQTT" + bytes([level, 2, 0, 60]) + (b"\0" if level == 5 else b"") + text("w"))


@pytest.mark.parametrize("level", [4, 5])
@pytest.mark.parametrize("size", [1, 3, 10_000])
def test_the_tap_knows_which_message_was_acknowledged(level: int, size: int) -> None:
    heard: list[Acknowledged] = []
    strange: list[str] = []
    talk = Conversation(heard.append, strange.append)
    down = delivered(level, 7, "a", b"seven") + delivered(level, 8, "b", b"x" * 300) + packet(0x30, text("a") + b"0")
    up = packet(0x40, b"\0\x08") + packet(0x40, b"\0\x07" + (b"\0\0" if level == 5 else b""))
    talk.worker_says(connect(level))
    for start in range(0, len(down), size):
        talk.broker_says(down[start : start + size])
    for start in range(0, len(up), size):
        talk.worker_says(up[start : start + size])
    assert [(a.topic, a.payload) for a in heard] == [("b", b"x" * 300), ("a", b"seven")]
    assert strange == []


def test_the_tap_follows_a_topic_alias() -> None:
    heard: list[Acknowledged] = []
    talk = Conversation(heard.append, lambda _: None)
    talk.worker_says(connect(5))
    talk.broker_says(delivered(5, 1, "a", b"1", b"\x23\0\x02") + delivered(5, 2, "", b"2", b"\x23\0\x02"))
    talk.worker_says(packet(0x40, b"\0\1") + packet(0x40, b"\0\2"))
    assert [(a.topic, a.payload) for a in heard] == [("a", b"1"), ("a", b"2")]


@pytest.mark.parametrize(
    ("puback", "says"),
    [(b"\0\x09", "not delivered"), (b"\0\x07\x97", "reason code 0x97")],
    ids=["an id of nothing", "a failure"],
)
def test_the_tap_takes_no_strange_acknowledgement_for_a_good_one(puback: bytes, says: str) -> None:
    heard: list[Acknowledged] = []
    strange: list[str] = []
    talk = Conversation(heard.append, strange.append)
    talk.worker_says(connect(5))
    talk.broker_says(delivered(5, 7, "a", b"seven"))
    talk.worker_says(packet(0x40, puback))
    assert heard == []
    assert says in strange[0]


def test_packet_ids_of_another_connection_mean_nothing() -> None:
    strange: list[str] = []
    one, two = (Conversation(lambda _: None, strange.append) for _ in range(2))
    one.broker_says(delivered(4, 7, "a", b"seven"))
    two.worker_says(packet(0x40, b"\0\x07"))
    assert len(strange) == 1


def test_a_header_cut_in_its_length_is_waited_for() -> None:
    stream, whole = PacketStream(), packet(0x30, b"y" * 200)
    assert list(stream.feed(whole[:2])) == []
    assert [len(p.body) for p in stream.feed(whole[2:])] == [200]


@pytest.mark.live
@pytest.mark.parametrize("protocol", [MQTTProtocolVersion.MQTTv311, MQTTProtocolVersion.MQTTv5])
def test_the_tap_hears_a_client_that_is_not_ours_and_hangs_up_with_the_broker(
    tmp_path: Path, protocol: MQTTProtocolVersion
) -> None:
    mosquitto = Mosquitto(tmp_path, {"S-1": "one", TAKEAN: "two"})
    mosquitto.start()
    tap = Tap(mosquitto.port)
    subscribed, gone = threading.Event(), threading.Event()
    client = Client(CallbackAPIVersion.VERSION2, "sub", protocol=protocol)
    client.username_pw_set(TAKEAN, "two")

    def connected(*_: object) -> None:
        client.subscribe(topic("+"), 1)

    client.on_connect = connected
    client.on_subscribe = lambda *_: subscribed.set()
    client.on_disconnect = lambda *_: gone.set()
    client.connect("127.0.0.1", tap.port)
    client.loop_start()
    try:
        assert subscribed.wait(20)
        payloads = [b"%d" % n for n in range(300)]
        assert publish("127.0.0.1", mosquitto.port, "S-1", "one", topic("S-1"), payloads).unacked == []
        until(lambda: len(tap.acknowledged) == 300, "PUBACKs")
        assert [a.payload for a in tap.acknowledged] == payloads
        assert {a.topic for a in tap.acknowledged} == {topic("S-1")}
        mosquitto.stop()
        assert gone.wait(20)
        assert tap.strange == []
    finally:
        client.loop_stop()
        tap.close()


def test_a_configuration_that_lacks_a_key_is_not_the_one_we_deliver() -> None:
    assert replaced("# x 1\nx 1\ny 2\n", {"x": "3"}) == "# x 1\nx 3\ny 2\n"
    with pytest.raises(ValueError, match="no z"):
        replaced("x 1\n", {"z": "3"})
