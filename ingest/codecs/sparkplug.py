"""Sparkplug B: nodes say once, in a birth, what their metrics are called, and send data by alias from then on.

So this codec remembers. What it learns besides readings (births, deaths, losses) waits until somebody takes it; without
anybody it decodes just the same.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from ingest.codecs.bounds import shown
from ingest.codecs.sparkplug_metrics import BD_SEQ, Birth, read_birth, take
from ingest.codecs.sparkplug_payload import NotSparkplugError, Payload, parse, whole
from ingest.message import Reason, Rejection, Rows
from ingest.source import Source

PAYLOAD_BYTES_MAX = 256 * 1024
STRANGERS_MAX = 100
"""Nodes remembered of which nobody registered anything; those heard longest ago go."""
NAMES_MAX, STRANGER_NAMES_MAX = 50_000, 5_000
"""Names of metrics that are remembered of one node and all devices behind it."""
DEVICE_NAMES = 20
"""What a device counts for besides its metrics."""


class Node(msgspec.Struct):
    """A node as it is known now."""

    births: dict[str, Birth] = {}
    """Its own id (group/node) or that of a device behind it (group/node/device) -> its birth. None of whoever is
    dead."""
    bd_seq: int | None = None
    """Number of its session, which a death of the same session bears too."""


@dataclass(slots=True)
class News:
    """What was heard besides readings."""

    changed: set[str] = field(default_factory=set)
    """Nodes, and devices of one, whose births are others now or are gone."""
    deaths: dict[str, int] = field(default_factory=dict)
    """Node, or device of one -> arrival of its newest death, microseconds UTC. That of a node is that of all its
    devices."""
    states: dict[str, bool] = field(default_factory=dict)
    """Node, or device of one -> whether the newest word is that it is there."""
    gaps: dict[str, str] = field(default_factory=dict)
    """Node -> what is missing: its messages are numbered."""
    unclear: set[str] = field(default_factory=set)
    """Nodes that must be asked to say again who they are."""


class Sparkplug:
    """The codec and its memory; one thread at a time.

    Parameters
    ----------
    nodes : what is known from before: used until the first birth, for which the node is asked
    """

    def __init__(self, nodes: Mapping[str, Node] | None = None) -> None:
        self.nodes: dict[str, Node] = dict(nodes or {})
        """Those of which something is registered."""
        self._news = News()
        self._undo: dict[str, Node] = {}
        """Those that changed since the news was taken, as they were then."""
        self._strangers: OrderedDict[str, Node] = OrderedDict()
        self._seq: dict[str, int] = {}
        self._unconfirmed = set(self.nodes)

    def take_news(self) -> News:
        """What was heard since this was asked last. There is no way back behind it."""
        news, self._news = self._news, News()
        self._undo.clear()
        return news

    def go_back(self) -> None:
        """Be as at the last `take_news`: the messages since then come once more, and each must meet what it met."""
        self.nodes |= self._undo
        self._undo.clear()
        self._news = News()
        self._seq.clear()

    def decode(self, payload: bytes, source: Source, received_us: int, index: int, rows: Rows) -> list[Rejection]:
        """See `ingest.source.Codec`."""
        if source.verb.endswith("CMD"):
            return []  # what somebody says to a node
        if len(payload) > PAYLOAD_BYTES_MAX:
            return [Rejection(Reason.TOO_LARGE, f"{len(payload)} bytes; at most {PAYLOAD_BYTES_MAX}")]
        try:
            said = parse(payload)
        except NotSparkplugError as error:
            return [Rejection(Reason.NOT_SPARKPLUG, str(error))]
        name = "/".join(source.id.split("/")[:2])
        if source.verb.startswith("D") is (name == source.id):
            whom = "a device" if source.verb.startswith("D") else "a node"
            return [Rejection(Reason.FOREIGN_TOPIC, f"{source.verb} of {shown(source.id)}, which is not {whom}")]
        node = self._node(name, is_registered=source.is_registered)
        news = self._news if name in self.nodes else News()  # what strangers do is nobody's news
        if source.verb[1:] != "DATA" and name in self.nodes and name not in self._undo:
            self._undo[name] = Node(dict(node.births), node.bd_seq)
        if source.verb == "NDEATH":
            self._node_death(name, node, said, received_us, news)
            return []
        self._count(name, said.seq, news, is_birth=source.verb == "NBIRTH")
        if source.verb == "DDEATH":
            self._death(node, source.id, received_us, news)
            return []
        if not said.metrics:
            return [Rejection(Reason.NOT_SPARKPLUG, "no metric in it")]
        if source.verb.endswith("BIRTH"):
            if source.verb == "DBIRTH" and name not in node.births:
                return [_unborn(name, source, "its node", news)]
            birth, refused = read_birth(said)
            if not self._born(name, node, source.id, birth, said, news):
                return [Rejection(Reason.TOO_MANY, f"{shown(name)} names more metrics than are remembered of a node")]
        else:
            refused = []
            dead = next((each for each in (name, source.id) if each not in node.births), None)
            if dead is not None:
                return [_unborn(name, source, "its node" if dead != source.id else "it", news)]
            birth = node.births[source.id]
            if name in self._unconfirmed:
                news.unclear.add(name)
        taken, missing = take(said, birth, source, index, rows)
        if missing:
            news.unclear.add(name)
        return refused + taken

    # What is remembered.

    def _node(self, name: str, *, is_registered: bool) -> Node:
        node = self.nodes.get(name)
        if node is not None:
            return node
        if is_registered:
            self.nodes[name] = self._strangers.pop(name) if name in self._strangers else Node()
            return self.nodes[name]
        node = self._strangers.setdefault(name, Node())
        self._strangers.move_to_end(name)
        if len(self._strangers) > STRANGERS_MAX:
            gone, _ = self._strangers.popitem(last=False)
            self._seq.pop(gone, None)
        return node

    def _count(self, name: str, seq: int | None, news: News, *, is_birth: bool) -> None:
        """Messages of a node, and of all devices behind it, are numbered 0 to 255 and again from 0."""
        if seq is None:
            return
        before = self._seq.get(name)
        self._seq[name] = seq
        wanted = seq if before is None or is_birth else (before + 1) % 256
        if seq not in (wanted, before):  # the same number again is a message that came twice
            news.gaps[name] = f"{wanted} was expected, {seq} came"
            news.unclear.add(name)

    def _born(self, name: str, node: Node, id: str, birth: Birth, said: Payload, news: News) -> bool:
        """Remember a birth; False where there is no room."""
        if id == name:
            # Whatever stood behind the node must say anew what it is: aliases are of one session.
            news.changed |= node.births.keys()
            node.births.clear()
            node.bd_seq = next((whole(each) for each in said.metrics if each.name == BD_SEQ), None)
            self._unconfirmed.discard(name)
            news.unclear.discard(name)
        news.changed.add(id)
        node.births.pop(id, None)
        room = NAMES_MAX if name in self.nodes else STRANGER_NAMES_MAX
        if sum(DEVICE_NAMES + len(each.types) for each in (birth, *node.births.values())) > room:
            return False
        node.births[id] = birth
        news.states[id] = True
        return True

    def _node_death(self, name: str, node: Node, said: Payload, received_us: int, news: News) -> None:
        """The broker says it when the connection breaks; perhaps after the node came back by another."""
        session = next((whole(each) for each in said.metrics if each.name == BD_SEQ), None)
        if None not in (session, node.bd_seq) and name in node.births and session != node.bd_seq:
            return
        news.states |= dict.fromkeys(node.births, False)
        news.changed |= node.births.keys()
        self._death(node, name, received_us, news)
        node.births.clear()

    def _death(self, node: Node, id: str, received_us: int, news: News) -> None:
        node.births.pop(id, None)
        news.deaths[id] = received_us
        news.states[id] = False
        news.changed.add(id)


def _unborn(name: str, source: Source, who: str, news: News) -> Rejection:
    news.unclear.add(name)
    return Rejection(Reason.UNBORN, f"{source.verb} of {shown(source.id)}: no birth of {who} has been seen")
