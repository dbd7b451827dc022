"""PUBLISH, the one packet that comes by the thousand: read in place, without a copy of its body."""

from functools import lru_cache

from ingest.packets.codes import ReasonCode
from ingest.packets.errors import Malformed
from ingest.packets.fields import Body
from ingest.packets.packet import Publish
from ingest.packets.properties import (
    PROPERTY_BYTES_MAX,
    PUBLISH,
    Properties,
    read_properties,
)

_PROPERTIES_SEEN = PROPERTY_BYTES_MAX + 4
_ALIAS_ALONE = b"\3\x23"
"""Three bytes of properties, the first of them *topic alias*: what a device sends that saves its battery."""


class TopicAliases:
    """The short names that a device has given its topics on this connection [MQTT5-3.3.2-7]."""

    def __init__(self, maximum: int) -> None:
        self._maximum = maximum
        self._topics: dict[int, bytes] = {}

    def resolve(self, topic: bytes, alias: int | None) -> bytes:
        """Topic of a PUBLISH; remembers it where a topic and an alias come together."""
        if alias is None:
            if not topic:
                raise Malformed("PUBLISH with neither topic nor alias", ReasonCode.PROTOCOL_ERROR)
            return topic
        if not 0 < alias <= self._maximum:
            raise Malformed(f"topic alias {alias}; 1 to {self._maximum} are taken", ReasonCode.TOPIC_ALIAS_INVALID)
        if topic:
            self._topics[alias] = topic
            return topic
        known = self._topics.get(alias)
        if known is None:
            raise Malformed(f"topic alias {alias} has not been given a topic", ReasonCode.PROTOCOL_ERROR)
        return known


def read_publish(buffer: bytes, head: int, start: int, stop: int, aliases: TopicAliases | None) -> Publish:
    """Read the PUBLISH whose first byte is `head` and whose body `buffer[start:stop]`.

    Without `aliases` it is one of MQTT 3.1.1, with them one of MQTT 5.
    """
    if stop - start < 2:
        raise Malformed("PUBLISH without a topic")
    begin = start + 2
    after = begin + (buffer[start] << 8 | buffer[start + 1])
    qos = head >> 1 & 3
    packet_id = 0
    payload_start = after
    if qos:
        if qos == 3:
            raise Malformed("PUBLISH with QoS 3")  # [MQTT-3.3.1-4]
        payload_start = after + 2
        if payload_start <= stop:
            packet_id = buffer[after] << 8 | buffer[after + 1]
            if not packet_id:
                raise Malformed("PUBLISH with packet identifier 0", ReasonCode.PROTOCOL_ERROR)  # [MQTT-2.3.1-1]
    elif head & 8:
        raise Malformed("PUBLISH of QoS 0 with the DUP flag")  # [MQTT-3.3.1-2]
    if payload_start > stop:
        raise Malformed("PUBLISH ends inside its header")
    topic = buffer[begin:after]
    if aliases is None:
        return Publish(topic, buffer[payload_start:stop], qos, packet_id, head & 8 != 0, head & 1 != 0)
    if payload_start < stop and not buffer[payload_start] and topic:
        return Publish(topic, buffer[payload_start + 1 : stop], qos, packet_id, head & 8 != 0, head & 1 != 0)
    properties, payload_start = _properties(buffer, payload_start, stop)
    topic = aliases.resolve(topic, properties.topic_alias)
    return Publish(topic, buffer[payload_start:stop], qos, packet_id, head & 8 != 0, head & 1 != 0, properties)


def _properties(buffer: bytes, start: int, stop: int) -> tuple[Properties, int]:
    """Properties, and where the payload begins."""
    if stop - start >= 4 and buffer[start : start + 2] == _ALIAS_ALONE:
        return _alias_alone(buffer[start + 2] << 8 | buffer[start + 3]), start + 4
    body = Body(buffer[start : min(stop, start + _PROPERTIES_SEEN)])
    properties = read_properties(body, PUBLISH)
    if properties.subscription_id is not None:
        raise Malformed("PUBLISH of a client with a subscription identifier", ReasonCode.PROTOCOL_ERROR)
    return properties, start + body.at


@lru_cache(maxsize=64)
def _alias_alone(alias: int) -> Properties:
    return Properties(topic_alias=alias)
