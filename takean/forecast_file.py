"""A trained forecaster as one file: what it is and what it is worth as JSON, and beside it its arrays."""

import logging
import os
import zlib
from dataclasses import fields
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import msgspec
import numpy as np

from alerts.forecast.features import Layout
from alerts.forecast.forecaster import HORIZONS_H, Forecaster
from alerts.forecast.model import QUANTILES, Model, Trees
from alerts.forecast.trial import Score
from alerts.forecast.verdict import Verdict
from takean.exchange import ExchangeError

log = logging.getLogger(__name__)
FORMAT = "takean.forecast/1"
BAD_ARRAYS = (EOFError, ValueError, KeyError, TypeError, AssertionError, BadZipFile, zlib.error)
"""What a damaged file makes of reading it."""


class About(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The part of the file that people read: the array `about`, JSON in UTF-8."""

    format: str
    layout: Layout
    names: tuple[str, ...]
    """Of the numbers that are heard, in order."""
    horizons_h: tuple[float, ...]
    quantiles: tuple[float, ...]
    trained_us: int
    from_us: int
    until_us: int
    rows: int
    verdicts: tuple[Verdict, ...]
    scores: tuple[Score, ...]


def path_of(folder: Path, station: str) -> Path:
    """Where the forecaster of a station lies."""
    return folder / f"{station}.npz"


def save(path: Path, of: Forecaster) -> None:
    """Write it, whole or not at all."""
    about = About(
        format=FORMAT,
        layout=of.layout,
        names=of.layout.names,
        horizons_h=HORIZONS_H,
        quantiles=QUANTILES,
        trained_us=of.trained_us,
        from_us=of.from_us,
        until_us=of.until_us,
        rows=of.rows,
        verdicts=of.verdicts,
        scores=of.scores,
    )
    arrays: dict[str, Any] = {"about": np.frombuffer(msgspec.json.encode(about), dtype=np.uint8)}
    if of.model is not None:
        arrays |= {name: getattr(of.model, name) for name in ("intercept", "coef", "base")}
        arrays |= {f"tree_{f.name}": np.asarray(getattr(of.model.trees, f.name)) for f in fields(Trees)}
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.new")
    try:
        with beside.open("wb") as file:
            np.savez_compressed(file, **arrays)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def load(path: Path) -> Forecaster:
    """Read one.

    Raises
    ------
    FileNotFoundError : there is none
    ExchangeError : the file is damaged, or was written by another version
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as held:
            about = msgspec.json.decode(held["about"].tobytes(), type=About)
            same = (FORMAT, about.layout.names, HORIZONS_H, QUANTILES)
            if (about.format, about.names, about.horizons_h, about.quantiles) != same:
                raise ExchangeError(f"{path}: written by another version of the program; train it anew")
            model = _model(held) if "coef" in held else None
    except FileNotFoundError:
        raise
    except (OSError, msgspec.MsgspecError, *BAD_ARRAYS) as error:
        raise ExchangeError(f"{path}: no forecaster can be read from it ({error}); train it anew") from error
    if (model is not None) != any(one.accepted for one in about.verdicts) or (
        model is not None and model.coef.shape[1] != len(about.names)
    ):
        raise ExchangeError(f"{path}: its arrays are not those it speaks of; train it anew")
    return Forecaster(
        layout=about.layout,
        trained_us=about.trained_us,
        from_us=about.from_us,
        until_us=about.until_us,
        rows=about.rows,
        scores=about.scores,
        verdicts=about.verdicts,
        model=model,
    )


def _model(held: Any) -> Model:
    trees = {f.name: held[f"tree_{f.name}"] for f in fields(Trees)}
    trees["depth"] = int(trees["depth"])
    return Model(intercept=held["intercept"], coef=held["coef"], base=held["base"], trees=Trees(**trees))


class Forecasters:
    """Those of a folder, read anew when a file changes. For use from threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: dict[str, tuple[tuple[int, int], Forecaster | None]] = {}

    def __call__(self, station: str) -> Forecaster | None:
        """Of a registered station; None where there is none that can be read."""
        path = path_of(self._folder, station)
        try:
            is_ = path.stat()
        except OSError:
            return None
        mark = (is_.st_mtime_ns, is_.st_ino)
        held = self._held.get(station)
        if held is None or held[0] != mark:
            held = self._held[station] = mark, _read(path)
        return held[1]


def _read(path: Path) -> Forecaster | None:
    try:
        return load(path)
    except (OSError, ExchangeError) as error:
        log.warning("forecaster not used: %s", error)
        return None
