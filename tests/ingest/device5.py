"""A device that speaks MQTT 5, by hand."""

from typing import Self

from ingest.packets import NO_PROPERTIES, Connack, Connect, Packet, PacketReader, Properties, Will, encode
from tests.ingest.box import PASSWORD, Box, Device


class Device5(Device):
    """A client that sends what it is told to, right or wrong, in MQTT 5."""

    def __init__(self, box: Box) -> None:
        super().__init__(box)
        self._reader = PacketReader(1_000_000, level=5)

    def send(self, *what: Packet | bytes) -> Self:
        self.socket.sendall(b"".join(item if isinstance(item, bytes) else encode(item, 5) for item in what))
        return self


def hello5(
    client: str = "gauge",
    station: str = "WL-01",
    *,
    clean: bool = True,
    will: Will | None = None,
    keep_alive_s: int = 60,
    password: bytes = PASSWORD.encode(),
    properties: Properties = NO_PROPERTIES,
) -> Connect:
    """A CONNECT of MQTT 5."""
    return Connect(client, clean, keep_alive_s, will, station, password, 5, properties)


def connect5(
    box: Box,
    client: str = "gauge",
    station: str = "WL-01",
    *,
    will: Will | None = None,
    keep_alive_s: int = 60,
    properties: Properties = NO_PROPERTIES,
) -> Device5:
    """A device of MQTT 5 that has been let in."""
    device = Device5(box)
    device.send(hello5(client, station, will=will, keep_alive_s=keep_alive_s, properties=properties))
    (answer,) = device.receive()
    assert isinstance(answer, Connack)
    assert answer.code == 0
    return device
