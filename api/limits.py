"""How often something may be tried: bounded memory, no background work."""

from collections import OrderedDict
from dataclasses import dataclass, field

SECOND_US = 1_000_000


@dataclass(slots=True)
class Attempts:
    """At most `most` tries per key within `window_us`; beyond `keys_max` keys the longest untouched is forgotten."""

    most: int
    window_us: int
    keys_max: int = 4096
    _tries: OrderedDict[str, list[int]] = field(default_factory=OrderedDict)

    def wait_us(self, key: str, now_us: int) -> int:
        """How long this key has to wait for its next try; 0 when it may."""
        tries = [t for t in self._tries.get(key, ()) if now_us - self.window_us < t <= now_us]
        return tries[-self.most] + self.window_us - now_us if len(tries) >= self.most else 0

    def note(self, key: str, now_us: int) -> None:
        """A try was made."""
        self._tries[key] = [*self._tries.pop(key, ())[-self.most + 1 :], now_us]
        while len(self._tries) > self.keys_max:
            self._tries.popitem(last=False)

    def forget(self, key: str) -> None:
        """It succeeded."""
        self._tries.pop(key, None)
