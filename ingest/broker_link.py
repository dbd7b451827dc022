"""The lower half of a connection to a broker: paho-mqtt on our event loop, without a thread of its own."""

import abc
import asyncio
import logging
from collections.abc import Callable
from typing import Any

from ingest.buffered import BrokerClient

log = logging.getLogger(__name__)

MISC_S = 1.0
"""How often paho looks at its keep alive."""


class BrokerLink(abc.ABC):
    """A client of paho whose socket is read while it is attached and not held. paho closes the socket itself when the
    broker goes; it tells `_on_socket_close` before.
    """

    _fileno: int

    def __init__(self, client: BrokerClient) -> None:
        self._client = client
        self._loop = asyncio.get_running_loop()
        self._is_attached = False
        self._is_held = False
        self._misc: asyncio.TimerHandle | None = None
        client.on_socket_close = self._on_socket_close
        client.on_socket_register_write = self._on_write_wanted
        client.on_socket_unregister_write = self._on_write_done

    @abc.abstractmethod
    def _end(self, reason: str) -> None:
        """End the connection."""

    @abc.abstractmethod
    def _is_full(self) -> bool:
        """Whether no more is to be read for now."""

    @abc.abstractmethod
    def _wait(self) -> None:
        """Hold, until there is room."""

    def _attach(self) -> None:
        found = self._client.socket()
        if found is None:
            raise ConnectionError("closed at once")
        self._fileno = found.fileno()
        self._is_attached = True
        self._loop.add_reader(self._fileno, self._on_readable)
        if self._client.want_write():
            self._loop.add_writer(self._fileno, self._on_writable)
        self._misc = self._loop.call_later(MISC_S, self._on_time)

    def _detach(self) -> None:
        if self._is_attached:
            self._is_attached = False
            self._loop.remove_reader(self._fileno)
            self._loop.remove_writer(self._fileno)
        if self._misc is not None:
            self._misc.cancel()

    def _shut(self) -> None:
        if (found := self._client.socket()) is not None:
            found.close()

    def _hold(self) -> None:
        if self._is_attached and not self._is_held:
            self._is_held = True
            self._loop.remove_reader(self._fileno)

    def _read_on(self) -> None:
        self._is_held = False
        self._loop.add_reader(self._fileno, self._on_readable)

    def _guarded(self, work: Callable[[], object]) -> None:
        """Have paho do something; whatever it throws ends this connection and nothing else."""
        try:
            work()
        except Exception as error:
            log.exception("broker: a defect in reading; connecting anew")
            self._end(f"a defect: {error!r}")

    def _on_readable(self) -> None:
        self._guarded(self._client.loop_read)
        if self._is_attached and self._is_full():
            self._wait()

    def _on_writable(self) -> None:
        self._guarded(self._client.loop_write)

    def _on_time(self) -> None:
        self._misc = self._loop.call_later(MISC_S, self._on_time)
        self._guarded(self._client.loop_misc)

    # Called by paho, inside of the above.

    def _on_write_wanted(self, *_: Any) -> None:
        if self._is_attached:
            self._loop.add_writer(self._fileno, self._on_writable)

    def _on_write_done(self, *_: Any) -> None:
        if self._is_attached:
            self._loop.remove_writer(self._fileno)

    def _on_socket_close(self, *_: Any) -> None:
        if self._is_attached:
            self._detach()
