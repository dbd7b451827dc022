"""`takean forecast`: train forecasters, and say what they are worth."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

from alerts.forecast.forecaster import Forecaster, layout_of, train
from alerts.forecast.trial import METHODS, rows_of
from alerts.words import thai_date
from sensors import stations
from takean import clock, forecast_file, forecast_fit, forecast_history, places, settings
from takean.exchange import ExchangeError, Progress, unseen
from takean.exchange_rows import opened
from takean.forecast_history import Past

Show = Callable[[str, int, int], None]
"""(of what, done, of all)"""


def learn(past: Past, *, now_us: int, progress: Progress = unseen) -> Forecaster:
    """Train one on a record, and try it.

    Raises
    ------
    ExchangeError : scikit-learn is not installed
    """
    rows = rows_of(past.layout, past.own, past.upstream)
    return train(past.layout, rows, forecast_fit.fit, now_us=now_us, progress=progress)


def train_stations(names: Sequence[str], *, show: Show) -> Iterator[tuple[str, Path, Forecaster]]:
    """Train those of the configured world, and write each to its file.

    Parameters
    ----------
    names : empty: every station that measures a water level

    Raises
    ------
    ConfigError, ExchangeError : see their texts
    """
    folder, state = settings.config_folder(), settings.state_path()
    registry = stations.load(folder / "stations.toml")
    kind = settings.load(folder).world.kind
    for name in names:
        if layout_of(registry, name) is None:
            raise ExchangeError(f"{name}: no station of that id that measures stage_m")
    with opened(
        socket=places.local_socket(state, kind),
        journal=state / f"journal.{kind}.duckdb",
        days=places.days_folder(state, kind),
    ) as rows:
        for name in names or registry.stations:
            layout = layout_of(registry, name)
            if layout is None:
                continue
            past = forecast_history.of_store(rows, layout)
            found = learn(past, now_us=clock.real_us(), progress=partial(show, name))
            path = forecast_file.path_of(places.forecasts_folder(state, kind), name)
            forecast_file.save(path, found)
            yield name, path, found


def told(of: Forecaster) -> list[str]:
    """What people are told of one: the verdicts in Thai, then in English, then the table they rest on."""
    lines = [one.thai for one in of.verdicts] + [one.english for one in of.verdicts]
    lines.append(
        f"ฝึกเมื่อ {thai_date(of.trained_us)} จาก {of.rows} ค่า ถึง {thai_date(of.until_us)} · trained on {of.rows} rows"
        if of.rows
        else "ไม่มีข้อมูล · no rows"
    )
    return lines + table(of)


def table(of: Forecaster) -> list[str]:
    """The skill as lines of text, also Markdown."""
    if not of.scores:
        return []
    heads = ["h", "rows", "n", *(f"MAE {name}" for name in METHODS), *(f"pinball {name}" for name in METHODS)]
    lines = [f"| {' | '.join([*heads, 'in 80 %', 'folds won'])} |", "|" + "---|" * (len(heads) + 2)]
    for one in of.scores:
        cells = [f"{one.horizon_h:g}", "rises" if one.rises else "all", f"{one.rows}"]
        cells += [f"{one.mae[name]:.4f}" for name in METHODS] + [f"{one.pinball[name]:.4f}" for name in METHODS]
        lines.append(f"| {' | '.join([*cells, f'{one.inside:.0%}', f'{one.won}/{one.folds}'])} |")
    return lines


def summary(of: Forecaster) -> str:
    """JSON for a program."""
    return json.dumps(
        {
            "series": of.layout.series,
            "upstream": [asdict(link) for link in of.layout.upstream],
            "trained_us": of.trained_us,
            "from_us": of.from_us,
            "until_us": of.until_us,
            "rows": of.rows,
            "verdicts": [asdict(one) for one in of.verdicts],
            "scores": [asdict(one) for one in of.scores],
        },
        ensure_ascii=False,
    )
