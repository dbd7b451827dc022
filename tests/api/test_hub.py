"""The hub: what waits for a client is the newest of everything, and never more."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection, Hashable, Mapping

import pytest

from api.hub import Client, Frame, Full, Hub, Topic, encode

CONSOLE, PUBLIC = Topic(page="console"), Topic(page="public")
QUICK_S = 0.005


class Script:
    """A feed told by the test what stands on the pages."""

    def __init__(self) -> None:
        self.shown: dict[str, str] = {"kpi": "0"}
        self.parts: dict[str, object] = {"A": 0, "B": 0}
        self.turn = 0
        self.asked: list[list[Topic]] = []
        self.broken = False

    def show(self, **shown: str) -> None:
        self.shown.update(shown)
        self.turn += 1

    def pulse(self) -> Hashable:
        return self.turn

    def frames(self, topics: Collection[Topic]) -> Mapping[Topic, Frame]:
        if self.broken:
            raise OSError("the disk is gone")
        self.asked.append(list(topics))
        return {t: Frame(fragments=dict(self.shown), parts=dict(self.parts)) for t in topics}


def live(test: Callable[[Script, Hub], Awaitable[None]], *, clients_max: int = 10) -> None:
    """Run a test with a hub that looks every few milliseconds."""

    async def body() -> None:
        script = Script()
        hub = Hub(script, poll_s=QUICK_S, clients_max=clients_max)
        hub.start()
        try:
            await asyncio.wait_for(test(script, hub), 5)
        finally:
            await hub.aclose()

    asyncio.run(body())


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(QUICK_S)


def events(raw: bytes) -> dict[str, str]:
    """Parse what went over the wire, as the standard says."""
    found = {}
    for block in raw.decode().split("\n\n"):
        name, data = "", []
        for line in block.splitlines():
            field, _, value = line.partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                data.append(value)
        if name:
            assert name not in found, "one event of a name at a time"
            found[name] = "\n".join(data)
    return found


def test_whoever_comes_is_first_sent_everything() -> None:
    async def test(script: Script, hub: Hub) -> None:
        first = hub.join(CONSOLE)
        await first.wake.wait()
        assert events(first.take()) == {"kpi": "0"}
        script.show(alarms="1")
        await first.wake.wait()
        late = hub.join(CONSOLE)
        assert events(late.take()) == {"kpi": "0", "alarms": "1"}

    live(test)


def test_only_what_differs_is_sent() -> None:
    async def test(script: Script, hub: Hub) -> None:
        script.show(alarms="a")
        client = hub.join(CONSOLE)
        await client.wake.wait()
        client.take()
        script.show(alarms="b")
        await client.wake.wait()
        assert events(client.take()) == {"alarms": "b"}
        looks = len(script.asked)
        script.show(alarms="b")
        await until(lambda: len(script.asked) > looks)
        await asyncio.sleep(3 * QUICK_S)
        assert not client.waiting

    live(test)


def test_nothing_is_built_while_nothing_happens_or_nobody_looks() -> None:
    async def test(script: Script, hub: Hub) -> None:
        await asyncio.sleep(5 * QUICK_S)
        assert script.asked == []
        client = hub.join(CONSOLE)
        await client.wake.wait()
        await asyncio.sleep(5 * QUICK_S)
        assert len(script.asked) == 1
        hub.leave(client)
        script.show(kpi="1")
        await asyncio.sleep(5 * QUICK_S)
        assert len(script.asked) == 1

    live(test)


def test_a_slow_client_holds_one_value_per_name_and_it_is_the_newest() -> None:
    async def test(script: Script, hub: Hub) -> None:
        slow, quick = hub.join(CONSOLE), hub.join(CONSOLE)
        await quick.wake.wait()
        for i in range(50):
            quick.take()
            script.show(kpi=str(i + 1), alarms=str(-i))
            await quick.wake.wait()
        assert set(slow.waiting) == {"kpi", "alarms"}
        assert events(slow.take()) == {"kpi": "50", "alarms": "-49"}

    live(test)


def test_a_slow_client_still_learns_of_every_station_that_changed() -> None:
    async def test(script: Script, hub: Hub) -> None:
        slow, quick = hub.join(CONSOLE), hub.join(CONSOLE)
        await quick.wake.wait()
        assert "changed" not in events(quick.take())
        for station in ("A", "B", "A"):
            script.parts[station] = object()
            script.show()
            await quick.wake.wait()
            assert json.loads(events(quick.take())["changed"]) == {"stations": [station]}
        assert json.loads(events(slow.take())["changed"]) == {"stations": ["A", "B"]}

    live(test)


def test_topics_do_not_mix() -> None:
    async def test(script: Script, hub: Hub) -> None:
        one = hub.join(CONSOLE)
        await one.wake.wait()
        one.take()
        other = hub.join(PUBLIC)
        await other.wake.wait()
        assert set(script.asked[-1]) == {CONSOLE, PUBLIC}
        assert not one.waiting
        hub.leave(other)
        script.show(kpi="7")
        await one.wake.wait()
        assert script.asked[-1] == [CONSOLE]

    live(test)


def test_there_is_a_bound_to_clients_and_leaving_makes_room() -> None:
    async def test(script: Script, hub: Hub) -> None:
        first, _ = hub.join(CONSOLE), hub.join(PUBLIC)
        with pytest.raises(Full):
            hub.join(CONSOLE)
        hub.leave(first)
        hub.leave(first)
        assert hub.clients == 1
        hub.join(CONSOLE)

    live(test, clients_max=2)


def test_a_screen_that_cannot_be_kept_true_is_disconnected_and_may_come_back() -> None:
    async def test(script: Script, hub: Hub) -> None:
        client = hub.join(CONSOLE)
        await client.wake.wait()
        script.broken = True
        script.show(kpi="1")
        await until(lambda: client.closed)
        hub.leave(client)
        script.broken = False
        again = hub.join(CONSOLE)
        await again.wake.wait()
        assert events(again.take()) == {"kpi": "1"}

    live(test)


def test_a_hub_that_stops_ends_every_stream_and_takes_no_more() -> None:
    async def test(script: Script, hub: Hub) -> None:
        client = hub.join(CONSOLE)
        await hub.aclose()
        assert client.closed
        with pytest.raises(Full):
            hub.join(CONSOLE)
        await hub.aclose()

    live(test)


@pytest.mark.parametrize("data", ["", "a", "a\nb", "a\r\nb\rc", "\n", "น้ำ\u2028ท่วม", "data: x\n\nevent: y"])
def test_any_data_arrives_as_it_was_sent(data: str) -> None:
    raw = encode("kpi", data, 3)
    assert raw.startswith(b"id: 3\nevent: kpi\n")
    lines = [line.removeprefix("data: ") for line in raw.decode().split("\n")[2:-2]]
    assert "\n".join(lines) == data.replace("\r\n", "\n").replace("\r", "\n")


def test_nothing_waiting_is_nothing_to_send() -> None:
    async def test() -> None:
        client = Client(CONSOLE)
        client.put({})
        assert not client.wake.is_set()
        assert client.take() == b""

    asyncio.run(test())
