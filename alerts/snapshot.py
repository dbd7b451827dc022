"""The state of judgement on disk: written beside the journal, renamed whole, thrown away when it is not ours."""

import hashlib
import os
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from alerts.columns import Rows
from alerts.ladders import Ladders
from alerts.track_state import TrackState
from sensors.batch import Int64
from sensors.calibration import Calibration
from sensors.stations import Registry

CODE = "7"
"""Raised whenever judging the same journal would give another state: an older snapshot is then rebuilt."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Snapshot:
    """Judgement after the reading with number `seq`."""

    seq: int
    state: TrackState
    quiet_us: Int64
    """(3, series) what `silence.Silence` keeps."""
    listened_us: int
    """Judgement clock until which we listened."""


def fingerprint(registry: Registry, ladders: Ladders) -> str:
    """Changes with anything that judgement depends on."""
    digest = hashlib.sha256(CODE.encode())
    digest.update("\n".join(registry.keys()).encode())
    for columns in (registry.limits, ladders, Calibration.of(registry)):
        for f in fields(columns):
            value = getattr(columns, f.name)
            if isinstance(value, np.ndarray):
                digest.update(value.tobytes())
    for names in (ladders.hazard, ladders.names, map(repr, ladders.areas)):
        digest.update("\n".join(names).encode())
    digest.update("\n".join(f"{r.id} {r.version}" for rung in ladders.rules for r in rung if r).encode())
    digest.update(repr([one.formulas for one in ladders.composites.ladders]).encode())
    return digest.hexdigest()[:16]


def save(path: Path, snapshot: Snapshot, mark: str) -> None:
    """Write to a temporary file, sync, rename: a kill leaves the old one or the new one."""
    state = replace(snapshot.state, pending=())
    columns = dict(_arrays("state", state)) | dict(_arrays("pending", snapshot.state.all_pending()))
    temporary = path.with_suffix(".new")
    with temporary.open("wb") as file:
        np.savez(
            file,
            allow_pickle=False,
            mark=np.array(mark),
            seq=np.array(snapshot.seq),
            quiet_us=snapshot.quiet_us,
            listened_us=np.array(snapshot.listened_us),
            **columns,
        )
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def load(path: Path, mark: str, *, empty: TrackState) -> Snapshot | None:
    """The newest snapshot, or None when there is none, it is damaged, or it was made by other rules or code.

    Parameters
    ----------
    empty : the state before the first reading; it says what is to be found
    """
    try:
        with np.load(path, allow_pickle=False) as held:
            if str(held["mark"]) != mark:
                return None
            pending = _filled(Rows.none(), "pending", held)
            return Snapshot(
                seq=int(held["seq"]),
                state=replace(_filled(empty, "state", held), pending=(pending,) if len(pending) else ()),
                quiet_us=held["quiet_us"],
                listened_us=int(held["listened_us"]),
            )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def seq_of(path: Path) -> int:
    """Up to which row a snapshot goes, whatever the rules it is of; 0 where there is none or it cannot be read."""
    try:
        with np.load(path, allow_pickle=False) as held:
            return int(held["seq"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return 0


def _arrays(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """All arrays below a value, by the path of fields that leads to each."""
    if isinstance(value, np.ndarray):
        yield name, value
    elif is_dataclass(value):
        for f in fields(value):
            yield from _arrays(f"{name}.{f.name}", getattr(value, f.name))
    elif isinstance(value, tuple):
        for number, part in enumerate(value):
            yield from _arrays(f"{name}.{number}", part)


T = TypeVar("T")


def _filled(like: T, name: str, held: Mapping[str, Any]) -> T:
    """A value of the same shape with the arrays that were kept under its name."""
    if isinstance(like, np.ndarray):
        return held[name]  # type: ignore[no-any-return]
    if is_dataclass(like) and not isinstance(like, type):
        parts = {f.name: _filled(getattr(like, f.name), f"{name}.{f.name}", held) for f in fields(like)}
        return replace(like, **parts)
    if isinstance(like, tuple):
        return tuple(_filled(part, f"{name}.{number}", held) for number, part in enumerate(like))  # type: ignore[return-value]
    return like
