"""Devices that speak and are not registered, for whoever may adopt them."""

from collections.abc import Sequence

from api.deps import SeenRow
from api.screens.words import NO_VALUE, moment
from api.views.stations import NewcomerRow

VIA_WORDS = {"own": "ต่อตรง", "chirpstack": "ChirpStack", "things_stack": "The Things Stack", "sparkplug": "Sparkplug"}
SHOWN_MAX = 50
"""Rows; the rest are counted, and printed by `takean station unregistered`."""
READINGS_MAX = 6


def newcomers(seen: Sequence[SeenRow], now_us: int) -> tuple[NewcomerRow, ...]:
    """Who spoke last comes first."""
    return tuple(
        NewcomerRow(
            id=one.id,
            via=VIA_WORDS.get(one.via, one.via),
            data=moment(one.last_us, now_us),
            count=one.count,
            readings=_readings(one) or one.problem or NO_VALUE,
        )
        for one in seen[:SHOWN_MAX]
    )


def _readings(seen: SeenRow) -> str:
    said = [f"{r.name} {NO_VALUE if r.value is None else f'{r.value:g}'}" for r in seen.readings[:READINGS_MAX]]
    more = len(seen.readings) - len(said)
    return " · ".join([*said, *([f"อีก {more} ค่า"] if more else [])])
