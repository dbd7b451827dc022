"""The kinds of input: a file for each, and its line here."""

from collections.abc import Mapping

from alerts.inputs.ahead import Ahead
from alerts.inputs.band import Band
from alerts.inputs.jump import Jump
from alerts.inputs.low import Low
from alerts.inputs.machine import Machine
from alerts.inputs.rain_sum import RainSum
from alerts.inputs.stuck import Stuck

KINDS: Mapping[str, type[Machine]] = {
    "low": Low,
    "ahead": Ahead,
    "sum": RainSum,
    "band": Band,
    "jump": Jump,
    "stuck": Stuck,
}
"""By `Listens.kind`; the value and the slope are there for every series and need none."""
