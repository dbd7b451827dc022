"""Grammar of topics, in both directions; see docs/wire.md, Topics."""

import re
from enum import StrEnum

_STATION = re.compile(r"[A-Za-z0-9_-]{1,32}")


class Leaf(StrEnum):
    """Last word of a topic: what the message is about."""

    DATA = "data"
    STATUS = "status"
    CMD = "cmd"
    ACK = "ack"


_LEAVES = frozenset(leaf.value for leaf in Leaf)


def is_station_name(name: str) -> bool:
    """Whether this can be the name of a station: 1 to 32 of A-Z a-z 0-9 _ -."""
    return _STATION.fullmatch(name) is not None


class Topics:
    """Topics of one world.

    Parameters
    ----------
    prefix : words before the station, without a slash at the ends: "takean/v1", or "takean/drill/v1" for a drill

    Raises
    ------
    ValueError : the prefix is empty, has an empty word, a wildcard or U+0000
    """

    def __init__(self, prefix: str) -> None:
        if any(not word or set(word) & set("+#\0") for word in prefix.split("/")):
            raise ValueError(f"topic prefix {prefix!r}: words between single slashes are needed, no + or #")
        self.prefix = prefix

    def data(self, station: str) -> str:
        """Where a station sends its readings."""
        return f"{self.prefix}/{station}/{Leaf.DATA}"

    def status(self, station: str) -> str:
        """Where a station says that it is there, and its last will that it is not."""
        return f"{self.prefix}/{station}/{Leaf.STATUS}"

    def cmd(self, station: str) -> str:
        """Where a station listens."""
        return f"{self.prefix}/{station}/{Leaf.CMD}"

    def ack(self, station: str) -> str:
        """Where a station answers commands."""
        return f"{self.prefix}/{station}/{Leaf.ACK}"

    def parse(self, topic: str) -> tuple[str, Leaf] | None:
        """Read a topic of this world as (station, leaf); None for any other."""
        head, _, leaf = topic.rpartition("/")
        prefix, _, station = head.rpartition("/")
        if prefix != self.prefix or leaf not in _LEAVES or not is_station_name(station):
            return None
        return station, Leaf(leaf)
