"""Whether the box is able to warn: what `/readyz` says."""

import time
from dataclasses import replace

from alerts.episode import Kind
from api.deps import WorkerStatus
from takean.heartbeat import Beat

DISPATCH_S_MAX = 90.0
"""A turn of the dispatcher may take a lease of 60 s and a channel's time-out."""
ROOM_BYTES_MIN = 64 << 20
"""Below this a disk is full: a checkpoint of the journal writes 16 MB and more at once."""


def able_to_warn(status: WorkerStatus, kind: Kind, beat: Beat, process: str, *, room_bytes: int) -> WorkerStatus:
    """What the worker says, and whether anybody could be told; with the processor time of all processes.

    Parameters
    ----------
    beat : the dispatcher's
    process : this one
    room_bytes : left on the state folder's disk
    """
    cpu_s = dict(status.cpu_s)
    if process not in cpu_s:  # else all are one
        cpu_s |= {process: time.process_time(), "dispatch": beat.cpu_s}
    status = replace(status, cpu_s=cpu_s)
    if not status.ready and room_bytes < ROOM_BYTES_MIN:  # a worker that cannot begin has nobody else to say it
        return replace(status, reason=f"{status.reason}; the state folder's disk is full: {room_bytes >> 20} MB left")
    if not status.ready:
        return status
    if kind is Kind.ACTUAL:
        return replace(status, ready=False, reason="no channel reaches people: the preview phone is for exercises")
    if not beat.alive:
        return replace(status, ready=False, reason="the dispatcher is dead: nothing is sent")
    if beat.age_s > DISPATCH_S_MAX:
        return replace(status, ready=False, reason=f"nothing has been sent for {beat.age_s:.0f} s: look at the ledger")
    return status
