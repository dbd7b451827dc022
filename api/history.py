"""Read what has been of one station, or of all stories: for charts and timelines."""

from collections.abc import Sequence

from alerts.episode import Episode, Event
from api.deps import Deps
from api.read import EPISODES_MAX
from api.screens.facts import CLOCK_AHEAD_US, DAY_US
from api.screens.past import Past, nothing, overlaps
from api.screens.stations import main_series, nearest_gauge
from sensors.store import History

ROWS_MAX = 20_000
"""Of one series: a week at one reading every half minute. What is older than that is not shown as missing."""

LOOK_BACK_US = DAY_US
"""A station that spoke so long before a window is missing at its beginning, not new."""


def past(deps: Deps, station: str, *, now_us: int, window_us: int) -> Past | None:
    """One station over the window before now; None when it is not registered or measures nothing. Blocks."""
    held, index = deps.registry.stations.get(station), main_series(deps.registry, station)
    if held is None or index < 0:
        return None
    from_us, to_us = now_us - window_us, now_us + CLOCK_AHEAD_US

    def read(series: int) -> History:
        return deps.reader.history(deps.registry.series[series].key, from_us=from_us, to_us=to_us, limit=ROWS_MAX)

    main, key = read(index), deps.registry.series[index].key
    # Not back to the beginning: a store of years would be searched for one reading.
    before = deps.reader.history(key, from_us=from_us - LOOK_BACK_US, to_us=from_us, limit=1)
    newest_us = int(deps.reader.latest([key])[0][0])
    if len(main.time_us) == ROWS_MAX:
        from_us = int(main.time_us[0])
    gauge = "" if deps.registry.series[index].quantity == "rain_mm" else nearest_gauge(deps.registry, held)
    battery = deps.registry.index.get((station, "battery_v"))
    return Past(
        from_us=from_us,
        to_us=now_us,
        main=main,
        heard_before=len(before.time_us) > 0 or 0 < newest_us < from_us,
        gauge=gauge,
        rain=read(main_series(deps.registry, gauge)) if gauge else nothing(),
        battery=read(battery) if battery is not None else nothing(),
        stories={e.id: events for e, events in stories(deps, from_us=from_us, to_us=now_us) if e.area in held.areas},
    )


def stories(deps: Deps, *, from_us: int, to_us: int) -> Sequence[tuple[Episode, Sequence[Event]]]:
    """Stories that were open during a window, newest first, with their events. Blocks."""
    found = deps.ledger.episodes(deps.kind, limit=EPISODES_MAX)
    return [(e, deps.ledger.events(e.id)) for e in found if overlaps(e, from_us, to_us)]
