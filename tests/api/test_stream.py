"""Live pages over a real socket."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from alerts.episode import Kind
from alerts.people import Role
from api.app import create_app
from api.auth import SESSION_COOKIE, SESSION_S
from api.feed import LiveFeed
from api.hub import Hub
from api.read import Snapshots
from tests.api.world import MINUTE_US, World

pytestmark = pytest.mark.live
POLL_S, KEEP_ALIVE_S, WAIT_S = 0.02, 0.1, 10.0
SAMRAN = "331608-samran"


@dataclass
class Served:
    """An app on a port of its own."""

    url: str
    app: FastAPI

    @property
    def hub(self) -> Hub:
        hub: Hub = self.app.state.hub
        return hub


@contextmanager
def served(world: World) -> Iterator[Served]:
    deps = world.deps
    hub = Hub(LiveFeed(deps, Snapshots(deps, keep_s=0)), poll_s=POLL_S, keep_alive_s=KEEP_ALIVE_S)
    app = create_app(deps, hub=hub)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=2, lifespan="on"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            yield Served(f"http://127.0.0.1:{listening.getsockname()[1]}", app)
        finally:
            server.should_exit = True
            thread.join(10)
            assert not thread.is_alive(), "the server did not stop"


class Live:
    """One browser's stream, read event by event."""

    def __init__(self, response: httpx.Response) -> None:
        self._lines = response.iter_lines()
        self.seen: dict[str, str] = {}
        self.last_id = 0

    def step(self) -> str:
        """Read up to the next event; its name."""
        name, data = "", list[str]()
        for line in self._lines:
            field, _, value = line.partition(": ")
            if not line and name:
                self.seen[name] = "\n".join(data)
                return name
            if field == "event":
                name = value
            elif field == "data":
                data.append(value)
            elif field == "id":
                assert int(value) >= self.last_id
                self.last_id = int(value)
        raise EOFError("the stream ended")

    def until(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + WAIT_S
        while not condition():
            assert time.monotonic() < deadline, f"seen only {sorted(self.seen)}"
            self.step()


@contextmanager
def stream(at: Served, page: str, *, cookie: str = "", **headers: str) -> Iterator[Live]:
    cookies = {SESSION_COOKIE: cookie} if cookie else None
    with (
        httpx.Client(timeout=WAIT_S, cookies=cookies) as client,
        client.stream("GET", f"{at.url}/api/v1/stream?page={page}", headers=headers) as response,
    ):
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        yield Live(response)


def session(world: World) -> str:
    world.account("officer", Role.OFFICER)
    return world.accounts.open_session(
        "officer", now_us=world.real_us, expires_us=world.real_us + SESSION_S * 1_000_000
    )


CONSOLE = {"top", "incident", "kpi", "alarms", "pins", "readings"}


def test_a_console_follows_what_happens(world: World) -> None:
    world.all_speak()
    with served(world) as at, stream(at, "console", cookie=session(world)) as live:
        live.until(lambda: set(live.seen) >= CONSOLE)
        assert "ไม่มีเหตุที่เปิดอยู่" in live.seen["incident"]
        assert {p["station"]: p["text"] for p in json.loads(live.seen["pins"])}["WL-01"] == "−2.50"
        kpi = live.seen.pop("kpi")
        world.judge(SAMRAN, 3)
        live.until(lambda: "วิกฤต" in live.seen["incident"])
        assert "kpi" not in live.seen, "what did not change is not sent again"
        world.now_us += MINUTE_US
        world.put("WL-01/stage_m", [4.68])
        live.until(lambda: "WL-01" in live.seen.get("changed", ""))
        live.until(lambda: live.seen.get("kpi", kpi) != kpi)
        reading = [world.now_us, 4.68, 1]
        live.until(lambda: json.loads(live.seen["readings"])["series"]["WL-01/stage_m"] == reading)
        newest = json.loads(live.seen["readings"])
        assert newest["now_us"] == world.now_us


def test_fragments_carry_no_secret_of_anybody(world: World) -> None:
    world.judge(SAMRAN, 2)
    token = session(world)
    with served(world) as at, stream(at, "console", cookie=token) as live:
        live.until(lambda: set(live.seen) >= CONSOLE)
        for data in live.seen.values():
            assert token not in data
            assert "csrf" not in data.lower()


def test_the_public_page_follows_a_release(world: World) -> None:
    world.all_speak()
    world.known(SAMRAN)
    with served(world) as at, stream(at, "public") as live:
        live.until(lambda: "ไม่มีประกาศเตือนภัย" in live.seen.get("public", ""))
        world.judge(SAMRAN, 2)
        world.publish(SAMRAN, 2)
        live.until(lambda: "เตือนภัยน้ำท่วม" in live.seen["public"])


def test_whoever_comes_back_is_sent_everything_again(world: World) -> None:
    with served(world) as at:
        with stream(at, "preview") as live:
            live.until(lambda: "phone" in live.seen)
            last = live.last_id
        with stream(at, "preview", **{"Last-Event-ID": str(last)}) as again:
            again.until(lambda: "phone" in again.seen)
            assert again.last_id >= last


def test_a_quiet_stream_says_that_it_is_alive(world: World) -> None:
    with served(world) as at, stream(at, "public") as live:
        for _ in range(2):
            live.until(lambda: "alive" in live.seen)
            live.seen.pop("alive")


def test_whoever_leaves_is_forgotten(world: World) -> None:
    with served(world) as at:
        with stream(at, "public") as live:
            live.until(lambda: live.seen)
            assert at.hub.clients == 1
        deadline = time.monotonic() + WAIT_S
        while at.hub.clients:
            assert time.monotonic() < deadline
            time.sleep(POLL_S)


def test_a_console_goes_dark_when_its_session_ends(world: World) -> None:
    token = session(world)
    with served(world) as at, stream(at, "console", cookie=token) as live:
        live.until(lambda: set(live.seen) >= CONSOLE)
        world.accounts.close_session(token)
        with pytest.raises(EOFError):
            live.until(lambda: False)


def test_strangers_get_no_console_stream(world: World) -> None:
    with served(world) as at:
        assert httpx.get(f"{at.url}/api/v1/stream?page=console").status_code == 401
        assert httpx.get(f"{at.url}/api/v1/stream?page=anything").status_code == 422
    world.kind = Kind.ACTUAL
    with served(world) as at:
        assert httpx.get(f"{at.url}/api/v1/stream?page=preview").status_code == 401


def test_closing_the_hub_lets_the_server_stop_at_once(world: World) -> None:
    with served(world) as at, stream(at, "public") as live:
        live.until(lambda: live.seen)
        began = time.monotonic()
        # What a supervisor does on its loop before it asks the server to stop.
        task = at.hub._task
        assert task is not None
        asyncio.run_coroutine_threadsafe(at.hub.aclose(), task.get_loop()).result(WAIT_S)
        with pytest.raises(EOFError):
            live.until(lambda: False)
    assert time.monotonic() - began < 2


def test_a_client_that_does_not_read_costs_a_bound_and_delays_nobody(world: World) -> None:
    for i in range(20):
        world.ledger.preview_put(
            key=str(i), kind=world.kind, target="-", text="น้ำท่วม" * 1000, level=1, now_us=world.now_us
        )
    with served(world) as at, socket.socket() as deaf, stream(at, "preview") as live:
        host, port = at.url.removeprefix("http://").split(":")
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect((host, int(port)))
        deaf.sendall(b"GET /api/v1/stream?page=preview HTTP/1.1\r\nHost: x\r\n\r\n")
        live.until(lambda: "phone" in live.seen)
        held = 0
        # Until the pipe to the deaf one is full, and well beyond.
        for _ in range(200):
            world.now_us += MINUTE_US
            seen = live.seen.pop("phone")
            live.until(lambda: "phone" in live.seen)
            assert live.seen["phone"] != seen
            waiting = [len(c.waiting) for shown in list(at.hub._topics.values()) for c in list(shown.clients)]
            assert max(waiting, default=0) <= 1
            held = held + 1 if sum(waiting) else 0
            if held >= 10:
                break
        assert held >= 10, "the deaf client was never behind"
