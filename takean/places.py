"""Where things lie in the state folder."""

from pathlib import Path

from alerts.episode import Kind


def stations_kept(state: Path) -> Path:
    """What stations.toml says, to be read at once."""
    return state / "stations.kept"


def local_socket(state: Path, kind: Kind) -> Path:
    """Where the worker answers the web."""
    return state / f"worker.{kind}.socket"


def cursor_file(state: Path, kind: Kind, mirror: str) -> Path:
    """How far a mirror is."""
    return state / f"mirror.{kind}.{mirror}.json"


def days_folder(state: Path, kind: Kind) -> Path:
    """Where the closed days lie."""
    return state / f"days.{kind}"


def hours_folder(state: Path, kind: Kind) -> Path:
    """Where the hours of all months lie."""
    return state / f"hours.{kind}"


def second_look_file(state: Path, kind: Kind) -> Path:
    """How far the second look at readings is, and what it remembers."""
    return state / f"second_look.{kind}.npz"


def unregistered_file(state: Path, kind: Kind) -> Path:
    """Who speaks and is not registered."""
    return state / f"unregistered.{kind}.sqlite"


def clock_file(state: Path, kind: Kind) -> Path:
    """Where the judgement clock stands."""
    return state / f"clock.{kind}"


def heart_file(state: Path, kind: Kind) -> Path:
    """The dispatcher's sign of life."""
    return state / f"dispatch.{kind}.beat"


def forecasts_folder(state: Path, kind: Kind) -> Path:
    """Where trained forecasters lie, one file a station."""
    return state / f"forecasts.{kind}"
