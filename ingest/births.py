"""Sparkplug nodes across restarts: their births on disk, their deaths by station, and asking them who they are."""

import logging
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from ingest.codecs.sparkplug import Node, Sparkplug
from ingest.codecs.sparkplug_metrics import Birth
from ingest.codecs.sparkplug_payload import rebirth
from ingest.source import Codec, Format
from sensors.stations import Device

log = logging.getLogger(__name__)

ASK_EVERY_US = 60_000_000
"""A node is asked at most so often who it is: its answer is long, and it may be on a slow line."""

_SCHEMA = """
create table if not exists birth (
    name text primary key, at_us integer not null, bd_seq text, birth blob not null
) strict;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What a batch said besides readings, by station."""

    deaths: Mapping[str, int] = field(default_factory=dict)
    """Station -> arrival of the word that its device is gone, microseconds UTC."""
    states: Mapping[str, bool] = field(default_factory=dict)
    """Station -> whether the newest word is that its device is there."""
    gaps: Mapping[str, str] = field(default_factory=dict)
    """Node -> which of its messages are missing; said as often as the node is asked."""


def says_gone(status: bytes) -> bool:
    """Whether a status of our own topics says that the device is not there, as docs/wire.md has it.

    Only the field `state` does: a birth may name other things that are offline. What is no JSON says it as a bare word,
    as simple devices write their last will.
    """
    try:
        said = msgspec.json.decode(status)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return status.strip() == b"offline"
    return (said.get("state") if isinstance(said, dict) else said) == "offline"


class Births:
    """All nodes of one world. Called in one thread at a time.

    Parameters
    ----------
    path : the file; made where it is missing. None: nothing is kept
    devices : see `sensors.stations.Registry.devices`
    ask : publishes a command: (topic, payload). It may be lost; must neither block nor raise
    """

    def __init__(
        self,
        path: Path | None,
        devices: Mapping[tuple[str, str], tuple[str, Device]],
        *,
        ask: Callable[[str, bytes], None],
    ) -> None:
        self._ask = ask
        self._asked_us: dict[str, int] = {}
        self._stations = {name: station for (via, name), (station, _) in devices.items() if via == Format.SPARKPLUG}
        self._behind: dict[str, list[str]] = {}
        """Node -> the registered ones among itself and its devices."""
        for name in self._stations:
            self._behind.setdefault(_node(name), []).append(name)
        self._database: sqlite3.Connection | None = None
        nodes: Mapping[str, Node] = {}
        if path is not None:
            self._database = sqlite3.connect(path, timeout=5.0, isolation_level=None, check_same_thread=False)
            self._database.execute("pragma journal_mode = wal")
            self._database.execute("pragma synchronous = full")
            self._database.executescript(f"begin immediate; {_SCHEMA} commit;")
            nodes = self._load(self._database)
        self._codec = Sparkplug(nodes)
        self._unwritten: set[str] = set()

    @property
    def codec(self) -> Codec:
        """Decodes, and remembers."""
        return self._codec.decode

    def again(self) -> None:
        """The batch that was decoded could not be made safe: the same messages come once more."""
        self._codec.go_back()

    def settle(self, now_us: int) -> Heard:
        """Keep what the batch changed, ask whom nobody understands, and tell the rest; then it may be acknowledged.

        A birth that cannot be written is tried again with the next batch: it holds up no reading, and its node will be
        asked for it.
        """
        news = self._codec.take_news()
        self._unwritten |= {name for name in news.changed if _node(name) in self._behind}
        if self._unwritten:
            self._write(now_us)
        asked = [name for name in news.unclear if self._may_ask(name, now_us)]
        for name in asked:
            group, node = name.split("/")
            self._asked_us[name] = now_us
            log.info("sparkplug: asking %s who it is", name)
            self._ask(f"spBv1.0/{group}/NCMD/{node}", rebirth(now_us // 1_000))
        deaths: dict[str, int] = {}
        for name, at_us in news.deaths.items():
            for one in self._behind.get(name, [name]):
                if one in self._stations:
                    deaths[self._stations[one]] = max(at_us, deaths.get(self._stations[one], at_us))
        return Heard(
            deaths=deaths,
            states={self._stations[name]: there for name, there in news.states.items() if name in self._stations},
            gaps={name: text for name, text in news.gaps.items() if name in asked},
        )

    def close(self) -> None:
        """Let go of the file."""
        if self._database is not None:
            self._database.close()

    def _may_ask(self, name: str, now_us: int) -> bool:
        """Whether a node of ours has not been asked for a while; a clock that was put back makes nobody wait."""
        return name in self._behind and not 0 <= now_us - self._asked_us.get(name, now_us - ASK_EVERY_US) < ASK_EVERY_US

    def _load(self, database: sqlite3.Connection) -> Mapping[str, Node]:
        """Births of the nodes that are still registered; what cannot be read is asked for anew."""
        nodes: dict[str, Node] = {}
        for name, bd_seq, birth in database.execute("select name, bd_seq, birth from birth"):
            if (of := _node(name)) not in self._behind:
                continue
            node = nodes.setdefault(of, Node(births={}))
            try:
                node.births[name] = msgspec.msgpack.decode(birth, type=Birth)
            except msgspec.DecodeError:
                log.exception("sparkplug: the birth of %s cannot be read; it is asked for a new one", name)
            if name == of:
                node.bd_seq = None if bd_seq is None else int(bd_seq)
        return nodes

    def _write(self, now_us: int) -> None:
        """Write what changed, each birth for itself: a node may have thousands of devices, and one of them comes and
        goes.
        """
        if self._database is None:
            return
        rows, gone = [], []
        for name in self._unwritten:
            node = self._codec.nodes.get(_node(name))
            if node is None or name not in node.births:
                gone.append((name,))
                continue
            bd_seq = str(node.bd_seq) if _node(name) == name and node.bd_seq is not None else None
            rows.append((name, now_us, bd_seq, msgspec.msgpack.encode(node.births[name])))
        try:
            self._database.execute("begin immediate")
            try:
                self._database.executemany("delete from birth where name = ?", gone)
                self._database.executemany("insert or replace into birth values (?, ?, ?, ?)", rows)
            except BaseException:
                self._database.execute("rollback")
                raise
            self._database.execute("commit")
        except sqlite3.Error:
            log.exception("sparkplug: births could not be written; tried again with the next message")
        else:
            self._unwritten.clear()


def _node(name: str) -> str:
    """The node that a name is of: itself, or that of a device."""
    return "/".join(name.split("/")[:2])
