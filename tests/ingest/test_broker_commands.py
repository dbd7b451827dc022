"""Commands to devices behind a broker, and their answers, by real Mosquitto."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from ingest.commands import Commands, Stage
from ingest.message import Reason
from ingest.topics import Topics
from tests.ingest.box import until
from tests.ingest.mosquitto import PREFIX, BrokerBox, Mosquitto, publish

TOPICS = Topics(PREFIX)
CMD, ACK = TOPICS.cmd("WL-01"), TOPICS.ack("WL-01")


@pytest.fixture
def gauge(mosquitto: Mosquitto) -> Any:
    """A device behind the broker that answers what it is told, at once."""
    client = Client(CallbackAPIVersion.VERSION2)
    listens: list[bool] = []

    def answer(client: Client, _: Any, message: MQTTMessage) -> None:
        assert not message.retain
        said = {"id": json.loads(message.payload)["id"], "ok": True, "qos": message.qos}
        client.publish(message.topic.replace("/cmd", "/ack"), json.dumps(said), 1)

    client.on_message = answer
    client.on_subscribe = lambda *_: listens.append(True)
    client.connect("127.0.0.1", mosquitto.port)
    client.subscribe(CMD, 1)
    client.loop_start()
    until(lambda: listens)
    yield client
    client.disconnect()
    client.loop_stop()


def commands(box: BrokerBox) -> Commands:
    """Wired as the worker does it."""

    def elsewhere(topic: str, payload: bytes) -> bool:
        if box.broker.connected:
            box.broker.publish(topic, payload, 1)
        return box.broker.connected

    made = Commands(TOPICS, lambda: box.now_us, elsewhere)
    box.broker.answered = made.answered
    return made


@pytest.mark.usefixtures("gauge")
@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_command_goes_by_the_broker_and_its_answer_comes_back(
    make_broker_box: Callable[..., BrokerBox], protocol: str
) -> None:
    box = make_broker_box(protocol=protocol)
    desk = commands(box)
    box.loop.call_soon_threadsafe(lambda: desk.order("WL-01", {"do": "report"}, id="c1", expires_us=2_000_000))
    until(lambda: (fate := desk.fate("WL-01", "c1")) is not None and fate.stage is Stage.ANSWERED)
    fate = desk.fate("WL-01", "c1")
    assert fate is not None
    assert json.loads(fate.answer) == {"id": "c1", "ok": True, "qos": 1}
    until(lambda: box.pump.counters.acknowledged == 1)
    assert (box.messages, box.statuses, box.refusals) == ([], [], [])


def test_what_is_no_answer_is_quarantined(mosquitto: Mosquitto, broker_box: BrokerBox) -> None:
    commands(broker_box)
    publish(mosquitto.port, [b"\xff"], ACK)
    until(lambda: broker_box.refusals)
    assert [(m.topic, r.reason) for m, r, _ in broker_box.refusals] == [(ACK, Reason.NOT_JSON)]
    publish(mosquitto.port, [b"23"])
    until(lambda: broker_box.payloads == [b"23"])
