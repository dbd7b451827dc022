"""`/api/v1` for programs: names that are a contract, masks, bounds, refusals in words."""

import csv
import io
import json
import math
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.episode import Kind, Used
from alerts.people import Address, Role
from api.deps import ClockSkew
from api.routers.data import time_of
from api.schemas import iso
from api.web import Refused
from ingest.message import Message, Reason, Rejection
from ingest.quarantine import Row
from sensors.flags import Flag
from tests.api.browser import Browser
from tests.api.world import MINUTE_US, NOW_US, World

SAMRAN = "331608-samran"
EPISODE_FIELDS = {
    "id",
    "area",
    "hazard",
    "kind",
    "judged_level",
    "public_level",
    "known",
    "since",
    "version",
    "opened_at",
    "closed_at",
}


def told(world: World) -> None:
    """A released warning with one message under way."""
    address = Address(id="a1", kind=world.kind, recipient="r1", area="33160801", channel="preview", target="0895551234")
    world.ledger.put_addresses([address])
    used = Used(
        rule="flood.warning",
        rule_version="1",
        series="WL-01/stage_m",
        time_us=world.now_us,
        value=3.9,
        flag=1,
        seq=3,
        threshold=3.825,
        truth=True,
    )
    world.judge(SAMRAN, 2, used=[used])
    world.publish(SAMRAN, 2)
    while world.ledger.expand(limit=100):
        pass


def test_an_episode_has_exactly_the_names_of_the_contract(world: World, client: Browser) -> None:
    story = world.judge(SAMRAN, 2)
    (found,) = client.get("/api/v1/episodes").json()
    assert set(found) == EPISODE_FIELDS
    assert (found["id"], found["judged_level"], found["kind"]) == (story.id, 2, "exercise")
    assert (found["opened_at"], found["closed_at"]) == ("2026-11-22T07:35:00Z", None)
    whole = client.get(f"/api/v1/episodes/{story.id}").json()
    assert {name: whole[name] for name in found} == found
    assert (whole["peak_level"], whole["acknowledged_until"], whole["shelved_until"]) == (2, None, None)
    world.judge(SAMRAN, 1)
    world.judge(SAMRAN, 0)
    assert client.get("/api/v1/episodes?open=true").json() == []
    assert client.get("/api/v1/episodes").json()[0]["closed_at"] is not None


def test_another_world_is_not_found(world: World, client: Browser) -> None:
    story = world.judge(SAMRAN, 2)
    world.kind = Kind.ACTUAL
    with world.client() as real:
        assert real.get("/api/v1/episodes").json() == []
        for path in (f"episodes/{story.id}", f"episodes/{story.id}/events", f"deliveries?episode={story.id}"):
            assert real.get(f"/api/v1/{path}").status_code == 404


def test_who_clicked_is_a_role_to_strangers_and_a_name_to_officers(world: World, client: Browser) -> None:
    told(world)
    path = f"/api/v1/episodes/{world.stories[SAMRAN].id}/events"
    lines = client.get(path).json()
    assert [line["version"] for line in lines] == [1, 2, 3]
    assert [line["actor"] for line in lines] == ["rule", "officer", "officer"]
    assert lines[0]["used"][0]["threshold"] == 3.825
    assert "first" not in json.dumps(lines)
    world.sign_in(client)
    lines = client.get(path).json()
    assert [line["actor"] for line in lines] == ["rule", "first", "second"]
    assert "first" in lines[2]["note"]


def test_nobody_is_shown_a_whole_address(world: World, client: Browser) -> None:
    told(world)
    path = f"/api/v1/deliveries?episode={world.stories[SAMRAN].id}"
    (row,) = client.get(path).json()
    assert (row["state"], row["channel"], row["attempts"], row["target"]) == ("queued", "preview", 0, "••••")
    world.sign_in(client)
    answer = client.get(path)
    assert answer.json()[0]["target"] == "••••34"
    assert "089555" not in answer.text
    assert client.get("/api/v1/deliveries").json() == answer.json()


