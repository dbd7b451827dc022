"""How to reach a broker. Pure: who reads the files and the environment fills it in."""

from dataclasses import dataclass, field
from typing import Literal

from ingest.topics import Topics

WEEK_S = 7 * 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerOptions:
    """A broker, and how we sign in to it.

    Raises
    ------
    ValueError : a number outside of what MQTT can say
    """

    host: str
    port: int = 1883
    username: str = ""
    password: str = field(default="", repr=False)
    client_id: str = ""
    """Names our session at the broker: the same after every restart, and nobody else's. Empty: made from the topics."""
    ca_file: str = ""
    """Certificates (PEM) that the broker's is checked with; empty for a connection without TLS."""
    session_expiry_s: int = WEEK_S
    """How long the broker keeps messages for us while we are away. MQTT 5 only; 3.1.1 leaves it to the broker."""
    receive_maximum: int = 2_000
    """Unacknowledged messages the broker may have under way to us. MQTT 5 only."""
    topics: tuple[str, ...] = ()
    """Of others than our own devices: network servers, Sparkplug nodes. + and # as MQTT has them."""
    protocol: Literal["5", "3.1.1"] = "5"
    """3.1.1 for brokers that do not answer to 5."""

    def __post_init__(self) -> None:
        if not self.host or not 1 <= self.port <= 65_535:
            raise ValueError(f"broker {self.host!r}, port {self.port}: a host and a port from 1 to 65535 are needed")
        if not 1 <= self.receive_maximum <= 65_535:
            raise ValueError(f"receive_maximum is {self.receive_maximum}, but must be 1 to 65535")
        if not 0 < self.session_expiry_s <= 0xFFFF_FFFF:
            raise ValueError(f"session_expiry_s is {self.session_expiry_s}, but must be 1 to 4294967295")
        for topic in self.topics:
            if not is_filter(topic):
                raise ValueError(f"{topic!r} in topics is no topic; + stands for one whole word, # for the rest")
        if self.protocol not in {"5", "3.1.1"}:
            raise ValueError(f"protocol is {self.protocol!r}, but must be '5' or '3.1.1'")

    def client_id_in(self, topics: Topics) -> str:
        """The client id: two worlds on one broker have two sessions."""
        return self.client_id or f"ingest-{topics.prefix.replace('/', '-')}"


def is_filter(topic: str) -> bool:
    """Whether MQTT can subscribe to it, to nothing of the broker's own and in no shared way."""
    words = topic.split("/")
    whole = all(word in ("+", "#") or not set(word) & set("+#\0") for word in words)
    return bool(topic) and whole and "#" not in words[:-1] and not topic.startswith("$") and len(topic) <= 1_000
