"""The bounds of the endpoint, and what it counts."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds; the defaults are those of docs/wire.md."""

    packet_bytes: int = 256 * 1024
    """Remaining length of a packet."""
    connect_bytes: int = 1024
    """Remaining length of CONNECT."""
    connect_s: float = 15.0
    """From accepting a connection to its CONNECT, with TLS two or three answers of a network that may take seconds for
    each: many wait at a time, and the oldest goes when they are too many."""
    connections: int = 6_000
    connections_per_station: int = 16
    """Let in; one more closes the oldest, which is the likeliest to be dead."""
    connections_per_network: int = 1_000
    """The same of a network: each node of a Sparkplug group may have a connection of its own."""
    unconnected: int = 1_000
    """Not let in yet, of all addresses; one more closes the oldest, for an honest device is let in at once."""
    unconnected_per_address: int = 256
    """Connections of one address that have not been let in yet; a whole district may come from one, the network's."""
    unacked_messages: int = 2_000
    """Of one connection; beyond it, nothing is read from it."""
    unacked_bytes: int = 2 * 1024 * 1024
    """Of one connection, the same."""
    inbox_bytes: int = 128 * 1024 * 1024
    """Of all connections together: beyond it, nothing is read from any that sends."""
    refusals_per_station: int = 16
    """Refusals of packets that wait for their quarantine row; beyond it, connections are closed without one."""
    batch_messages: int = 4_000
    batch_bytes: int = 512 * 1024
    """Payloads of a batch, and one packet: a message may hold 2,000 readings, and while a batch is judged nothing else
    is. 512 KiB of short SenML records are 18,000 readings; plain messages reach the bound above before."""
    client_id_chars: int = 64
    topic_aliases: int = 16
    """Short names for topics that a client of MQTT 5 may use; a device has three topics."""
    retry_s_max: float = 1.0
    answers_s: float = 60.0
    """What a peer gets to take its answers when so many are waiting that nothing more is read from it."""
    close_s: float = 1.0
    """What a peer gets to take our last bytes before the connection is cut."""


@dataclass(slots=True)
class Counters:
    """What happened since the start, and what is so now; for /metrics."""

    connections: int = 0
    """Open now, let in or not."""
    accepted: int = 0
    messages: int = 0
    acknowledged: int = 0
    batches: int = 0
    failed_batches: int = 0
    """Tries that failed; the batch was kept and tried again."""
    pauses: int = 0
    """Times reading from a connection stopped: it or the inbox was full, or it did not take our answers."""
    refused: Counter[str] = field(default_factory=Counter)
    """Messages and packets that went to quarantine from here, by reason of docs/wire.md."""
    unrecorded: int = 0
    """Refusals without a quarantine row: their station had `Limits.refusals_per_station` waiting."""
    dropped_wills: int = 0
    """Last wills not taken because the inbox was full."""
    closed: Counter[str] = field(default_factory=Counter)
    """Connections that we closed, by cause."""
