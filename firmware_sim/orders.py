"""What a device does with a command, see docs/wire.md: it refuses after the end, and does nothing twice."""

import json
from collections import OrderedDict

KEPT = 16
"""Answers it remembers, by the id of the command."""


class Orders:
    """The commands of one device. It knows `{"do": "report"}` and answers that it is there."""

    def __init__(self, firmware: str) -> None:
        self._firmware = firmware
        self._answers: OrderedDict[str, bytes] = OrderedDict()
        self.done = 0
        """Commands it has carried out."""

    def answer(self, payload: bytes, now_us: int) -> bytes | None:
        """What it says on its `ack` topic; None to what is no command. `now_us` is its own clock, microseconds UTC."""
        try:
            command = json.loads(payload)
            name, expires_ms = command["id"], command["expires"]
        except (ValueError, TypeError, KeyError, RecursionError):
            return None
        if not isinstance(name, str) or type(expires_ms) is not int:
            return None
        if name not in self._answers:
            self._answers[name] = self._carry_out(name, command.get("do"), now_us >= expires_ms * 1_000)
            if len(self._answers) > KEPT:
                self._answers.popitem(last=False)
        return self._answers[name]

    def _carry_out(self, name: str, what: object, is_late: bool) -> bytes:
        if is_late:
            return json.dumps({"id": name, "ok": False, "why": "expired"}).encode()
        if what != "report":
            return json.dumps({"id": name, "ok": False, "why": "unknown"}).encode()
        self.done += 1
        return json.dumps({"id": name, "ok": True, "fw": self._firmware}).encode()
