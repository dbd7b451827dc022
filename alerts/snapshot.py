"""The state of judgement on disk: written beside the journal, renamed whole, thrown away when it is not ours."""

import hashlib
import os
import zipfile
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from alerts.evidence import LadderState
from alerts.judgement import JudgeState
from alerts.rules import Ladders
from sensors.batch import Int64
from sensors.stations import Registry
from sensors.window import Window

CODE = "2"
"""Raised whenever judging the same journal would give another state: an older snapshot is then rebuilt."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Snapshot:
    """Judgement after the reading with number `seq`."""

    seq: int
    state: JudgeState
    quiet_us: Int64
    """(series,) since when each has been silent while we listened."""
    listened_us: int
    """Judgement clock until which we listened."""


def fingerprint(registry: Registry, ladders: Ladders) -> str:
    """Changes with anything that judgement depends on."""
    digest = hashlib.sha256(CODE.encode())
    digest.update("\n".join(registry.keys()).encode())
    for columns in (registry.limits, ladders):
        for f in fields(columns):
            value = getattr(columns, f.name)
            if isinstance(value, np.ndarray):
                digest.update(value.tobytes())
    digest.update("\n".join(f"{r.id} {r.version}" for rung in ladders.rules for r in rung if r).encode())
    return digest.hexdigest()


def save(path: Path, snapshot: Snapshot, mark: str) -> None:
    """Write to a temporary file, sync, rename: a kill leaves the old one or the new one."""
    columns = {
        f"{part}.{f.name}": getattr(getattr(snapshot.state, part), f.name)
        for part, kind in (("window", Window), ("ladders", LadderState))
        for f in fields(kind)
    }
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


def load(path: Path, mark: str) -> Snapshot | None:
    """The newest snapshot, or None when there is none, it is damaged, or it was made by other rules or code."""
    try:
        with np.load(path, allow_pickle=False) as held:
            if str(held["mark"]) != mark:
                return None
            window = Window(**{f.name: held[f"window.{f.name}"] for f in fields(Window)})
            ladders = LadderState(**{f.name: held[f"ladders.{f.name}"] for f in fields(LadderState)})
            return Snapshot(
                seq=int(held["seq"]),
                state=JudgeState(window=window, ladders=ladders),
                quiet_us=held["quiet_us"],
                listened_us=int(held["listened_us"]),
            )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