def test_the_preview_phone_shows_no_whole_address(world: World, client: Browser) -> None:
    world.ledger.preview_put(
        key="k", kind=world.kind, target="0895551234", text="ซ้อม: น้ำท่วม", level=2, now_us=world.now_us
    )
    page = client.get("/preview").text
    assert "ซ้อม: น้ำท่วม" in page
    assert "0895551" not in page


def test_the_preview_phone_of_the_real_world_is_for_officers(real: World) -> None:
    with real.client() as client:
        assert client.get("/preview").headers["location"] == "/signin?next=/preview"
        real.sign_in(client)
        assert client.get("/preview").status_code == 200


def test_a_series_is_columns_of_equal_length(world: World, client: Browser) -> None:
    world.put("WL-01/stage_m", [2.0, math.nan, 2.25], flag=Flag.UNKNOWN)
    found = client.get("/api/v1/series/WL-01/stage_m").json()
    assert found == {
        "station": "WL-01",
        "name": "stage_m",
        "unit": "m",
        "times_us": [NOW_US - 4 * MINUTE_US, NOW_US - 2 * MINUTE_US, NOW_US],
        "values": [2.0, None, 2.25],
        "flags": [2, 2, 2],
    }


def test_a_series_is_cut_by_time_and_bounded(world: World, client: Browser) -> None:
    world.put("WL-01/stage_m", [float(i) for i in range(10)])
    path = "/api/v1/series/WL-01/stage_m"
    first, last = NOW_US - 18 * MINUTE_US, NOW_US
    assert client.get(f"{path}?from={first}&to={last}").json()["values"] == [float(i) for i in range(9)]
    assert client.get(f"{path}?limit=2").json()["values"] == [8.0, 9.0]
    by_name = client.get(f"{path}?from=2026-11-22T14:31:00%2B07:00&to=2026-11-22T07:35:00Z").json()
    assert by_name["values"] == [7.0, 8.0]
    # A plus sign that was not escaped means what was meant.
    assert client.get(f"{path}?from=2026-11-22T14:31:00+07:00").json()["values"] == [7.0, 8.0, 9.0]


def test_csv_carries_iso_times(world: World, client: Browser) -> None:
    world.put("WL-01/stage_m", [2.0, math.nan])
    expected = [
        {"time": "2026-11-22T07:33:00Z", "value": "2.0", "flag": "1"},
        {"time": "2026-11-22T07:35:00Z", "value": "", "flag": "1"},
    ]
    path = "/api/v1/series/WL-01/stage_m"
    for answer in (client.get(f"{path}?format=csv"), client.get(path, headers={"Accept": "text/csv"})):
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        assert list(csv.DictReader(io.StringIO(answer.text))) == expected


@pytest.mark.parametrize(
    "query",
    [
        "from=yesterday",
        "from=2026-11-22",
        "from=2026-11-22T14:00:00",
        "to=-1",
        "to=1e18",
        "from=2&to=1",
        "from=5&to=5",
        "limit=0",
        "limit=99999999",
        "limit=abc",
        "to=%00",
        "from=9999-12-31T23:59:59%2B99:00",
    ],
)
def test_a_time_or_bound_that_is_none_is_refused_in_words(client: Browser, query: str) -> None:
    answer = client.get(f"/api/v1/series/WL-01/stage_m?{query}")
    assert answer.status_code == 422
    assert answer.json()["code"] == "invalid"
    assert answer.json()["detail"].split(":")[0].split(" ")[0] in {"from", "to", "limit"}


@pytest.mark.parametrize("path", ["WL-01/nothing", "nobody/stage_m", "WL-01/stage_m@b", "..%2f..%2fx/y", "%00/stage_m"])
def test_a_series_we_do_not_have_is_not_found(client: Browser, path: str) -> None:
    assert client.get(f"/api/v1/series/{path}").status_code == 404


