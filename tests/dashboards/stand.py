"""A small loopback server for view tests: rendered pages, fake JSON, a stream that tests can speak on, the real CSP."""

import json
import mimetypes
import queue
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

CSP = "default-src 'self'; img-src 'self' data:; style-src 'self'"

Route = Callable[[str], tuple[str, bytes]]
"""Path with query -> content type and body."""


class Stand:
    """Serves on 127.0.0.1, port 0. `say` writes an event to every open stream; `posts` remembers what was sent."""

    def __init__(self, routes: dict[str, Route], static_dir: str) -> None:
        self.routes = routes
        self.posts: list[tuple[str, str, str | None]] = []
        """(path, body, X-CSRF-Token)."""
        self.answer: tuple[int, str] = (204, "")
        self.asked: list[str] = []
        self._static = static_dir
        self._streams: list[queue.Queue[bytes | None]] = []
        self._changed = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def begin(self, routes: dict[str, Route]) -> None:
        """Forget the test before."""
        self.hang_up()
        self.routes, self.posts, self.answer, self.asked = dict(routes), [], (204, ""), []

    def wait_for_stream(self) -> None:
        """Wait until some page listens."""
        with self._changed:
            assert self._changed.wait_for(lambda: bool(self._streams), timeout=10)

    def say(self, event: str, data: str) -> None:
        """Send one event to every open stream."""
        lines = "".join(f"data: {line}\n" for line in data.split("\n"))
        with self._changed:
            for stream in self._streams:
                stream.put(f"event: {event}\n{lines}\n".encode())

    def hang_up(self) -> None:
        """Close every stream and refuse new ones."""
        self.routes.pop("/api/v1/stream", None)
        with self._changed:
            for stream in self._streams:
                stream.put(None)
            self._streams.clear()

    def close(self) -> None:
        self.hang_up()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _open_stream(self) -> queue.Queue[bytes | None]:
        stream: queue.Queue[bytes | None] = queue.Queue(maxsize=1000)
        with self._changed:
            self._streams.append(stream)
            self._changed.notify_all()
        return stream

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        stand = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: object) -> None:
                """Keep the test output for tests."""

            def _answer(self, status: int, kind: str, body: bytes, *, keep: bool = False) -> None:
                self.send_response(status)
                self.send_header("Cache-Control", "max-age=3600" if keep else "no-store")
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Content-Security-Policy", CSP)
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self) -> None:
                path = urlsplit(self.path).path
                stand.asked.append(self.path)
                if path.startswith("/static/"):
                    with open(f"{stand._static}/{path.removeprefix('/static/')}", "rb") as file:
                        kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
                        self._answer(200, kind, file.read(), keep=True)
                elif path == "/api/v1/stream" and path in stand.routes:
                    self._stream()
                elif route := stand.routes.get(path):
                    kind, body = route(self.path)
                    self._answer(200, kind, body)
                else:
                    self._answer(404, "text/plain", b"")

            def _stream(self) -> None:
                stream = stand._open_stream()
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.end_headers()
                self.wfile.write(b"retry: 10\n\n")
                self.wfile.flush()
                self.close_connection = True
                while (piece := stream.get()) is not None:
                    try:
                        self.wfile.write(piece)
                        self.wfile.flush()
                    except OSError:  # the page has gone
                        return

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"] or 0)).decode()
                stand.posts.append((self.path, body, self.headers["X-CSRF-Token"]))
                status, detail = stand.answer
                text = json.dumps({"detail": detail}).encode() if detail else b""
                self._answer(status, "application/json", text)

        return Handler
