"""OpenMetrics 1.0 text. The names are a contract: they are added to, never renamed."""

from collections.abc import Iterator, Mapping, Sequence

from alerts.ledger import DeliveryState
from api.deps import Latency, MirrorStatus, WorkerStatus

CONTENT_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"


def exposition(status: WorkerStatus, deliveries: Mapping[tuple[str, DeliveryState], int], *, clients: int) -> str:
    """Everything there is to count, ready to be scraped."""
    return "\n".join([*_families(status, deliveries, clients), "# EOF", ""])


def _families(status: WorkerStatus, deliveries: Mapping[tuple[str, DeliveryState], int], clients: int) -> Iterator[str]:
    yield from _head("takean_readings", "counter", "Readings by what became of them.")
    readings = dict.fromkeys(("stored", "repeat", "conflict"), 0) | dict(status.readings)
    for state, n in (readings | {"quarantined": status.quarantined}).items():
        yield f'takean_readings_total{{state="{_escaped(state)}"}} {n}'
    yield from _counter("takean_refusals_unrecorded", "Refusals of which nothing was kept.", status.unrecorded)
    yield from _counter("takean_refusals_forgotten", "Refusals whose record made way for newer ones.", status.forgotten)
    if status.broker is not None:
        up = int(status.broker.connected)
        yield from _gauge("takean_broker_connected", "Whether the way in through the broker is open.", up)
        yield from _counter("takean_broker_dropped", "Messages the broker says it threw away.", status.broker.drops)
    yield from _gauge("takean_stored_seq", "Arrival number of the newest stored reading.", status.stored_seq)
    yield from _gauge("takean_judged_seq", "Arrival number up to which everything is judged.", status.judged_seq)
    off_s = "takean_clock_off_seconds"
    yield from _head(off_s, "gauge", "The box's wall clock minus the one it judges by.", unit="seconds")
    yield f"{off_s} {float(status.clock_off_s)!r}"
    if status.mirrors:
        yield from _mirrors(status.mirrors)
    if status.latency is not None:
        yield from _latency(status.latency)
    yield from _head("takean_deliveries", "gauge", "Deliveries by state.")
    for state in DeliveryState:
        n = sum(count for (_, held), count in deliveries.items() if held is state)
        yield f'takean_deliveries{{state="{state}"}} {n}'
    yield from _head("takean_cpu_seconds", "counter", "Processor time by process.", unit="seconds")
    for process, seconds in sorted(status.cpu_s.items()):
        yield f'takean_cpu_seconds_total{{process="{_escaped(process)}"}} {float(seconds)!r}'
    yield from _gauge("takean_connections", "Devices connected now.", status.connections)
    yield from _gauge("takean_live_clients", "Browsers with a live page.", clients)
    yield from _gauge("takean_ready", "Whether this box is able to warn.", int(status.alive and status.ready))


def _mirrors(mirrors: Sequence[MirrorStatus]) -> Iterator[str]:
    yield from _head("takean_mirror_backlog_rows", "gauge", "Readings stored here that a mirror has not acknowledged.")
    for mirror in mirrors:
        yield f'takean_mirror_backlog_rows{{mirror="{_escaped(mirror.name)}"}} {mirror.backlog_rows}'
    yield from _head("takean_mirror_lag_seconds", "gauge", "Age of the oldest of them.", unit="seconds")
    for mirror in mirrors:
        yield f'takean_mirror_lag_seconds{{mirror="{_escaped(mirror.name)}"}} {float(mirror.lag_s)!r}'
    yield from _head("takean_mirror_refused_rows", "counter", "Readings that a mirror does not hold, by reason.")
    for mirror in mirrors:
        for reason, n in sorted(mirror.refused.items()):
            labels = f'mirror="{_escaped(mirror.name)}",reason="{_escaped(reason)}"'
            yield f"takean_mirror_refused_rows_total{{{labels}}} {n}"


def _latency(latency: Latency) -> Iterator[str]:
    name = "takean_publish_to_decision_seconds"
    yield from _head(name, "histogram", "From a device's publish to the decision.", unit="seconds")
    for bound, n in latency.buckets:
        yield f'{name}_bucket{{le="{float(bound)!r}"}} {n}'
    yield f'{name}_bucket{{le="+Inf"}} {latency.count}'
    yield f"{name}_sum {float(latency.sum_s)!r}"
    yield f"{name}_count {latency.count}"


def _head(name: str, type: str, help: str, *, unit: str = "") -> Iterator[str]:
    yield f"# TYPE {name} {type}"
    if unit:
        yield f"# UNIT {name} {unit}"
    yield f"# HELP {name} {help}"


def _gauge(name: str, help: str, value: int) -> Iterator[str]:
    yield from _head(name, "gauge", help)
    yield f"{name} {value}"


def _counter(name: str, help: str, value: int) -> Iterator[str]:
    yield from _head(name, "counter", help)
    yield f"{name}_total {value}"


def _escaped(label: str) -> str:
    return label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
