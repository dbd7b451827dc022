"""Broken, confused and hostile devices on a running box: the good is stored and judged, the bad is kept as evidence."""

import hashlib
import itertools
import time
from collections import Counter
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.mqtt_load import publish
from ingest.quarantine import ROWS_MAX, SLACK, Quarantine
from tests.builders import SOAK, thorough
from tests.live.conftest import STATIONS
from tests.live.crash import until
from tests.live.evidence import Refused, assert_goes_on, good, kept, open_floods
from tests.live.hostile import BAD, MIXED, Bad, Mixed
from tests.live.records import payload
from tests.live.ways import Way, topic

pytestmark = pytest.mark.live

_numbers = itertools.count(1)


@pytest.fixture(params=["endpoint", "broker"], scope="package")
def way(request: pytest.FixtureRequest) -> Way:
    """A running box, and how devices reach it."""
    found: Way = request.getfixturevalue(f"{request.param}_way")
    return found


BEHIND_A_BROKER = BAD if SOAK else tuple({bad.reasons: bad for bad in BAD}.values())
"""One for each reason: how a payload is read does not depend on the door."""


@pytest.mark.parametrize(
    ("way", "bad"),
    [*(("endpoint", bad) for bad in BAD), *(("broker", bad) for bad in BEHIND_A_BROKER)],
    indirect=["way"],
    ids=lambda value: value.what if isinstance(value, Bad) else value,
)
def test_a_bad_message_is_refused_and_the_next_one_is_taken(way: Way, bad: Bad) -> None:
    refused, content = Refused(way), bad.make(next(_numbers))
    way.deliver("S-1", [content])
    rows = refused.rows()
    assert tuple(row.reason for row in rows) == bad.reasons
    assert {(row.topic, row.length, row.sha256) for row in rows} == {
        (topic("S-1"), len(content), hashlib.sha256(content).hexdigest())
    }
    assert rows[0].head == content[:4096]
    assert_goes_on(way)


@pytest.mark.parametrize("mixed", MIXED, ids=lambda mixed: mixed.what)
def test_of_a_half_good_pack_the_good_is_stored_and_the_bad_refused(way: Way, mixed: Mixed) -> None:
    refused, reading = Refused(way), good("S-1")
    way.deliver("S-1", [mixed.make(reading)])
    assert list(kept(way, [reading])) == [reading]
    assert sorted(refused.reasons()) == sorted(mixed.reasons)
    assert_goes_on(way)


@pytest.mark.parametrize(
    "off_us",
    [-time.time_ns() // 1000 + 25_200_000_000, 86_400_000_000, 40 * 365 * 86_400_000_000],
    ids=["boot time plus seven hours, 1970", "tomorrow", "in forty years"],
)
def test_a_clock_that_is_wrong_neither_warns_nor_silences(way: Way, off_us: int) -> None:
    wrong = good("S-2")
    wrong = wrong._replace(time_us=wrong.time_us + off_us // 1000 * 1000, stage_m=9.0)
    before = open_floods(way)
    way.deliver("S-2", [payload(wrong)])
    assert list(kept(way, [wrong])) == [wrong], "a reading is never thrown away for its clock"
    assert_goes_on(way, "S-2")
    assert open_floods(way) == before


def test_retained_garbage_is_refused_and_the_next_one_is_taken(way: Way) -> None:
    refused = Refused(way)
    way.deliver("S-3", [b"garbage that stays"], retain=True)
    assert refused.reasons() == ["not_json"]
    assert_goes_on(way, "S-3")
    way.deliver("S-3", [b""], retain=True)


@st.composite
def mixtures(draw: st.DrawFn) -> list[tuple[str, Bad | Mixed | None]]:
    """Who sends what, in order; None for a good reading."""
    kinds = st.one_of(st.none(), st.sampled_from(BAD), st.sampled_from(MIXED))
    return draw(st.lists(st.tuples(st.sampled_from(STATIONS), kinds), min_size=1, max_size=40))


@given(mixtures())
@thorough(6 if SOAK else 3)
def test_of_any_mixture_all_good_is_stored_and_all_bad_is_kept(
    way: Way, mixture: list[tuple[str, Bad | Mixed | None]]
) -> None:
    refused, wanted, readings = Refused(way), Counter[tuple[str, str]](), []
    sent: dict[str, list[bytes]] = {}
    for station, kind in mixture:
        if isinstance(kind, Bad):
            content, reasons = kind.make(next(_numbers)), kind.reasons
        else:
            readings.append(good(station))
            content, reasons = (kind.make(readings[-1]), kind.reasons) if kind else (payload(readings[-1]), ())
        sent.setdefault(station, []).append(content)
        wanted.update((hashlib.sha256(content).hexdigest(), reason) for reason in reasons)
    for station, payloads in sent.items():
        way.deliver(station, payloads)
    assert set(kept(way, readings)) == set(readings)
    assert Counter((row.sha256, str(row.reason)) for row in refused.rows()) == wanted
    assert_goes_on(way)


def test_a_flood_of_refusals_is_bounded_and_counted(way: Way) -> None:
    count = ROWS_MAX + 500
    before = way.box.metric('takean_readings_total{state="quarantined"}')
    with closing(Quarantine(way.box.state / "quarantine.sqlite")) as quarantine:
        dropped = quarantine.dropped
    garbage = (b"garbage %d" % n for n in range(count))
    report = publish("127.0.0.1", way.port, "S-3", way.secrets["S-3"], topic("S-3"), garbage, 500)
    assert len(report.acked) == count

    def seen() -> float:
        return way.box.metric('takean_readings_total{state="quarantined"}') - before

    until(lambda: seen() >= count, "the counter of refusals")
    assert seen() == count
    with closing(Quarantine(way.box.state / "quarantine.sqlite")) as quarantine:
        kept = len(quarantine.list(2 * ROWS_MAX))
        assert ROWS_MAX <= kept <= ROWS_MAX + ROWS_MAX // SLACK
        assert quarantine.dropped >= dropped + count - kept
        assert quarantine.list(1)[0].head == b"garbage %d" % (count - 1)
    assert_goes_on(way)


@pytest.mark.parametrize("round", range(10 if SOAK else 1))
def test_a_refusal_outlives_a_kill_at_its_acknowledgement(way: Way, round: int) -> None:
    refused, content = Refused(way), BAD[round].make(next(_numbers))
    way.deliver_and_kill("S-1", content)
    assert [row.sha256 for row in refused.rows()] == [hashlib.sha256(content).hexdigest()]
    assert_goes_on(way)
