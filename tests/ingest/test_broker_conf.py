"""deploy/mosquitto.conf, as it is delivered, on a real Mosquitto: it is understood, lets in the right, and keeps."""

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from tests.ingest.box import until
from tests.ingest.mosquitto import DATA, BrokerBox, Login, Mosquitto, free_port, publish

DEPLOY = Path(__file__).parents[2] / "deploy"
STATION = Login("WL-01", "its secret")
TAKEAN = {"username": "takean", "password": "ours"}


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """Mosquitto with the delivered files; only paths and the port are ours."""
    passwords = tmp_path / "takean.passwd"
    for number, (user, password) in enumerate([("takean", "ours"), (STATION.username, STATION.password)]):
        subprocess.run(["mosquitto_passwd", "-b", *["-c"][number:], passwords, user, password], check=True)
    (tmp_path / "takean.acl").write_bytes((DEPLOY / "mosquitto.acl").read_bytes())
    port = free_port()
    text = (DEPLOY / "mosquitto.conf").read_text()
    text, listeners = re.subn(r"(?m)^listener 1883 ", f"listener {port} ", text)
    text = text.replace("/etc/mosquitto/", f"{tmp_path}/").replace("/var/lib/mosquitto/", f"{tmp_path}/")
    assert listeners == 1
    broker = Mosquitto(tmp_path, [text], port).start()
    yield broker
    broker.end()


def answer(port: int, login: Login) -> str:
    """What the broker answers to CONNECT."""
    answers: list[str] = []
    client = Client(CallbackAPIVersion.VERSION2)
    if login.username:
        client.username_pw_set(login.username, login.password)
    client.on_connect = lambda client, data, flags, code, props: answers.append(str(code))
    client.connect("127.0.0.1", port)
    while not answers:
        client.loop(0.1)
    client.disconnect()
    return answers[0]


def test_it_is_understood_and_listens_to_this_machine_only(mosquitto: Mosquitto) -> None:
    until(lambda: "running" in mosquitto.log)
    log = mosquitto.log.replace("Warning: Mosquitto should not be run as root/administrator.", "")
    assert not re.search("(?i)unknown config|error|warning|unable|deprecated|duplicate", log)
    assert mosquitto.log.count("Opening ipv4 listen socket") == 1
    text = (DEPLOY / "mosquitto.conf").read_text()
    assert re.findall(r"(?m)^listener (.*)$", text) == ["1883 127.0.0.1"]


def test_nobody_comes_in_without_the_right_password(mosquitto: Mosquitto) -> None:
    assert answer(mosquitto.port, STATION) == "Success"
    for login in (Login(), Login("WL-01", "guessed"), Login("WL-02", "its secret")):
        assert answer(mosquitto.port, login) == "Not authorized"


def test_a_station_speaks_for_itself_and_takean_hears_it(
    mosquitto: Mosquitto, make_broker_box: Callable[..., BrokerBox]
) -> None:
    box = make_broker_box(**TAKEAN)
    publish(mosquitto.port, [b"of another"], "takean/v1/WL-02/data", login=STATION)
    publish(mosquitto.port, [b"its own"], login=STATION)
    until(lambda: box.payloads)
    assert box.payloads == [b"its own"]


def test_what_is_queued_for_us_outlives_sigterm_and_restart(
    mosquitto: Mosquitto, make_broker_box: Callable[..., BrokerBox]
) -> None:
    make_broker_box(**TAKEAN).close()
    payloads = [b"%d" % number for number in range(10_000)]  # ten times what Mosquitto keeps by default
    publish(mosquitto.port, payloads, login=STATION)
    mosquitto.end()
    mosquitto.start()
    box = make_broker_box(**TAKEAN)
    until(lambda: len(box.messages) >= len(payloads))
    assert box.payloads == payloads
    assert {message.topic for message in box.messages} == {DATA}
    assert (box.alarms, box.broker.drops) == ([], 0)
