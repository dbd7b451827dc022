"""How far a reading can be believed.

`reception` says it when a reading comes, from its own series alone. `second` says it anew, as a revision, once what
came later or what other series say decides: the next reading (`spikes`), another channel of the same instrument or a
level nearby (`company`), the rain gauges around (`showers`).
"""

from sensors.checks.reception import GAP_CADENCES, Flagged, flag, gross_range, leaps

__all__ = ["GAP_CADENCES", "Flagged", "flag", "gross_range", "leaps"]
