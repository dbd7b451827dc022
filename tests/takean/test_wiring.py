"""What /readyz is told of a box, and what may leave its journal."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import numpy as np

from alerts.episode import Kind
from alerts.ledger import Record
from alerts.ledger.memory import MemoryLedger
from sensors.store.cursor import Kept
from takean import places, wiring
from takean.heartbeat import Beat
from takean.local_client import NOBODY

BEAT = Beat(alive=True, age_s=0.0, cpu_s=0.0)


def reason(*, ready: bool, room_bytes: int) -> str:
    status = replace(NOBODY, alive=ready, ready=ready, reason="" if ready else "the worker cannot be asked")
    return wiring._able_to_warn(status, Kind.EXERCISE, BEAT, "web", room_bytes=room_bytes).reason


def test_a_worker_that_cannot_begin_on_a_full_disk_is_told_with_its_cause() -> None:
    assert (
        reason(ready=False, room_bytes=3 << 20)
        == "the worker cannot be asked; the state folder's disk is full: 3 MB left"
    )
    assert reason(ready=False, room_bytes=wiring.ROOM_BYTES_MIN) == "the worker cannot be asked"
    assert reason(ready=True, room_bytes=0) == "", "whoever works is not doubted"


def test_nothing_leaves_the_journal_before_judge_and_mirrors_have_it(tmp_path: Path) -> None:
    mirror = SimpleNamespace(name="influx")
    world = cast("Any", SimpleNamespace(state=tmp_path, kind=Kind.ACTUAL, mirrors=[mirror]))
    ledger = cast("Any", MemoryLedger())
    ledger.record(Record(kind=Kind.ACTUAL, judged_through=90))
    cursor = places.cursor_file(tmp_path, Kind.ACTUAL, "influx")
    snapshot = tmp_path / "judge.actual.npz"
    assert wiring._needed_from_seq(world, ledger) == 1, "a judge without a snapshot begins at the beginning"
    np.savez(snapshot, seq=np.array(80))
    assert wiring._needed_from_seq(world, ledger) == 1, "a mirror that has not begun needs all"
    cursor.write_bytes(msgspec.json.encode(Kept(settled=70, mark="")))
    assert wiring._needed_from_seq(world, ledger) == 71
    cursor.write_bytes(msgspec.json.encode(Kept(settled=95, mark="")))
    assert wiring._needed_from_seq(world, ledger) == 81
    np.savez(snapshot, seq=np.array(100))
    assert wiring._needed_from_seq(world, ledger) == 91
    snapshot.write_bytes(b"half")
    assert wiring._needed_from_seq(world, ledger) == 1
