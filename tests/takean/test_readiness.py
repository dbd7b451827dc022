"""What /readyz is told of a box."""

from dataclasses import replace

from alerts.episode import Kind
from takean.heartbeat import Beat
from takean.local_client import NOBODY
from takean.readiness import ROOM_BYTES_MIN, able_to_warn

BEAT = Beat(alive=True, age_s=0.0, cpu_s=0.0)


def reason(*, ready: bool, room_bytes: int) -> str:
    status = replace(NOBODY, alive=ready, ready=ready, reason="" if ready else "the worker cannot be asked")
    return able_to_warn(status, Kind.EXERCISE, BEAT, "web", room_bytes=room_bytes).reason


def test_a_worker_that_cannot_begin_on_a_full_disk_is_told_with_its_cause() -> None:
    assert (
        reason(ready=False, room_bytes=3 << 20)
        == "the worker cannot be asked; the state folder's disk is full: 3 MB left"
    )
    assert reason(ready=False, room_bytes=ROOM_BYTES_MIN) == "the worker cannot be asked"
    assert reason(ready=True, room_bytes=0) == "", "whoever works is not doubted"
