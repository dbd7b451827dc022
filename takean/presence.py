"""Which devices are there, as far as they, their last wills or their nodes said so."""

from alerts.judge import Judge
from ingest.births import Heard, says_gone


class Presence:
    """Tells the judge who is gone, and everybody what each device said last.

    `said` and `heard` are called while judging is held, `words` from any thread.
    """

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._said: dict[str, str] = {}

    def begin(self) -> None:
        """Whoever was gone before the start is gone."""
        self._said = {one: "offline" for one in self._judge.cells.registry.stations if self._judge.is_gone(one)}

    def said(self, station: str, payload: bytes, received_us: int) -> None:
        """A device, or its last will, told its state."""
        if station not in self._judge.cells.registry.stations:  # a broker lets anybody call itself anything
            return
        is_gone = says_gone(payload)
        self.heard(Heard(deaths={station: received_us} if is_gone else {}, states={station: not is_gone}))

    def heard(self, heard: Heard) -> None:
        """Devices came and went."""
        for station, at_us in heard.deaths.items():
            self._judge.died(station, at_us)
        for station, is_there in heard.states.items():
            self._said[station] = "online" if is_there else "offline"
        for node, text in heard.gaps.items():
            self._judge.tell("sparkplug_gap", node, text)

    def words(self) -> dict[str, str]:
        """Station -> online or offline: one that went and speaks again is there, though it did not say so."""
        return {
            station: said if self._judge.is_gone(station) else "online" for station, said in list(self._said.items())
        }
