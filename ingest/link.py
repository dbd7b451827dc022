"""The lower half of a connection: when its socket is read, when not, and how long it may be silent."""

import abc
import asyncio
import socket
from collections.abc import Callable
from typing import Any, cast

from ingest.limits import Counters, Limits

TCP_KEEPALIVE = {"TCP_KEEPIDLE": 600, "TCP_KEEPINTVL": 60, "TCP_KEEPCNT": 5}
"""Seconds, seconds, probes: a peer that is gone without a word is found in 15 minutes even if it asked for no keep
alive, where the kernel's own default is over two hours. Not sooner: each probe wakes the radio of a battery device."""


class Link(asyncio.Protocol, abc.ABC):
    """A TCP connection that is read only while four reasons not to are absent."""

    _transport: asyncio.Transport

    def __init__(self, limits: Limits, counters: Counters) -> None:
        self._limits = limits
        self._counters = counters
        self._loop = asyncio.get_running_loop()
        self._closed = False
        self._ending = False  # nothing more will be read: it is refused, or the endpoint stops
        self._waiting = False  # for room in the inbox
        self._resting = False  # until the others had their turn
        self._choked = False  # until the peer takes what was written
        self._paused = False
        self._keep_alive_s = 0.0
        self._alive_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._choke_timer: asyncio.TimerHandle | None = None
        self.address = ""

    @abc.abstractmethod
    def close(self, cause: str) -> None:
        """End the connection, once."""

    @abc.abstractmethod
    def _read(self) -> None:
        """Deal with what has been received, then `_adjust`. Called whenever a reason not to read is gone."""

    def _open(self, transport: asyncio.BaseTransport) -> None:
        """Take over a socket that was accepted."""
        self._transport = cast("asyncio.Transport", transport)
        self.address = str((transport.get_extra_info("peername") or ("",))[0])
        peer: socket.socket | None = transport.get_extra_info("socket")
        if peer is not None:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for option, value in TCP_KEEPALIVE.items():
                if hasattr(socket, option):  # not every system has all of them
                    peer.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)

    def send(self, data: bytes) -> bool:
        """Write, unless the connection is gone: pending acknowledgements die with it."""
        if self._closed:
            return False
        if data:
            self._transport.write(data)
        return True

    def hold(self) -> None:
        """Read no more; what has been taken in is still acknowledged."""
        self._ending = True
        self._adjust()

    def pause_writing(self) -> None:
        self._choked = True
        if not self._closed:
            self._counters.pauses += 1
            self._choke_timer = self._loop.call_later(self._limits.answers_s, self.close, "answers_not_taken")
        self._adjust()

    def resume_writing(self) -> None:
        self._choked = False
        self._cancel_choke_timer()
        self._beat()  # Taking our answers is a sign of life.
        self._read()

    def _rest(self) -> None:
        """Read on when the others had their turn."""
        self._resting = True
        self._loop.call_soon(self._end_rest)

    def _end_rest(self) -> None:
        self._resting = False
        self._read()

    def _is_held(self) -> bool:
        return self._waiting or self._choked or self._ending or self._resting

    def _adjust(self) -> None:
        """Let the socket be read, or not."""
        paused = self._is_held()
        if paused == self._paused or self._closed or self._transport.is_closing():
            return
        self._paused = paused
        if paused:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def _beat(self) -> None:
        """Note a sign of life, or that the silence until now was not the peer's fault."""
        self._alive_s = self._loop.time()

    def _keep_alive(self, seconds: float) -> None:
        """Close after so much silence; 0 for never."""
        self._keep_alive_s = seconds
        if seconds:
            self._beat()
            self._after(seconds, self._watch)

    def _watch(self) -> None:
        quiet_s = self._loop.time() - self._alive_s
        if self._is_held():  # It is we who do not read.
            self._after(self._keep_alive_s, self._watch)
        elif quiet_s >= self._keep_alive_s:
            self.close("keep_alive")
        else:
            self._after(self._keep_alive_s - quiet_s, self._watch)

    def _after(self, delay_s: float, what: Callable[[], Any]) -> None:
        """Set the one timer of the connection: for CONNECT, then for keep alive, then for closing."""
        self._cancel_timer()
        self._timer = self._loop.call_later(delay_s, what)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _cancel_choke_timer(self) -> None:
        if self._choke_timer is not None:
            self._choke_timer.cancel()
            self._choke_timer = None