@given(st.text(max_size=60) | st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{0,15}[+-Z][0-9:]{0,6}"))
@settings(derandomize=True, deadline=None, max_examples=200)
def test_any_text_is_a_time_or_a_refusal(text: str) -> None:
    with suppress(Refused):
        assert -(2**63) < time_of("from", text) < 2**63


@given(st.integers(0, 4_000_000_000_000_000))
@settings(derandomize=True, deadline=None, max_examples=100)
def test_a_written_time_reads_back(time_us: int) -> None:
    assert time_of("from", iso(time_us)) == time_us


def test_stations_are_observation(world: World, client: Browser) -> None:
    world.put("WL-01/stage_m", [4.68])
    found = {s["id"]: s for s in client.get("/api/v1/stations").json()}
    assert len(found) == 8
    assert (found["WL-01"]["level"], found["WL-01"]["bank_gap_m"]) == (3, 0.18)
    assert found["WL-01"]["sensors"][0]["value"] == 4.68
    assert (found["AQ-01"]["level"], found["AQ-01"]["sensors"][0]["value"]) == (-2, None)


def test_a_station_says_how_far_its_clock_is_off_and_whether_that_is_known(world: World, client: Browser) -> None:
    skews = {"WL-01": ClockSkew(seconds=25_200.0, steady=True), "WL-02": ClockSkew(seconds=-400.5, steady=False)}
    world.status = replace(world.status, skews=skews)
    found = {s["id"]: (s["clock_skew_s"], s["clock_steady"]) for s in client.get("/api/v1/stations").json()}
    assert (found["WL-01"], found["WL-02"], found["WL-03"]) == ((25_200.0, True), (-400.5, False), (None, False))


def test_refused_payloads_are_shown_whole_only_to_whoever_may_inspect(world: World, client: Browser) -> None:
    message = Message("takean/v1/WL-01/data", b'{"secret": 1', NOW_US, "logger-7")
    world.quarantine.put([Row.of(message, Rejection(Reason.NOT_JSON, "cut off after 'secret'"))])
    answer = client.get("/api/v1/quarantine")
    (row,) = answer.json()["rows"]
    assert (row["reason"], row["length"], row["head"]) == ("not_json", 12, None)
    assert answer.json()["counts"] == {"not_json": 1}
    assert "secret" not in answer.text
    assert "logger-7" not in answer.text
    world.sign_in(client, "viewer", Role.VIEWER)
    assert client.get("/api/v1/quarantine").json()["rows"][0]["head"] is None
    world.sign_in(client, "technician", Role.TECHNICIAN)
    (row,) = client.get("/api/v1/quarantine").json()["rows"]
    assert bytes.fromhex(row["head"]) == b'{"secret": 1'
    assert (row["client"], row["detail"]) == ("logger-7", "cut off after 'secret'")


def test_notices_name_no_one_to_strangers(world: World, client: Browser) -> None:
    world.notice()
    header = world.sign_in(client)
    (row,) = client.get("/api/v1/notices").json()
    assert client.post(f"/api/v1/notices/{row['id']}/acknowledge", headers=header).status_code == 204
    assert client.get("/api/v1/notices").json() == []
    assert client.get("/api/v1/notices?open=false").json()[0]["acknowledged_by"] == "officer"
    client.cookies.clear()
    assert client.get("/api/v1/notices?open=false").json()[0]["acknowledged_by"] == ""


def test_every_answer_of_the_reads_is_described(client: Browser) -> None:
    described = client.get("/api/v1/openapi.json").json()
    for path, methods in described["paths"].items():
        assert path.startswith("/api/v1/")
        for method in methods.values():
            assert method["summary"]
    assert {"/api/v1/episodes", "/api/v1/stream", "/api/v1/episodes/{id}/release"} <= set(described["paths"])
    assert set(described["components"]["schemas"]["EpisodeOut"]["properties"]) == EPISODE_FIELDS
