"""Clients that others wrote: paho-mqtt and mosquitto."""

import subprocess
import threading

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.ingest.box import Box, until


def mosquitto(
    box: Box, program: str, *arguments: str, password: str = "right", text: str | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program, "-h", "127.0.0.1", "-p", str(box.port), "-u", "WL-01", "-P", password, *arguments],
        check=False,
        capture_output=True,
        text=True,
        input=text,
        timeout=20,
    )


class Paho:
    """A paho client with its thread, and what it was told."""

    def __init__(self, box: Box, *, password: str = "right", clean: bool = True, will: str = "") -> None:
        self.connected = threading.Event()
        self.codes: list[str] = []
        self.published: list[int] = []
        self.granted: list[int] = []
        self.client = paho.Client(CallbackAPIVersion.VERSION2, client_id="paho", clean_session=clean)
        self.client.username_pw_set("WL-01", password)
        if will:
            self.client.will_set("takean/v1/WL-01/status", will, qos=1, retain=True)
        self.client.on_connect = self._on_connect
        self.client.on_publish = lambda _c, _u, mid, *_: self.published.append(mid)
        self.client.on_subscribe = lambda _c, _u, _mid, codes, _p: self.granted.extend(code.value for code in codes)
        self.client.max_inflight_messages_set(100)
        self.client.connect("127.0.0.1", box.port, keepalive=30)
        self.client.loop_start()
        assert self.connected.wait(10)

    def _on_connect(self, _client: object, _userdata: object, _flags: object, code: object, _props: object) -> None:
        self.codes.append(str(code))
        self.connected.set()

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


def test_paho_gets_every_message_acknowledged(box: Box) -> None:
    device = Paho(box)
    sent = [device.client.publish("takean/v1/WL-01/data", b"%d" % number, qos=1).mid for number in range(1_000)]
    until(lambda: len(device.published) == 1_000)
    device.close()
    assert device.published == sent
    assert box.payloads == [b"%d" % number for number in range(1_000)]
    assert {message.client for message in box.messages} == {"paho"}


def test_paho_with_a_session_finds_none_and_works(box: Box) -> None:
    device = Paho(box, clean=False)
    device.client.publish("takean/v1/WL-01/data", b"x", qos=1).wait_for_publish(10)
    device.close()
    assert box.payloads == [b"x"]


def test_paho_is_told_that_it_may_not_come_in(box: Box) -> None:
    device = Paho(box, password="wrong")
    device.close()
    assert device.codes[0] == "Not authorized"


def test_paho_hears_which_subscription_is_granted(box: Box) -> None:
    device = Paho(box)
    device.client.subscribe([("takean/v1/WL-01/cmd", 2), ("takean/v1/#", 1)])
    until(lambda: len(device.granted) == 2)
    device.close()
    assert device.granted == [1, 0x80]


def test_birth_and_will_of_paho_arrive(box: Box) -> None:
    device = Paho(box, will='{"state": "offline"}')
    device.client.publish("takean/v1/WL-01/status", '{"state": "online"}', qos=1, retain=True).wait_for_publish(10)
    sock = device.client.socket()
    assert sock is not None
    device.client.loop_stop()
    sock.close()  # Without DISCONNECT, as when the battery is empty.
    until(lambda: len(box.statuses) == 2)
    assert [payload for _, payload, _ in box.statuses] == [b'{"state": "online"}', b'{"state": "offline"}']


@pytest.mark.parametrize("qos", ["0", "1"])
def test_mosquitto_pub_delivers(box: Box, qos: str) -> None:
    done = mosquitto(box, "mosquitto_pub", "-t", "takean/v1/WL-01/data", "-q", qos, "-m", "reading")
    assert (done.returncode, done.stderr) == (0, "")
    until(lambda: box.payloads)
    assert box.payloads == [b"reading"]


def test_mosquitto_pub_delivers_line_by_line(box: Box) -> None:
    lines = "".join(f"{number}\n" for number in range(500))
    done = mosquitto(box, "mosquitto_pub", "-i", "lines", "-t", "takean/v1/WL-01/data", "-q", "1", "-l", text=lines)
    assert (done.returncode, done.stderr) == (0, "")
    assert box.payloads == [b"%d" % number for number in range(500)]


@pytest.mark.parametrize(
    ("arguments", "password"),
    [
        (("-t", "takean/v1/WL-01/data", "-q", "1", "-m", "x"), "wrong"),
        (("-t", "takean/v1/WL-02/data", "-q", "1", "-m", "x"), "right"),
        (("-t", "takean/v1/WL-01/data", "-q", "2", "-m", "x"), "right"),
        (("-t", "takean/v1/WL-01/data", "-q", "1", "-m", "x", "-V", "mqttv5"), "right"),
        (("-t", "takean/v1/WL-01/data", "-q", "1", "-m", "x", "-V", "mqttv31"), "right"),
    ],
    ids=["wrong password", "foreign topic", "QoS 2", "MQTT 5", "MQTT 3.1"],
)
def test_mosquitto_pub_is_told_that_it_failed(box: Box, arguments: tuple[str, ...], password: str) -> None:
    done = mosquitto(box, "mosquitto_pub", *arguments, password=password)
    assert done.returncode != 0
    assert done.stderr
    assert box.messages == []


def test_mosquitto_sub_may_wait_for_its_own_commands(box: Box) -> None:
    done = mosquitto(box, "mosquitto_sub", "-t", "takean/v1/WL-01/cmd", "-q", "1", "-E")
    assert (done.returncode, done.stderr) == (0, "")


def test_mosquitto_sub_gets_nothing_of_others(box: Box) -> None:
    done = mosquitto(box, "mosquitto_sub", "-t", "takean/v1/#", "-W", "5")
    assert (done.stdout, done.stderr) == ("", "All subscription requests were denied.\n")
