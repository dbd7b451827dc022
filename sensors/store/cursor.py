"""How far a mirror is, in a file of its own that other processes may read."""

import logging
import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

log = logging.getLogger(__name__)


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """The cursor's file."""

    settled: int
    """Everything up to here is with the server for good."""
    mark: str
    """Of that row."""
    counted: int = 0
    """Refusals are counted up to here: what is sent again is not refused again."""
    refused: Mapping[str, int] = {}


def save(path: Path, kept: Kept) -> None:
    """Write it down, whole or not at all.

    Raises
    ------
    OSError : no room, or the folder cannot be written
    """
    beside = path.with_suffix(".new")
    with open(beside, "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
        file.write(msgspec.json.encode(kept))
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def load(path: Path) -> Kept:
    """What was written down; nothing where it cannot be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Kept)
    except FileNotFoundError:
        return Kept(settled=0, mark="")
    except (OSError, msgspec.MsgspecError) as error:
        log.warning("%s cannot be read (%s); everything is sent again", path, error)
        return Kept(settled=0, mark="")
