"""Credentials that speak for many: a network server, a Sparkplug group, a gateway of our own stations. Pure."""

from collections.abc import Iterator
from typing import Literal

import msgspec

from ingest.source import Format, Sources
from ingest.topics import Leaf, Topics, is_station_name

Via = Literal["chirpstack", "things_stack", "sparkplug", "stations"]

_SPACE = {"chirpstack": "application/", "things_stack": "v3/"}
"""What all topics of a network server begin with, those that bring no readings (join, ack ...) among them."""


class Network(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a credential may publish that is not a station's."""

    via: Via
    group: str = ""
    """Of Sparkplug: the one it speaks for."""
    stations: tuple[str, ...] = ()
    """Of a gateway: whose topics it publishes on."""


def mistakes(name: str, network: Network) -> Iterator[str]:
    """What is wrong with it, each with what was expected."""
    who = f"network {name}"
    if not is_station_name(name):
        yield f"network {name!r}: a name is 1 to 32 of A-Z a-z 0-9 _ -"
    if network.via == "sparkplug" and (
        not network.group or set(network.group) & set("/+#") or not network.group.isprintable()
    ):
        yield f"{who}: --group is {network.group!r}; a Sparkplug group id is expected, without / + #"
    if network.via != "sparkplug" and network.group:
        yield f"{who}: only sparkplug has a group"
    if network.via == "stations" and not network.stations:
        yield f"{who}: --station names no station; a gateway speaks for those it lists"
    if network.via != "stations" and network.stations:
        yield f"{who}: only a network of kind stations lists stations; devices of {network.via} stand in stations.toml"
    yield from (f"{who}: {s!r} cannot be a station's id" for s in network.stations if not is_station_name(s))


def filters(network: Network, topics: Topics) -> list[str]:
    """The topics it may publish on, as filters for the access list of a broker."""
    match network.via:
        case "chirpstack":
            return ["application/+/device/+/event/up"]
        case "things_stack":
            return ["v3/+/devices/+/up"]
        case "sparkplug":
            return [f"spBv1.0/{network.group}/#"]
        case "stations":
            return [topic for s in network.stations for topic in (topics.data(s), topics.status(s), topics.ack(s))]


def heard(network: Network, topics: Topics) -> list[str]:
    """The topics it may subscribe to: commands to its stations and nodes."""
    match network.via:
        case "sparkplug":
            return [f"spBv1.0/{network.group}/NCMD/#"]
        case "stations":
            return [topics.cmd(s) for s in network.stations]
        case _:
            return []


class Reach:
    """What one network may publish, asked for each new topic of its connections."""

    def __init__(self, name: str, network: Network, *, sources: Sources, topics: Topics) -> None:
        self._name = name
        self._network = network
        self._sources = sources
        self._topics = topics
        self._space = _SPACE.get(network.via) or f"spBv1.0/{network.group}/"

    def of(self, topic: str) -> str | None:
        """What a message on this topic is: None, not for this credential to say; empty, readings; else the name whose
        status it is. Events of a network server that bring no readings are a status of its own: it is there.
        """
        if "+" in topic or "#" in topic:
            return None
        if self._network.via == "stations":
            place = self._topics.parse(topic)
            if place is None or place[1] not in (Leaf.DATA, Leaf.STATUS) or place[0] not in self._network.stations:
                return None
            return "" if place[1] is Leaf.DATA else place[0]
        if not topic.startswith(self._space):
            return None
        source = self._sources.find(topic)
        return "" if source is not None and source.format == Format(self._network.via) else self._name

    def answers(self, topic: str) -> str:
        """Station whose answer to a command a message on this topic is; empty for none."""
        place = self._topics.parse(topic)
        return place[0] if place is not None and place[1] is Leaf.ACK and place[0] in self._network.stations else ""

    def hears(self, topic_filter: str) -> str | None:
        """The topic that it may subscribe to by this filter: commands to its stations, or to nodes of its group.

        Nodes ask for `NCMD/{node}/#` too, which `NCMD/{node}` is one of (MQTT-4.7.1-2).
        """
        topic = topic_filter.removesuffix("/#")
        if self._network.via == "stations":
            place = self._topics.parse(topic_filter)
            return topic_filter if place and place[1] is Leaf.CMD and place[0] in self._network.stations else None
        node = topic.removeprefix(f"{self._space}NCMD/")
        is_node = self._network.via == "sparkplug" and node != topic and node and not set(node) & set("/+#")
        return topic if is_node else None
