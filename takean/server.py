"""The web server: pages on one socket, with bounds on those who only pretend to ask."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

REQUEST_S_MAX = 10.0
"""From a connection, or the first byte of the next request on it, to the end of that request. Ours are short."""


class Punctual(H11Protocol):
    """Closes a connection whose request does not come to its end: half a request costs a place for nothing."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        self._relax()
        super().connection_lost(exc)

    def _expect(self) -> None:
        if self.conn.their_state in (h11.DONE, h11.MUST_CLOSE, h11.CLOSED, h11.ERROR):
            self._relax()
        elif self._deadline is None and not self.transport.is_closing():
            self._deadline = self.loop.call_later(REQUEST_S_MAX, self.transport.close)

    def _relax(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class PageServer(uvicorn.Server):
    """A server that ends its event streams before it waits for open answers."""

    def __init__(
        self, app: Any, *, before_stop: Callable[[], Awaitable[None]], connections_max: int, grace_s: int
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=Punctual,
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=grace_s,
                limit_concurrency=connections_max,
                lifespan="on",
            )
        )
        self._before_stop = before_stop

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams, then the rest."""
        await self._before_stop()
        await super().shutdown(sockets)

    def serve_on(self, listening: socket.socket, failed: Callable[[BaseException], None]) -> None:
        """Run until `should_exit`; an earlier end is a failure."""
        try:
            self.run(sockets=[listening])
        except BaseException as error:
            failed(error)
        else:
            if not self.should_exit:
                failed(RuntimeError("the web server ended by itself"))
