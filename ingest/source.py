"""Whose a message is: read from its topic and the registry, once for each topic."""

import re
from collections.abc import Callable, Container, Mapping
from enum import StrEnum

import msgspec

from ingest.message import Rejection, Rows
from ingest.topics import Leaf, Topics
from sensors.stations import Device, Registry

TOPICS_MAX = 100_000
"""Topics remembered; a hostile broker could send any number."""
TOPIC_CHARS_MAX = 256
"""Of a topic that is remembered; MQTT allows 65,535, and a hundred thousand of these are 6 GB."""


class Format(StrEnum):
    """Who wrote the payload; see docs/wire.md."""

    OWN = "own"
    """Flat JSON or SenML (JSON, CBOR), on our own topics; the payload itself says which."""
    CHIRPSTACK = "chirpstack"
    THINGS_STACK = "things_stack"
    SPARKPLUG = "sparkplug"


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Whose a message is."""

    format: Format
    station: str
    """Whose its readings are; of a device that nobody registered, its own id."""
    device: Device | None = None
    """As the registry describes it; None on our own topics and for one that nobody registered."""
    id: str = ""
    """The device's own id: DevEUI in small letters; application@tenant/device of The Things Stack, where an id is one
    only within its application; group/node[/device] of Sparkplug."""
    verb: str = ""
    """Message type of Sparkplug: NBIRTH, DDATA ..."""
    is_registered: bool = True
    """Whether the registry knows who this is; a Sparkplug node is known by any device behind it."""


Codec = Callable[[bytes, Source, int, int, Rows], list[Rejection]]
"""(payload, source, arrival in microseconds, number of the message, rows) -> refusals.

Appends the good readings to the rows, in the order of the payload, each with `source.station`; values in the canonical
unit, NaN where the instrument measured nothing. One Rejection for each part that is bad. Never raises, whatever the
bytes.
"""

_CHIRPSTACK = re.compile(r"application/[^/]+/device/([0-9A-Fa-f]{16})/event/(\w+)")
_THINGS_STACK = re.compile(r"v3/([^/]+)/devices/([a-z0-9](?:[-]?[a-z0-9]){1,35})/(\w+)")
_SPARKPLUG = re.compile(r"spBv1\.0/([^/]+)/([ND](?:BIRTH|DEATH|DATA|CMD))/([^/]+)(?:/([^/]+))?")


class Sources:
    """What each topic says, remembered."""

    def __init__(
        self,
        topics: Topics,
        devices: Mapping[tuple[str, str], tuple[str, Device]],
        stations: Container[str] | None = None,
    ) -> None:
        self._topics = topics
        self._devices = devices
        self._stations = stations
        """Those that are registered; None: every name is."""
        self._nodes = {name.rpartition("/")[0] for via, name in devices if via == Format.SPARKPLUG}
        self._known: dict[str, Source | None] = {}

    @classmethod
    def of(cls, topics: Topics, registry: Registry) -> "Sources":
        """For the devices of a registry."""
        return cls(topics, registry.devices, registry.stations)

    def find(self, topic: str) -> Source | None:
        """Whose a message on this topic is; None where readings do not come by it."""
        try:
            return self._known[topic]
        except KeyError:
            if len(topic) > TOPIC_CHARS_MAX:
                return self._read(topic)
            if len(self._known) >= TOPICS_MAX:
                self._known.clear()
            found = self._known[topic] = self._read(topic)
            return found

    def _read(self, topic: str) -> Source | None:
        place = self._topics.parse(topic)
        if place is not None:
            known = self._stations is None or place[0] in self._stations
            is_data = place[1] is Leaf.DATA
            return Source(format=Format.OWN, station=place[0], id=place[0], is_registered=known) if is_data else None
        if match := _CHIRPSTACK.fullmatch(topic):
            return self._foreign(Format.CHIRPSTACK, match[1].lower()) if match[2] == "up" else None
        if match := _THINGS_STACK.fullmatch(topic):
            return self._foreign(Format.THINGS_STACK, f"{match[1]}/{match[2]}") if match[3] == "up" else None
        if match := _SPARKPLUG.fullmatch(topic):
            return self._foreign(Format.SPARKPLUG, "/".join(w for w in (match[1], match[3], match[4]) if w), match[2])
        return None

    def _foreign(self, form: Format, name: str, verb: str = "") -> Source:
        station, device = self._devices.get((form, name), (name, None))
        known = device is not None or (form is Format.SPARKPLUG and name in self._nodes)
        return Source(format=form, station=station, device=device, id=name, verb=verb, is_registered=known)
