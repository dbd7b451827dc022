"""Clients that others wrote, in both versions of MQTT: paho-mqtt and mosquitto."""

import subprocess
import threading
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

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


V4, V5 = MQTTProtocolVersion.MQTTv311, MQTTProtocolVersion.MQTTv5
both = pytest.mark.parametrize("version", [V4, V5], ids=["MQTT 3.1.1", "MQTT 5"])
both_names = pytest.mark.parametrize("version", ["mqttv311", "mqttv5"])


DATA = ("-t", "takean/v1/WL-01/data", "-q", "1")


class Paho:
    """A paho client with its thread, and what it was told."""

    def __init__(
        self,
        box: Box,
        version: MQTTProtocolVersion = V4,
        *,
        password: str = "right",
        clean: bool = True,
        will: str = "",
        client_id: str = "paho",
    ) -> None:
        self.connected = threading.Event()
        self.codes: list[str] = []
        self.told: dict[str, Any] = {}
        """Properties of CONNACK."""
        self.ended: list[str] = []
        """Reasons of DISCONNECT."""
        self.published: list[int] = []
        self.granted: list[int] = []
        session = clean if version == V4 else None
        self.client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=client_id, clean_session=session, protocol=version
        )
        self.client.username_pw_set("WL-01", password)
        if will:
            self.client.will_set("takean/v1/WL-01/status", will, qos=1, retain=True)
        self.client.on_connect = self._on_connect
        self.client.on_disconnect = lambda _c, _u, _f, code, _p: self.ended.append(str(code))
        self.client.on_publish = lambda _c, _u, mid, *_: self.published.append(mid)
        self.client.on_subscribe = lambda _c, _u, _mid, codes, _p: self.granted.extend(code.value for code in codes)
        self.client.max_inflight_messages_set(100)
        self.client.connect("127.0.0.1", box.port, keepalive=30)
        self.client.loop_start()
        assert self.connected.wait(10)

    def _on_connect(self, _client: object, _userdata: object, _flags: object, code: object, props: Any) -> None:
        self.codes.append(str(code))
        self.told = {} if props is None else props.json()
        self.connected.set()

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@both
def test_paho_gets_every_message_acknowledged(box: Box, version: MQTTProtocolVersion) -> None:
    device = Paho(box, version)
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


@both
def test_paho_is_told_that_it_may_not_come_in(box: Box, version: MQTTProtocolVersion) -> None:
    device = Paho(box, version, password="wrong")
    device.close()
    assert device.codes[0] == "Not authorized"


def test_paho_hears_which_subscription_is_granted(box: Box) -> None:
    device = Paho(box)
    device.client.subscribe([("takean/v1/WL-01/cmd", 2), ("takean/v1/#", 1)])
    until(lambda: len(device.granted) == 2)
    device.close()
    assert device.granted == [1, 0x80]


@both
def test_birth_and_will_of_paho_arrive(box: Box, version: MQTTProtocolVersion) -> None:
    device = Paho(box, version, will='{"state": "offline"}')
    device.client.publish("takean/v1/WL-01/status", '{"state": "online"}', qos=1, retain=True).wait_for_publish(10)
    sock = device.client.socket()
    assert sock is not None
    device.client.loop_stop()
    sock.close()  # Without DISCONNECT, as when the battery is empty.
    until(lambda: len(box.statuses) == 2)
    assert [payload for _, payload, _ in box.statuses] == [b'{"state": "online"}', b'{"state": "offline"}']


@both_names
@pytest.mark.parametrize("qos", ["0", "1"])
def test_mosquitto_pub_delivers(box: Box, qos: str, version: str) -> None:
    done = mosquitto(box, "mosquitto_pub", "-V", version, "-t", "takean/v1/WL-01/data", "-q", qos, "-m", "reading")
    assert (done.returncode, done.stderr) == (0, "")
    until(lambda: box.payloads)
    assert box.payloads == [b"reading"]


@both_names
def test_mosquitto_pub_delivers_line_by_line(box: Box, version: str) -> None:
    lines = "".join(f"{number}\n" for number in range(500))
    done = mosquitto(box, "mosquitto_pub", "-V", version, "-i", "lines", *DATA, "-l", text=lines)
    assert (done.returncode, done.stderr) == (0, "")
    assert box.payloads == [b"%d" % number for number in range(500)]


@pytest.mark.parametrize(
    ("arguments", "password"),
    [
        (("-t", "takean/v1/WL-01/data", "-q", "1", "-m", "x"), "wrong"),
        (("-t", "takean/v1/WL-02/data", "-q", "1", "-m", "x"), "right"),
        (("-t", "takean/v1/WL-01/data", "-q", "2", "-m", "x"), "right"),
        (("-t", "takean/v1/WL-01/data", "-q", "1", "-m", "x", "-V", "mqttv31"), "right"),
    ],
    ids=["wrong password", "foreign topic", "QoS 2", "MQTT 3.1"],
)
def test_mosquitto_pub_is_told_that_it_failed(box: Box, arguments: tuple[str, ...], password: str) -> None:
    done = mosquitto(box, "mosquitto_pub", *arguments, password=password)
    assert done.returncode != 0
    assert done.stderr
    assert box.messages == []


