"""The worker's ways in, all on its event loop: our own endpoint, a broker, instruments on this box's own lines."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from api.deps import BrokerStatus
from ingest.broker_options import BrokerOptions
from ingest.certificates import TlsOptions
from ingest.commands import Commands
from ingest.credentials import Keys, verify
from ingest.endpoint import Endpoint
from ingest.networks import Reach
from ingest.pump import Pump
from ingest.serial.options import SerialLine
from ingest.source import Sources
from ingest.topics import Topics
from sensors.stations import Registry

if TYPE_CHECKING:  # most boxes have neither
    from ingest.broker import Broker
    from ingest.serial.door import SerialDoor

KEYS_S = 1.0
"""How often it is looked whether secrets have changed."""
Alarm = Callable[[str, str, str], None]
"""(code, subject, text) for people; it does not wait."""


class Doors:
    """Opened and closed together. Everything but the properties is called on the event loop.

    Parameters
    ----------
    pump : takes whatever comes in
    keys : who may come in at the endpoint
    """

    def __init__(
        self,
        *,
        pump: Pump,
        topics: Topics,
        sources: Sources,
        registry: Registry,
        keys: Keys,
        now_us: Callable[[], int],
        alarm: Alarm,
        listen: tuple[str, int] | None,
        tls: TlsOptions | None,
        broker: BrokerOptions | None,
        serial: Sequence[SerialLine],
    ) -> None:
        self._pump = pump
        self._topics = topics
        self._sources = sources
        self._registry = registry
        self._keys, self._looked_s = keys, 0.0
        self._now_us = now_us
        self._alarm = alarm
        self.commands = Commands(topics, now_us, self._publish_elsewhere)
        self._endpoint: Endpoint | None = None
        if listen is not None or tls is not None:
            self._endpoint = Endpoint(
                pump=pump,
                host=listen[0] if listen is not None else "",
                port=listen[1] if listen is not None else None,
                tls=tls,
                commands=self.commands,
                topics=topics,
                check=lambda name, secret: verify(keys.now, name, secret, now_us=now_us()),
                now_us=now_us,
                reach=self._reach,
            )
        self.broker_name = f"{broker.host}:{broker.port}" if broker is not None else ""
        self._broker = self._open_broker(broker) if broker is not None else None
        self._serial = [self._open_serial(line) for line in serial]

    @property
    def address(self) -> tuple[str, int] | None:
        """Where devices connect; None without an endpoint."""
        return self._endpoint.address if self._endpoint is not None else None

    @property
    def is_deaf(self) -> bool:
        """Whether the only way in is a broker that is away: silence is then not the stations' fault."""
        return self._endpoint is None and self._broker is not None and not self._broker.connected

    @property
    def broker(self) -> BrokerStatus | None:
        """How the broker is, where there is one."""
        return BrokerStatus(connected=self._broker.connected, drops=self._broker.drops) if self._broker else None

    async def open(self) -> None:
        """From now on readings come in.

        Raises
        ------
        OSError : an address cannot be had
        """
        if self._endpoint is not None:
            await self._endpoint.start()
        if self._broker is not None:
            await self._broker.start()
        for line in self._serial:
            await line.start()

    async def close(self) -> None:
        """Nothing comes in any more."""
        doors = [door.stop() for door in (self._endpoint, self._broker, *self._serial) if door is not None]
        await asyncio.gather(*doors)

    async def turn(self) -> None:
        """Let in by the secrets of now; who came in by one that is void must come again. Commands are tried again."""
        if time.monotonic() - self._looked_s >= KEYS_S:
            self._looked_s = time.monotonic()
            names = await asyncio.to_thread(self._keys.refresh)
            if names and self._endpoint is not None:
                self._endpoint.expel(names)
        self.commands.retry()

    def _reach(self, name: str) -> Reach | None:
        network = self._keys.now.networks.get(name)
        return Reach(name, network, sources=self._sources, topics=self._topics) if network is not None else None

    def _publish_elsewhere(self, topic: str, payload: bytes) -> bool:
        """Publish by the broker what is for a device that is not connected to us; whether there is one."""
        if self._broker is None or not self._broker.connected:
            return False
        self._broker.publish(topic, payload, 1)
        return True

    def _open_broker(self, options: BrokerOptions) -> "Broker":
        from ingest.broker import Broker  # noqa: PLC0415  (as above)

        def alarm(code: str, text: str) -> None:
            self._alarm(code, self.broker_name, text)

        return Broker(
            pump=self._pump,
            options=options,
            topics=self._topics,
            now_us=self._now_us,
            alarm=alarm,
            answered=self.commands.answered,
        )

    def _open_serial(self, options: SerialLine) -> "SerialDoor":
        from ingest.serial.door import SerialDoor  # noqa: PLC0415  (as above)

        known = {sensor.name for sensor in self._registry.stations[options.station].sensor}
        return SerialDoor(
            pump=self._pump,
            options=options,
            topics=self._topics,
            known=known,
            now_us=self._now_us,
            alarm=self._alarm,
        )
