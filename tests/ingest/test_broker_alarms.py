"""What a broker loses, refuses or keeps from us is told, with what to do."""

import logging
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ingest import broker as broker_module
from ingest.broker import Broker, BrokerOptions
from ingest.pump import Pump
from ingest.topics import Topics
from tests.ingest.box import until
from tests.ingest.mosquitto import DATA, KEEPING, PREFIX, BrokerBox, Login, Mosquitto, publish


@pytest.fixture
def in_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dial again soon."""
    monkeypatch.setattr(broker_module, "WAIT_S_MAX", 0.05)


def restart_with(mosquitto: Mosquitto, *settings: str) -> None:
    mosquitto.end()
    mosquitto.settings = settings
    mosquitto.start()


def test_messages_dropped_by_the_broker_are_told(
    mosquitto: Mosquitto, make_broker_box: Callable[..., BrokerBox]
) -> None:
    restart_with(mosquitto, "max_inflight_messages 5\nmax_queued_messages 5\nsys_interval 1\nallow_anonymous true")
    box = make_broker_box(receive_maximum=5)
    box.gate.clear()
    publish(mosquitto.port, [b"%d" % number for number in range(100)])
    until(lambda: box.alarms)
    assert box.alarm_names[0] == "broker_drops"
    assert "max_queued_messages 0" in box.alarms[0][1]
    box.gate.set()
    until(lambda: len(box.messages) + box.broker.drops == 100)
    assert box.broker.drops >= 85


def a_broker(alarm: Callable[[str, str], None]) -> Broker:
    pump = Pump(process=lambda _: None, refuse=lambda *_: None, on_status=lambda *_: None)
    return Broker(
        pump=pump, options=BrokerOptions(host="nowhere"), topics=Topics(PREFIX), now_us=lambda: 0, alarm=alarm
    )


def test_each_growth_of_the_count_is_told_also_after_the_broker_began_anew() -> None:
    told: list[str] = []
    broker = a_broker(lambda name, text: told.append(f"{name} {text.split()[0]}"))
    no_counts = (b"no number", b"-1", b"9" * 16, b"9" * 30, b"9" * 5_000, b"1" + b"0" * 16, b"")
    for count in (b"0", b"7", b"7", b"9", b"4", *no_counts, b"4"):
        broker.dropped(count)
    assert told == ["broker_drops 7", "broker_drops 2", "broker_drops 4"]
    assert broker.drops == 13


def test_an_alarm_that_cannot_be_given_harms_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def fail(name: str, text: str) -> None:
        raise OSError(f"{name} nowhere to go")

    a_broker(fail).dropped(b"3")
    assert "nowhere to go" in caplog.text


@pytest.mark.usefixtures("in_haste")
@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_wrong_password_is_told_once_and_tried_again(
    mosquitto: Mosquitto, make_broker_box: Callable[..., BrokerBox], protocol: str
) -> None:
    passwords = mosquitto.folder / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(passwords), "takean", "other"], check=True)
    restart_with(mosquitto, KEEPING, f"allow_anonymous false\npassword_file {passwords}")
    box = make_broker_box(connected=False, username="takean", password="right", protocol=protocol)
    until(lambda: mosquitto.log.count("not authorised") >= 4)
    assert box.alarm_names == ["broker_refused"]
    assert "mosquitto_passwd" in box.alarms[0][1]
    assert "right" not in box.alarms[0][1] + repr(box.broker.options)
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(passwords), "takean", "right"], check=True)
    restart_with(mosquitto, *mosquitto.settings)
    until(lambda: box.broker.connected)


@pytest.mark.usefixtures("in_haste")
def test_a_subscription_that_is_refused_is_told_once(make_broker_box: Callable[..., BrokerBox]) -> None:
    """By hand, in MQTT 3.1.1: Mosquitto grants every subscription and then keeps the messages from us."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        box = make_broker_box(connected=False, port=server.getsockname()[1], protocol="3.1.1")
        for _ in range(3):
            device, _ = server.accept()
            with device:
                device.recv(1_000)
                device.sendall(b"\x20\x02\0\0")
                subscribe = device.recv(1_000)
                assert subscribe[0] == 0x82
                device.sendall(b"\x90\x06" + subscribe[2:4] + b"\x01\x80\x01\x00")
        assert box.alarm_names == ["broker_refused"]
        assert "acl_file" in box.alarms[0][1]


@pytest.mark.usefixtures("in_haste")
@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_broker_that_grants_qos_0_only_is_told_and_no_way_in(
    mosquitto: Mosquitto, make_broker_box: Callable[..., BrokerBox], protocol: str
) -> None:
    restart_with(mosquitto, "max_qos 0", KEEPING, "allow_anonymous true")
    box = make_broker_box(connected=False, protocol=protocol)
    until(lambda: mosquitto.log.count("New client connected") >= 3)
    assert box.alarm_names == ["broker_refused"]
    assert "max_qos" in box.alarms[0][1]
    assert not box.broker.connected
    restart_with(mosquitto, KEEPING, "allow_anonymous true")
    until(lambda: box.broker.connected)


def test_a_broker_that_is_away_is_said_once_with_the_reason(
    mosquitto: Mosquitto,
    make_broker_box: Callable[..., BrokerBox],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(broker_module, "WAIT_S_MAX", 0.01)
    monkeypatch.setattr(broker_module, "AWAY_S", 0.1)
    caplog.set_level(logging.INFO, logger="ingest.broker")
    mosquitto.end()
    box = make_broker_box(connected=False)
    until(lambda: box.alarms)
    assert box.alarm_names == ["broker_away"]
    assert "refused" in box.alarms[0][1]
    mosquitto.start()
    until(lambda: box.broker.connected)
    assert [r.levelname for r in caplog.records if r.name == "ingest.broker"] == ["WARNING", "ERROR", "INFO"]


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate of its own for `localhost`, and its key."""
    cert, key = folder / f"{name}.crt", folder / f"{name}.key"
    words = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    words += f" -addext subjectAltName=DNS:localhost -keyout {key} -out {cert}"
    subprocess.run(words.split(), check=True, capture_output=True)
    return cert, key


@pytest.mark.usefixtures("in_haste")
def test_over_tls_everything_comes_and_a_strange_certificate_is_not_spoken_to(
    mosquitto: Mosquitto, make_broker_box: Callable[..., BrokerBox]
) -> None:
    cert, key = certificate(mosquitto.folder, "broker")
    other, _ = certificate(mosquitto.folder, "other")
    restart_with(mosquitto, KEEPING, f"allow_anonymous true\ncertfile {cert}\nkeyfile {key}")
    deceived = make_broker_box(connected=False, host="localhost", ca_file=str(other))
    no_file = make_broker_box(connected=False, host="localhost", ca_file=str(mosquitto.folder / "missing"))
    box = make_broker_box(host="localhost", ca_file=str(cert), client_id="over-tls")
    payloads = [b"%6d" % number + bytes(5_000) for number in range(1_000)]
    publish(mosquitto.port, payloads, DATA, login=Login(ca_file=str(cert)))
    until(lambda: len(box.messages) == 1_000)
    assert box.payloads == payloads
    until(lambda: "CERTIFICATE_VERIFY_FAILED" in deceived.broker._why_away)
    until(lambda: "No such file" in no_file.broker._why_away)
