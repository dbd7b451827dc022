"""Who is on call, and which routes must not go live (contract 5.10)."""

import shutil
from datetime import date
from pathlib import Path

import msgspec
import pytest

from alerts import duty, route
from alerts.duty import Contact, Step
from alerts.episode import Kind
from alerts.route import Council, Route, Unanswered
from sensors.stations import ConfigError
from takean import configuration
from takean.settings import SAMPLE
from tests.alerts.judge_world import MANUAL
from tests.builders import T0_US, fit_for_actual

CHAIN = (Step(role="officer", minutes=10), Step(role="head", minutes=10))
BOTH = ("sms", "line")
CRITICAL = msgspec.structs.replace(MANUAL.by["flood", 3], channels=BOTH, chain=CHAIN)


def people(*hours: tuple[int, int], role: str = "officer", channels: tuple[str, ...] = BOTH) -> list[Contact]:
    return [Contact(id=f"{role}-{i}", role=role, channels=channels, hours=own) for i, own in enumerate(hours)]


ALWAYS = (0, 24)


@pytest.mark.parametrize(
    ("contacts", "expected"),
    [
        (people(ALWAYS, ALWAYS, ALWAYS), ""),
        (people(ALWAYS, ALWAYS) + people(ALWAYS, role="head"), ""),
        (people(ALWAYS, ALWAYS, (6, 18), (18, 6)), ""),
        (people(ALWAYS, ALWAYS, (22, 6), (6, 21)), "at 21:00 its chain reaches 2"),
        (people(ALWAYS, ALWAYS) + people(ALWAYS, role="mayor"), "reaches 2"),
        (people(ALWAYS, ALWAYS) + people(ALWAYS, role="head", channels=("sms", "sms")), "reaches 2"),
        ([], "at 00:00 its chain reaches 0"),
    ],
)
def test_three_people_at_every_hour_by_two_channels_each(contacts: list[Contact], expected: str) -> None:
    assert expected in duty.uncalled(CHAIN, contacts)
    assert bool(expected) == bool(duty.uncalled(CHAIN, contacts))


def test_those_on_call_are_of_the_role_and_of_the_hour_in_bangkok() -> None:
    night, day = people((18, 6), (6, 18))
    assert duty.on_call([night, day, *people(ALWAYS, role="head")], "officer", T0_US) == (day,)


def built(critical: Route, contacts: list[Contact], kind: Kind = Kind.ACTUAL) -> route.Routes:
    own = [msgspec.structs.replace(MANUAL.by["flood", level], channels=BOTH) for level in (1, 2)]
    return route.build([*own, critical], contacts, kind=kind, channels=BOTH)


def test_a_critical_level_that_may_find_nobody_is_named() -> None:
    head = people(ALWAYS, role="head")
    (missing,) = route.unwatched(built(CRITICAL, people(ALWAYS) + head))
    assert missing.startswith("flood level 3 may find nobody")
    assert route.unwatched(built(CRITICAL, people(ALWAYS, ALWAYS) + head)) == []
    council = Council(resolution="12/2569", date=date(2026, 8, 14))
    timed = msgspec.structs.replace(CRITICAL, unanswered=Unanswered.RELEASE, council=council)
    assert route.unwatched(built(timed, [])) == []


@pytest.mark.parametrize(
    ("kind", "changes", "contacts", "expected"),
    [
        (Kind.ACTUAL, {"unanswered": Unanswered.RELEASE}, [], "is the council's to switch on"),
        (Kind.EXERCISE, {"unanswered": Unanswered.RELEASE, "chain": ()}, [], "needs a chain"),
        (Kind.EXERCISE, {"chain": (Step(role="officer", minutes=0),)}, [], "must give above 0"),
        (Kind.EXERCISE, {"chain": (Step(role="", minutes=5),)}, [], "without a role"),
        (Kind.EXERCISE, {}, people(ALWAYS), "calls head, whom no"),
        (Kind.EXERCISE, {"acknowledged_min": 1441}, [], "acknowledged_min"),
        (Kind.EXERCISE, {"rearm_s": -1}, [], "rearm_s"),
        (Kind.EXERCISE, {"chain": ()}, people((5, 5)), "two different hours"),
        (Kind.EXERCISE, {"chain": ()}, people(ALWAYS, channels=("fax",)), "channel 'fax' is not one of sms, line"),
        (Kind.EXERCISE, {"chain": ()}, people(ALWAYS, channels=()), "channels is empty"),
        (Kind.EXERCISE, {"chain": ()}, [*people(ALWAYS), *people(ALWAYS)], "contact ids must differ"),
    ],
)
def test_chains_and_people_that_make_no_sense_are_refused(
    kind: Kind, changes: dict[str, object], contacts: list[Contact], expected: str
) -> None:
    with pytest.raises(ConfigError, match=expected):
        built(msgspec.structs.replace(CRITICAL, **changes), contacts, kind)


def test_an_exercise_may_time_out_without_a_council() -> None:
    assert built(msgspec.structs.replace(CRITICAL, unanswered=Unanswered.RELEASE), [], Kind.EXERCISE)


def configured(folder: Path, routes: str, kind: str) -> list[str]:
    shutil.copytree(SAMPLE, folder)
    (folder / "takean.toml").write_text(f'[world]\nkind = "{kind}"\n', encoding="utf-8")
    (folder / "routes.toml").write_text(routes, encoding="utf-8")
    _, mistakes = configuration.check(folder, folder / "state", {})
    return [mistake.text for mistake in mistakes]


def test_check_config_refuses_an_actual_world_that_could_find_nobody(tmp_path: Path) -> None:
    sample = (SAMPLE / "routes.toml").read_text(encoding="utf-8")
    refused = configured(tmp_path / "plain", sample, "actual")
    assert any("flood level 3 may find nobody" in text and "council" in text for text in refused)
    assert configured(tmp_path / "timed", fit_for_actual(sample), "actual") == []
    assert configured(tmp_path / "drill", sample, "exercise") == []


def test_people_and_chains_are_read_from_the_file(tmp_path: Path) -> None:
    path = tmp_path / "routes.toml"
    sample = (SAMPLE / "routes.toml").read_text(encoding="utf-8")
    contact = '[[contact]]\nid = "duty-1"\nrole = "officer"\nchannels = ["preview"]\nhours = [7, 19]\n'
    path.write_text(f"{fit_for_actual(sample)}\n{contact}", encoding="utf-8")
    routes = route.load(path, kind=Kind.ACTUAL)
    critical = routes.find("flood", 3)
    assert critical is not None
    assert (critical.chain, critical.unanswered) == ((Step(role="officer", minutes=15),), Unanswered.RELEASE)
    assert routes.contacts == (Contact(id="duty-1", role="officer", channels=("preview",), hours=(7, 19)),)
