"""Whatever stands at a mirror's address, the writer says what is wrong, in time and in little memory."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from sensors.store import Away
from sensors.store.destination import Destination, Server
from sensors.store.writer import Writer

LINE = b"reading,kind=actual,sensor=stage_m,station=A value=1.0,flag=1 1795330200000000000"
TIMEOUT_S = 0.4
PATIENCE_S = 10.0
"""An answer without end must be given up long before."""
HTML = b"<html><body>Please sign in.\n<p>\xb7</p></body></html>"

Answer = tuple[int, bytes | Iterator[bytes]]


class Hostile:
    """Answers every request with what `answer` gives for its method and path."""

    def __init__(self) -> None:
        self.answer: Callable[[str, str], Answer] = lambda method, _: (204 if method == "POST" else 404, b"")
        self.sent_bytes = 0
        hostile = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status, body = hostile.answer(self.command, self.path)
                self.send_response(status)
                if 300 <= status < 400:
                    self.send_header("Location", f"http://127.0.0.1:{hostile.port}/elsewhere")
                self.end_headers()
                with suppress(OSError):
                    for piece in [body] if isinstance(body, bytes) else body:
                        self.wfile.write(piece)
                        hostile.sent_bytes += len(piece)
                self.close_connection = True

            do_POST = do_GET

            def log_message(self, format: str, *args: object) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def writer(self, kind: Server) -> Writer:
        url = f"http://127.0.0.1:{self.port}"
        return Writer(
            Destination(name="m", kind=kind, url=url, bucket="b", token="t0k3n"),
            timeout_s=TIMEOUT_S,
        )

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def hostile() -> Iterator[Hostile]:
    with closing(Hostile()) as server:
        yield server


def endless() -> Iterator[bytes]:
    began_s = time.monotonic()
    while time.monotonic() < began_s + PATIENCE_S:
        yield bytes(1 << 20)


def trickle() -> Iterator[bytes]:
    for _ in range(int(PATIENCE_S / 0.05)):
        yield b"x"
        time.sleep(0.05)


def said(work: Callable[[], object]) -> str:
    began_s = time.monotonic()
    with pytest.raises(Away) as caught:
        work()
    assert time.monotonic() - began_s < PATIENCE_S / 2
    assert "t0k3n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "metrics",
    [
        HTML,
        b"",
        b"oneword\n",
        b"vm_app_start_timestamp 17\nvm_app_uptime_seconds nan\n",
        b"vm_app_start_timestamp 17\nvm_rows_ignored_total{} +Inf\n",
        b"vm_app_start_timestamp 17\nvm_rows_ignored_total{} many\n",
        b"node_load1 0.5\n",
    ],
)
def test_who_is_no_victoriametrics_is_told_from_one(hostile: Hostile, metrics: bytes) -> None:
    hostile.answer = lambda *_: (200, metrics)
    with closing(hostile.writer("victoriametrics")) as writer:
        assert "no VictoriaMetrics" in said(writer.look)


@pytest.mark.parametrize("body", [HTML, b"[" * 100_000, b'{"started": {}', b'{"results": [{"series": [{"name": 1}]}]}'])
def test_who_does_not_say_when_an_influxdb_started_has_no_life_to_tell(hostile: Hostile, body: bytes) -> None:
    hostile.answer = lambda *_: (200, body)
    with closing(hostile.writer("influxdb")) as writer:
        assert writer.look().mark == ""


@pytest.mark.parametrize("body", [endless, trickle])
def test_an_answer_without_end_is_given_up(hostile: Hostile, body: Callable[[], Iterator[bytes]]) -> None:
    for kind in ("influxdb", "victoriametrics"):
        for status in (200, 400, 500):
            hostile.answer = lambda *_, status=status: (status, body())
            with closing(hostile.writer(kind)) as writer:
                said(writer.look)
                said(lambda: writer.write([LINE]))
    assert hostile.sent_bytes < 400 << 20, "with what waits in the sockets"


@pytest.mark.parametrize("status", [200, 301, 302, 307, 401, 403, 404, 405, 429, 500, 502, 503, 507])
def test_what_is_no_fault_of_the_lines_costs_none_and_follows_nobody(hostile: Hostile, status: int) -> None:
    asked: list[str] = []

    def answer(_: str, path: str) -> Answer:
        asked.append(path)
        return status, HTML

    hostile.answer = answer
    with closing(hostile.writer("influxdb")) as writer:
        assert f"answered {status} to a write" in said(lambda: writer.write([LINE]))
    assert not any("elsewhere" in path for path in asked)


def test_a_proxy_that_refuses_everything_in_another_alphabet_costs_no_reading(hostile: Hostile) -> None:
    hostile.answer = lambda *_: (400, "ไม่".encode("tis-620"))
    with closing(hostile.writer("influxdb")) as writer:
        assert "a plain one too" in said(lambda: writer.write([LINE, LINE]))


def test_what_a_server_says_is_told_on_one_line(hostile: Hostile) -> None:
    hostile.answer = lambda *_: (500, b"no \x1b[2J\nERROR forged" + bytes(3))
    with closing(hostile.writer("influxdb")) as writer:
        assert said(lambda: writer.write([LINE])).isprintable()
