"""Lines for tests: a pseudo-terminal that can be pulled out and put back, and a door of it."""

import json
import os
import select
import threading
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ingest.message import Message
from ingest.serial.door import SerialDoor
from ingest.serial.options import SerialLine, names_of
from ingest.topics import Topics
from tests.ingest.box import PumpBox, until


class Wire:
    """The instrument's end of a pseudo-terminal; the port is a link, as udev makes them."""

    def __init__(self, port: Path) -> None:
        self.port = port
        self.master = self._slave = -1
        self.plug()

    def plug(self) -> None:
        self.master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.port.symlink_to(os.ttyname(self._slave))

    def unplug(self) -> None:
        if self.master >= 0:
            self.port.unlink()
            os.close(self.master)
            os.close(self._slave)
            self.master = -1

    def say(self, data: bytes) -> None:
        assert os.write(self.master, data) == len(data)

    def hears(self) -> bytes:
        """What has come down the line since the last call."""
        return os.read(self.master, 4096) if select.select([self.master], [], [], 0)[0] else b""


@contextmanager
def bridge(one: Wire, other: Wire) -> Iterator[None]:
    """A cable: what comes out of one end goes into the other."""
    over_r, over_w = os.pipe()

    def carry() -> None:
        ends = {one.master: other.master, other.master: one.master}
        while True:
            ready, _, _ = select.select([*ends, over_r], [], [])
            if over_r in ready:
                return
            for end in ready:
                os.write(ends[end], os.read(end, 4096))

    thread = threading.Thread(target=carry)
    thread.start()
    try:
        yield
    finally:
        os.write(over_w, b".")
        thread.join()
        os.close(over_r)
        os.close(over_w)


class DoorBox(PumpBox):
    """A pump with one serial door."""

    def __init__(self, options: SerialLine, *, known: set[str] | None = None) -> None:
        super().__init__()
        self.alarms: list[tuple[str, str, str]] = []
        self.door = SerialDoor(
            pump=self.pump,
            options=options,
            topics=Topics("takean/v1"),
            known=set(names_of(options).values()) if known is None else known,
            now_us=self._tick,
            alarm=lambda *alarm: self.alarms.append(alarm),
        )
        self.run(self.door.start())

    def _tick(self) -> int:
        self.now_us += 1_000
        return self.now_us

    async def close_door(self) -> None:
        await self.door.stop()

    @property
    def readings(self) -> list[dict[str, Any]]:
        """The values of each message, in order."""
        return [json.loads(payload)["values"] for payload in self.payloads]

    def message(self, number: int = 0) -> Message:
        until(lambda: len(self.messages) > number)
        return self.messages[number]
