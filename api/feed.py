"""What the live pages show: facts to views to rendered fragments, each once."""

import math
from collections.abc import Collection, Hashable, Mapping

import msgspec
import numpy as np

from api import templates
from api.deps import Deps
from api.hub import Frame, Topic
from api.read import Snapshots
from api.screens.console import console
from api.screens.facts import MINUTE_US, Facts
from api.screens.public import phone, public
from api.screens.stations import Observed, observe, panel
from api.views.console import User

NOBODY = User(name="", role_thai="", csrf="", may_acknowledge=False, may_release=False)
"""Live fragments are the same for everyone: who may press what is said once by the page around them."""


class LiveFeed:
    """The hub's feed over store and record."""

    def __init__(self, deps: Deps, snapshots: Snapshots) -> None:
        self._deps = deps
        self._snapshots = snapshots
        self._keys = deps.registry.keys()
        self._changes: object = None
        self._seen = 0

    def pulse(self) -> Hashable:
        """Record, newest readings, the worker's word and the minute of the clock. Blocks."""
        # The ledger's counter differs from its own last answer; here it only has to differ from the last look.
        changes = self._deps.ledger.change_count()
        if changes != self._changes:
            self._changes, self._seen = changes, self._seen + 1
        status = self._deps.worker()
        time_us, value, flag = self._deps.reader.latest(self._keys)
        return (
            self._seen,
            time_us.tobytes(),
            value.tobytes(),
            flag.tobytes(),
            status.alive and status.ready,
            tuple(sorted(status.device_status.items())),
            self._deps.now_us() // MINUTE_US,
        )

    def frames(self, topics: Collection[Topic]) -> Mapping[Topic, Frame]:
        """Build and render every topic. Blocks."""
        self._snapshots.forget()
        facts = self._snapshots.facts()
        everyone = observe(facts)
        return {topic: self._frame(topic, facts, everyone) for topic in topics}

    def _frame(self, topic: Topic, facts: Facts, everyone: tuple[Observed, ...]) -> Frame:
        render = self._deps.pages.render
        if topic.page == "console":
            view = console(facts, everyone, viewer=NOBODY)
            return Frame(
                fragments={
                    **{name: render(template, view=view) for name, template in templates.CONSOLE_FRAGMENTS.items()},
                    "pins": msgspec.json.encode(view.pins).decode(),
                    "readings": readings_json(facts),
                },
                parts={o.station.id: panel(facts, everyone, o.station.id) for o in everyone},
            )
        if topic.page == "public":
            shown = public(facts, everyone, topic.reader)
            return Frame(fragments={"public": render(templates.PUBLIC_FRAGMENT, view=shown)})
        return Frame(fragments={"phone": render(templates.PREVIEW_FRAGMENT, view=phone(facts))})


def readings_json(facts: Facts) -> str:
    """Newest reading of each series that has spoken: `{"now_us": ..., "series": {key: [time_us, value, flag]}}`.

    The clock is that of the newest reading's minute, so that nothing is sent while nothing happens.
    """
    series = {
        s.key: (int(facts.time_us[i]), _number(float(facts.value[i])), int(facts.flag[i]))
        for i, s in enumerate(facts.registry.series)
        if facts.time_us[i]
    }
    newest = int(np.max(facts.time_us, initial=0))
    clock = max(facts.now_us - facts.now_us % MINUTE_US, min(newest, facts.now_us))
    return msgspec.json.encode({"now_us": clock, "series": series}).decode()


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
