"""Commands to devices, for whoever asks from another thread than that of the event loop, on which they live."""

import asyncio
from collections.abc import Callable, Container, Mapping
from contextlib import suppress
from typing import Any, TypeVar

from ingest.commands import Commands, Fate
from sensors.store import TooSlow

ANSWER_S_MAX = 2.0
"""The event loop is never so busy."""
T = TypeVar("T")


class Orders:
    """The way to them, from any thread.

    Parameters
    ----------
    stations : those that are registered
    now_us : clock of judgement
    """

    def __init__(self, commands: Commands, *, stations: Container[str], now_us: Callable[[], int]) -> None:
        self._commands = commands
        self._stations = stations
        self._now_us = now_us
        self._loop: asyncio.AbstractEventLoop | None = None

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """From now on they are taken."""
        self._loop = loop

    def order(self, station: str, order: Mapping[str, Any], *, id: str, expires_s: float) -> None:
        """Send a command to a device. See `ingest.commands.Commands.order`.

        Raises
        ------
        ValueError : nobody registered it, it has too many commands, or this is none
        TooSlow : the worker is still starting, or stops
        """
        if station not in self._stations:
            raise ValueError(f"{station} is not in stations.toml, or the running worker has not read it yet")
        expires_us = self._now_us() + round(expires_s * 1e6)
        self._on_loop(lambda: self._commands.order(station, order, id=id, expires_us=expires_us))

    def fate(self, station: str, id: str) -> Fate | None:
        """What became of a command; None of one that is not known.

        Raises
        ------
        TooSlow : as above
        """
        return self._on_loop(lambda: self._commands.fate(station, id))

    def ask(self, topic: str, payload: bytes) -> None:
        """Ask a node for something; lost where it neither listens here nor a broker leads to it."""
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed: we stop
                self._loop.call_soon_threadsafe(self._commands.say, topic, payload)

    def _on_loop(self, work: Callable[[], T]) -> T:
        async def run() -> T:
            return work()

        if self._loop is None:
            raise TooSlow("the worker is still starting")
        doing = run()
        try:
            return asyncio.run_coroutine_threadsafe(doing, self._loop).result(ANSWER_S_MAX)
        except TimeoutError:
            raise TooSlow("the worker has no time for it") from None
        except RuntimeError:  # the loop is closed
            doing.close()
            raise TooSlow("the worker stops") from None
