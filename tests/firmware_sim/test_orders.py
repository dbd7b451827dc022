"""A device and its commands: each once, none after its end."""

import json

import pytest

from firmware_sim.backlog import Backlog
from firmware_sim.mqtt_link import Link
from firmware_sim.orders import KEPT, Orders
from tests.firmware_sim.acceptor import Acceptor

NOW_US = 1_795_330_200_000_000
END_MS = NOW_US // 1_000 + 60_000


def command(name: str = "c1", do: str = "report", expires: int = END_MS) -> bytes:
    return json.dumps({"id": name, "expires": expires, "do": do}).encode()


def said(orders: Orders, payload: bytes, now_us: int = NOW_US) -> dict[str, object]:
    answer = orders.answer(payload, now_us)
    assert answer is not None
    found = json.loads(answer)
    assert isinstance(found, dict)
    return found


def test_a_command_is_carried_out_once_and_answered_as_often_as_it_comes() -> None:
    orders = Orders("1.4.2")
    for _ in range(3):
        assert said(orders, command()) == {"id": "c1", "ok": True, "fw": "1.4.2"}
    assert orders.done == 1


def test_a_command_is_refused_from_its_end_on() -> None:
    orders = Orders("1.4.2")
    assert said(orders, command("a"), END_MS * 1_000 - 1)["ok"] is True
    assert said(orders, command("b"), END_MS * 1_000) == {"id": "b", "ok": False, "why": "expired"}
    assert orders.done == 1


def test_what_it_does_not_know_it_says_so() -> None:
    assert said(Orders("1.4.2"), command(do="dance")) == {"id": "c1", "ok": False, "why": "unknown"}


@pytest.mark.parametrize(
    "payload", [b"", b"\xff", b"[]", b"{}", b'{"id": 1, "expires": 2}', b'{"id": "a", "expires": "b"}']
)
def test_what_is_no_command_is_not_answered(payload: bytes) -> None:
    assert Orders("1.4.2").answer(payload, NOW_US) is None


def test_it_does_not_remember_for_ever() -> None:
    orders = Orders("1.4.2")
    for number in range(10 * KEPT):
        orders.answer(command(f"{number}"), NOW_US)
    assert len(orders._answers) == KEPT


def test_a_command_that_comes_by_mqtt_is_answered_beside_the_status() -> None:
    with Acceptor() as acceptor:
        acceptor.to_say = [command()]
        link = Link(
            station="WL-01",
            password="secret",
            host="127.0.0.1",
            port=acceptor.port,
            status_topic="takean/v1/WL-01/status",
            birth=b"online",
            last_will=b"offline",
            backlog=Backlog(10),
            obey=lambda payload: Orders("1.4.2").answer(payload, NOW_US),
        )
        for turn in range(5_000):
            link.tend(now_s=float(turn))
            link.serve(readable=True, writable=link.wants_write)
            if len(acceptor.published) == 2:
                break
        link.close()
    topics = {published.topic: published.payload for published in acceptor.published}
    assert json.loads(topics["takean/v1/WL-01/ack"]) == {"id": "c1", "ok": True, "fw": "1.4.2"}
