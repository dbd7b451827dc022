"""The second look: what later readings and other series say of readings that are stored already.

It follows the journal in order of arrival and answers with revisions. It is kept apart from what a reading is flagged
with when it comes, on which alone rules go:

- One series alone must decide live. A reading that differs from all around it is what a flash flood at one gauge and a
  cloudburst over one gauge look like; the neighbours may doubt it before people, but not silence it.
- Judgement of a series is folded anew when readings come late (two tracks). Were it to depend on other series, the
  order in which those arrived would change what is settled.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from sensors.checks.company import Around, Company, compare
from sensors.checks.showers import Gauges, Sky, look_around
from sensors.checks.spikes import Newest, spikes
from sensors.checks.verdicts import Verdicts
from sensors.flags import FAIL, GOOD, SUSPECT, Check, unpack, usable
from sensors.sensor import Limits
from sensors.stations import Registry
from sensors.store import Journal


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Seen:
    """All that a second look remembers."""

    newest: Newest
    around: Around
    sky: Sky


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SecondLook:
    """How one registry is looked at again; all state is handed in and out."""

    limits: Limits
    company: Company
    gauges: Gauges

    @classmethod
    def of(cls, registry: Registry) -> Self:
        """Lay out once."""
        return cls(limits=registry.limits, company=Company.of(registry), gauges=Gauges.of(registry))

    def nothing(self) -> Seen:
        """Before the first reading."""
        n = len(self.limits.spike)
        return Seen(newest=Newest.empty(n), around=Around.empty(n), sky=Sky.empty(len(self.gauges)))

    def take(self, rows: Journal, seen: Seen) -> tuple[Verdicts, Seen]:
        """Look at stored rows; two pieces one after the other give what both at once would."""
        checks = unpack(rows.checks)
        measured = np.isfinite(rows.batch.value) & ~rows.conflict
        gross = checks[Check.GROSS_RANGE]
        believable = measured & (gross >= GOOD) & (gross < FAIL) & (checks[Check.CLOCK] < SUSPECT)
        sound = measured & usable(rows.flag) & (checks[Check.CLOCK] == GOOD)
        leaps, newest = spikes(rows.batch, checks[Check.SPIKE], believable, seen.newest, self.limits)
        others, around = compare(rows.batch, sound, seen.around, self.company)
        rain, sky = look_around(rows.batch, sound, seen.sky, self.gauges)
        return Verdicts.joined([leaps, others, rain]), Seen(newest=newest, around=around, sky=sky)
