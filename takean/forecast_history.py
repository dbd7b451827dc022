"""What a forecaster is trained on: the record of a gauge and of those upstream, out of the store or out of a file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from alerts.forecast.features import Gauge, Layout, Link
from sensors.flags import usable
from sensors.stations import SECOND_US
from sensors.store import PageOf
from takean import backtest_record
from takean.backtest_record import NAME, RecordError
from takean.exchange import EVER, Progress, unseen
from takean.exchange_rows import PAGE_ROWS, Rows


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Past:
    """Usable readings."""

    layout: Layout
    own: Gauge
    upstream: tuple[Gauge, ...]


def of_store(rows: Rows, layout: Layout, *, progress: Progress = unseen) -> Past:
    """Everything that the journal of the world and its closed days hold of the series of a layout: flags 1 and 2."""
    keys = [layout.series, *(link.series for link in layout.upstream)]
    there = rows.contents
    wanted = [key for key in keys if key in there.keys]
    parts: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {key: [] for key in keys}
    for done, day in enumerate(there.days if wanted else ()):
        progress(done, len(there.days))
        first = PageOf(day=day, keys=wanted, from_us=EVER[0], to_us=EVER[1], through_seq=there.last_seq, rows=PAGE_ROWS)
        for page in rows.day(first):
            good = usable(page["flag"].astype(np.uint8)) & ~page["revision"].astype(np.bool_)
            names = page["series"].astype(str)
            for key in wanted:
                some = good & (names == key)
                parts[key].append((page["time_us"][some].astype(np.int64), page["value"][some].astype(np.float64)))
    cadences = [layout.cadence_us, *(link.cadence_us for link in layout.upstream)]
    gauges = [_gauge(parts[key], cadence) for key, cadence in zip(keys, cadences, strict=True)]
    return Past(layout=layout, own=gauges[0], upstream=tuple(gauges[1:]))


def of_record(
    path: Path,
    *,
    time: str,
    value: str,
    where: Sequence[str],
    unit: str,
    cadence_s: float | None,
    upstream: Sequence[tuple[str, float]] = (),
) -> Past:
    """A bare recording.

    Parameters
    ----------
    upstream : (another column of the file, or `column=text` of other rows of it; travel time in seconds)

    Raises
    ------
    RecordError : see `takean.backtest_record.read`; a record of something that has no upstream
    """
    read = backtest_record.read(path, time=time, value=value, where=where, unit=unit)
    if read.quantity != "stage_m":
        raise RecordError(f"--unit {unit}: only water levels are forecast")
    own = _of(read, cadence_s)
    gauges, links = [], []
    for name, travel_s in upstream:
        other = {"value": value, "where": [name]} if "=" in name else {"value": name, "where": where}
        gauges.append(_of(backtest_record.read(path, time=time, unit=unit, **other), cadence_s))  # type: ignore[arg-type]
        links.append(Link(series=name, cadence_us=gauges[-1].cadence_us, travel_us=round(travel_s * SECOND_US)))
    layout = Layout(series=f"{NAME}/{read.quantity}", cadence_us=own.cadence_us, upstream=tuple(links))
    return Past(layout=layout, own=own, upstream=tuple(gauges))


def _of(record: backtest_record.Record, cadence_s: float | None) -> Gauge:
    good = ~record.conflict
    return Gauge.of(record.time_us[good], record.value[good], round((cadence_s or record.cadence_s()) * SECOND_US))


def _gauge(parts: Sequence[tuple[np.ndarray, np.ndarray]], cadence_us: int) -> Gauge:
    times = [time_us for time_us, _ in parts] or [np.zeros(0, dtype=np.int64)]
    values = [value for _, value in parts] or [np.zeros(0)]
    return Gauge.of(np.concatenate(times), np.concatenate(values), cadence_us)
