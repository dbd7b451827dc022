"""What one credential may publish and hear: a station on its own topics, a network on those of its kind. Pure."""

from dataclasses import dataclass

from ingest.message import Reason
from ingest.networks import Reach
from ingest.packets import Malformed, Publish, ReasonCode
from ingest.packets.fields import text_of
from ingest.topics import Topics

TOPICS_KEPT = 1_000
"""Of a network, read and remembered."""
TOPIC_BYTES_KEPT = 256
"""Of one that is remembered, and of a foreign one for the quarantine: a topic may have 64 KiB."""


@dataclass(frozen=True, slots=True)
class Place:
    """A topic that the credential may publish on."""

    topic: str
    status_of: str = ""
    """Whose birth or last will a message here is; empty for others."""
    answer_of: str = ""
    """Whose answer to a command it is; empty for others."""


class Rights:
    """Of one connection that was let in.

    Parameters
    ----------
    name : of the station or network
    reach : of a network; None for a station
    """

    def __init__(self, name: str, topics: Topics, reach: Reach | None) -> None:
        self._reach = reach
        self._places: dict[bytes, Place | None] = {}
        self._cmd = ""
        self.data_topic = ""
        """Where a station sends its readings; empty for a network, which has many such."""
        self.data_field = b""
        """The same behind its length, as it stands in a packet."""
        if reach is None:
            self._cmd = topics.cmd(name)
            self.data_topic, status, ack = topics.data(name), topics.status(name), topics.ack(name)
            own = (Place(self.data_topic), Place(status, status_of=name), Place(ack, answer_of=name))
            self._places = {place.topic.encode(): place for place in own}
            self.data_field = len(self.data_topic).to_bytes(2) + self.data_topic.encode()

    def place(self, topic: bytes) -> Place | None:
        """What a message on this topic is; None where it may not be published."""
        if self._reach is None:
            return self._places.get(topic)
        if topic in self._places:
            return self._places[topic]
        place = self._read(topic, self._reach)
        if len(topic) <= TOPIC_BYTES_KEPT:
            if len(self._places) >= TOPICS_KEPT:
                self._places.clear()
            self._places[topic] = place
        return place

    def fault(self, packet: Publish) -> tuple[Reason, str, ReasonCode]:
        """Why a message is not taken: it has no `place`, or is of QoS 2."""
        if packet.qos == 2:
            return Reason.NOT_MQTT, "QoS 2 is not spoken here", ReasonCode.QOS_NOT_SUPPORTED
        kind = "its own data and status topics" if self._reach is None else "the topics of its kind"
        return Reason.FOREIGN_TOPIC, f"may publish only to {kind}", _fault_of_topic(packet.topic)

    def hears(self, topic_filter: str) -> str | None:
        """The topic that may be subscribed to by a filter; None for none."""
        if self._reach is not None:
            return self._reach.hears(topic_filter)
        return topic_filter if topic_filter == self._cmd else None

    @staticmethod
    def _read(topic: bytes, reach: Reach) -> Place | None:
        try:
            text = text_of(topic)
        except Malformed:
            return None
        status_of = reach.of(text)
        if status_of is not None:
            return Place(text, status_of=status_of)
        station = reach.answers(text)
        return Place(text, answer_of=station) if station else None


def _fault_of_topic(topic: bytes) -> ReasonCode:
    """Say what is wrong with the topic of a message that is not taken."""
    try:
        name = text_of(topic)  # [MQTT-3.3.2-1, MQTT5-3.3.2-1]
    except Malformed as error:
        return error.code
    return ReasonCode.TOPIC_NAME_INVALID if "+" in name or "#" in name else ReasonCode.NOT_AUTHORIZED
