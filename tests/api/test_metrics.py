"""For machines that watch this one."""

import re
from dataclasses import replace

from alerts.ledger import DeliveryState
from api.deps import BrokerStatus, Latency, MirrorStatus
from api.metrics import exposition
from tests.api.browser import Browser
from tests.api.world import HEALTHY, World

FULL = replace(
    HEALTHY,
    readings={"stored": 10, "repeat": 2, "conflict": 1},
    quarantined=4,
    latency=Latency(buckets=[(0.1, 3), (1.0, 9)], sum_s=4.25, count=10),
    cpu_s={"worker": 1.5, "web": 0.25, 'odd "name"\\\n': 0.0},
    connections=8,
    clock_off_s=-3600.5,
)

SAMPLE = re.compile(r'(?P<name>[a-z_]+)(?:\{(?P<labels>(?:[a-z]+="(?:[^"\\\n]|\\["\\n])*",?)+)\})? (?P<value>\S+)')
SUFFIXES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}


def parse(text: str) -> dict[str, dict[str, float]]:
    """Read OpenMetrics 1.0 strictly: family -> sample -> value."""
    assert text.endswith("# EOF\n")
    families: dict[str, dict[str, float]] = {}
    name, kind = "", ""
    for line in text.removesuffix("# EOF\n").splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in families, "a family comes once and whole"
            families[name] = {}
        elif line.startswith("# UNIT "):
            assert name.endswith(f"_{line.split(' ')[3]}"), "a name ends with its unit"
        elif line.startswith("# HELP "):
            assert line.split(" ")[2] == name
        else:
            found = SAMPLE.fullmatch(line)
            assert found, line
            assert found["name"] in {name + suffix for suffix in SUFFIXES[kind]}, line
            families[name][line.rpartition(" ")[0]] = float(found["value"])
    return families


def test_the_names_are_those_of_the_contract() -> None:
    counts = {("preview", DeliveryState.ACCEPTED): 5, ("sms", DeliveryState.ACCEPTED): 2}
    families = parse(exposition(FULL, counts, clients=3))
    assert families["takean_readings"] == {
        'takean_readings_total{state="stored"}': 10,
        'takean_readings_total{state="repeat"}': 2,
        'takean_readings_total{state="conflict"}': 1,
        'takean_readings_total{state="quarantined"}': 4,
    }
    assert families["takean_clock_off_seconds"] == {"takean_clock_off_seconds": -3600.5}
    assert families["takean_stored_seq"] == {"takean_stored_seq": 12}
    assert families["takean_judged_seq"] == {"takean_judged_seq": 12}
    assert families["takean_deliveries"]['takean_deliveries{state="accepted"}'] == 7
    assert families["takean_deliveries"]['takean_deliveries{state="failed"}'] == 0
    assert families["takean_cpu_seconds"]['takean_cpu_seconds_total{process="worker"}'] == 1.5


def test_a_histogram_is_cumulative_and_ends_at_its_count() -> None:
    buckets = parse(exposition(FULL, {}, clients=0))["takean_publish_to_decision_seconds"]
    name = "takean_publish_to_decision_seconds"
    assert [buckets[f'{name}_bucket{{le="{b}"}}'] for b in ("0.1", "1.0", "+Inf")] == [3, 9, 10]
    assert (buckets[f"{name}_sum"], buckets[f"{name}_count"]) == (4.25, 10)


def test_metrics_are_served_as_openmetrics(client: Browser) -> None:
    answer = client.get("/metrics")
    assert answer.headers["content-type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert parse(answer.text)["takean_ready"] == {"takean_ready": 1}


def test_alive_is_not_ready(world: World, client: Browser) -> None:
    assert client.get("/readyz").json()["ready"] is True
    world.blind("the store is full")
    world.status = replace(world.status, alive=False, heartbeat_age_s=61.0)
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["reasons"] == ["the worker was last heard 61 s ago", "the store is full"]
    assert client.get("/healthz").status_code == 200


def test_a_broker_has_its_numbers_and_a_box_without_one_has_none() -> None:
    assert "broker" not in exposition(FULL, {}, clients=0)
    told = replace(FULL, unrecorded=5, forgotten=6, broker=BrokerStatus(connected=True, drops=7))
    families = parse(exposition(told, {}, clients=0))
    assert families["takean_broker_connected"] == {"takean_broker_connected": 1}
    assert families["takean_broker_dropped"] == {"takean_broker_dropped_total": 7}
    assert families["takean_refusals_unrecorded"] == {"takean_refusals_unrecorded_total": 5}
    assert families["takean_refusals_forgotten"] == {"takean_refusals_forgotten_total": 6}


def test_a_mirror_has_its_numbers_and_is_only_a_note_of_readiness(world: World, client: Browser) -> None:
    assert "mirror" not in exposition(FULL, {}, clients=0)
    behind = MirrorStatus(
        name="influx", backlog_rows=12, lag_s=90.0, reason="cannot be reached", refused={"server": 2, "precision": 1}
    )
    world.status = replace(world.status, mirrors=[behind, MirrorStatus(name="victoria", backlog_rows=1, lag_s=0.5)])
    families = parse(client.get("/metrics").text)
    assert families["takean_mirror_backlog_rows"] == {
        'takean_mirror_backlog_rows{mirror="influx"}': 12,
        'takean_mirror_backlog_rows{mirror="victoria"}': 1,
    }
    assert families["takean_mirror_lag_seconds"]['takean_mirror_lag_seconds{mirror="influx"}'] == 90
    assert families["takean_mirror_refused_rows"] == {
        'takean_mirror_refused_rows_total{mirror="influx",reason="precision"}': 1,
        'takean_mirror_refused_rows_total{mirror="influx",reason="server"}': 2,
    }
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["ready"]) == (200, True)
    assert answer.json()["notes"] == ["mirror influx: 12 readings behind, the oldest of 90 s ago; it cannot be reached"]