@both_names
def test_mosquitto_sub_may_wait_for_its_own_commands(box: Box, version: str) -> None:
    done = mosquitto(box, "mosquitto_sub", "-V", version, "-t", "takean/v1/WL-01/cmd", "-q", "1", "-E")
    assert (done.returncode, done.stderr) == (0, "")


def test_mosquitto_sub_gets_nothing_of_others(box: Box) -> None:
    done = mosquitto(box, "mosquitto_sub", "-t", "takean/v1/#", "-W", "5")
    assert (done.stdout, done.stderr) == ("", "All subscription requests were denied.\n")


@pytest.mark.parametrize(
    ("arguments", "password", "words"),
    [
        (DATA, "wrong", "Not authorized"),
        (("-t", "takean/v1/WL-02/data", "-q", "1"), "right", "Received DISCONNECT (135)"),
        (("-t", "takean/v1/WL-01/data", "-q", "2"), "right", "Message QoS not supported on broker"),
    ],
    ids=["wrong password", "foreign topic", "QoS 2"],
)
def test_mosquitto_pub_of_mqtt_5_is_told_why(box: Box, arguments: tuple[str, ...], password: str, words: str) -> None:
    done = mosquitto(box, "mosquitto_pub", "-d", "-V", "mqttv5", *arguments, "-m", "x", password=password)
    assert words in done.stdout + done.stderr
    assert box.messages == []


def test_mosquitto_pub_says_everything_a_message_can_say_in_mqtt_5(box: Box) -> None:
    said = (
        "publish payload-format-indicator 1", "publish message-expiry-interval 60", "publish content-type text/plain",
        "publish response-topic elsewhere", "publish correlation-data x", "publish user-property k v",
        "publish user-property k w", "connect session-expiry-interval 60", "connect receive-maximum 5",
        "connect maximum-packet-size 1000", "connect request-problem-information 0", "connect user-property k v",
        "will will-delay-interval 5", "will content-type text/plain",
    )  # fmt: skip
    will = ("--will-topic", "takean/v1/WL-01/status", "--will-payload", "offline", "--will-qos", "1")
    options = [word for line in said for word in ("-D", *line.split())]
    done = mosquitto(box, "mosquitto_pub", "-V", "mqttv5", "-i", "m5", *DATA, "-m", "x", *will, *options)
    assert (done.returncode, done.stderr) == (0, "")
    assert box.payloads == [b"x"]


def test_mosquitto_pub_heeds_the_maximum_packet_size(box: Box) -> None:
    done = mosquitto(box, "mosquitto_pub", "-V", "mqttv5", "-d", *DATA, "-s", text="x" * 300_000)
    assert "CONNACK (0)" in done.stdout
    assert (box.messages, box.refusals) == ([], [])


def test_mosquitto_pub_saves_the_topic_by_an_alias(box: Box) -> None:
    alias = ("-D", "publish", "topic-alias", "3", "--repeat", "3")
    done = mosquitto(box, "mosquitto_pub", "-V", "mqttv5", "-i", "m5", *DATA, "-m", "x", *alias)
    assert (done.returncode, done.stderr) == (0, "")
    assert box.payloads == [b"x"] * 3


def test_mosquitto_sub_of_mqtt_5_is_told_that_there_are_no_wildcards(box: Box) -> None:
    done = mosquitto(box, "mosquitto_sub", "-V", "mqttv5", "-t", "takean/v1/#", "-W", "1")
    assert done.stdout == ""
    assert box.refusals[0][1].detail == "station WL-01: a subscription with a wildcard"


def test_paho_of_mqtt_5_is_told_our_bounds_and_given_a_name(box: Box) -> None:
    device = Paho(box, V5, client_id="")
    device.client.publish("takean/v1/WL-01/data", b"x", qos=1).wait_for_publish(10)
    device.close()
    assert {name: device.told[name] for name in ("ReceiveMaximum", "MaximumQoS", "TopicAliasMaximum")} == {
        "ReceiveMaximum": 2_000,
        "MaximumQoS": 1,
        "TopicAliasMaximum": 16,
    }
    assert box.messages[0].client == device.told["AssignedClientIdentifier"]


def test_paho_of_mqtt_5_may_use_an_alias(box: Box) -> None:
    device = Paho(box, V5)
    alias = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    alias.TopicAlias = 1
    device.client.publish("takean/v1/WL-01/data", b"1", qos=1, properties=alias).wait_for_publish(10)
    device.client.publish("", b"2", qos=1, properties=alias).wait_for_publish(10)
    device.close()
    assert box.payloads == [b"1", b"2"]


def test_paho_of_mqtt_5_is_told_why_it_was_closed(box: Box) -> None:
    device = Paho(box, V5)
    device.client.publish("takean/v1/WL-02/data", b"1", qos=1)
    until(lambda: device.ended)
    device.close()
    assert device.ended[0] == "Not authorized"
