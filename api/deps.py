"""What the web needs of the rest, as one value; whoever builds the process fills it in."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from alerts.desk import Desk
from alerts.episode import Kind
from alerts.forecast.forecaster import Forecaster
from alerts.ledger import AlertReader, PreviewMessage
from alerts.people import Accounts
from alerts.rules import RuleSet
from sensors.stations import Registry
from sensors.store import Hours, Reviewer, SeriesReader


class Renderer(Protocol):
    """Turns a view into a page."""

    def render(self, template: str, **values: object) -> str:
        """Render one template."""


class QuarantineRow(Protocol):
    """One refused payload."""

    @property
    def id(self) -> int:
        """Rising."""

    @property
    def at_us(self) -> int:
        """Arrival, microseconds UTC."""

    @property
    def reason(self) -> str:
        """From the list of docs/wire.md."""

    @property
    def detail(self) -> str:
        """A sentence for the person who must mend it."""

    @property
    def topic(self) -> str:
        """As sent."""

    @property
    def client(self) -> str:
        """MQTT client id."""

    @property
    def length(self) -> int:
        """Bytes."""

    @property
    def sha256(self) -> str:
        """Of the payload; empty where it was not read."""

    @property
    def head(self) -> bytes:
        """Its first bytes: only for whoever may inspect."""


class QuarantineReader(Protocol):
    """What screens need of the refused payloads."""

    def list(self, limit: int, before_id: int | None = None) -> Sequence[QuarantineRow]:
        """Newest first; with `before_id`, those older than it."""

    def count_by_reason(self) -> Mapping[str, int]:
        """How many were ever refused."""


class HoursReader(Protocol):
    """See `sensors.store.rollup.HourReader`."""

    def hourly(self, key: str, *, from_us: int, to_us: int) -> Hours:
        """Hours of one series that begin at from_us <= time < to_us."""


class SeenReading(Protocol):
    """One reading of a device that nobody registered."""

    @property
    def name(self) -> str:
        """As the device calls it."""

    @property
    def value(self) -> float | None:
        """None where it measured nothing."""

    @property
    def time_us(self) -> int:
        """As the device dated it."""


class SeenRow(Protocol):
    """One device that passed authentication and is no station."""

    @property
    def via(self) -> str:
        """own, chirpstack, things_stack or sparkplug."""

    @property
    def id(self) -> str:
        """Its own."""

    @property
    def first_us(self) -> int:
        """Arrival of its first payload."""

    @property
    def last_us(self) -> int:
        """Arrival of its last one."""

    @property
    def count(self) -> int:
        """Payloads."""

    @property
    def topic(self) -> str:
        """Of the last one."""

    @property
    def client(self) -> str:
        """MQTT client id."""

    @property
    def readings(self) -> Sequence[SeenReading]:
        """Of the last one."""

    @property
    def problem(self) -> str:
        """Why it could not be read; empty where it could."""


class PublicReader(AlertReader, Protocol):
    """The record as the screens read it, with the preview phone."""

    def preview_messages(self, kind: Kind, *, limit: int = 50) -> list[PreviewMessage]:
        """Newest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Seconds from a device's publish to the decision, as a cumulative histogram."""

    buckets: Sequence[tuple[float, int]]
    """(upper bound in s, how many took at most that), rising; without the last, infinite one."""
    sum_s: float
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerStatus:
    """The way in through a broker."""

    connected: bool
    drops: int
    """Messages that the broker says it threw away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockSkew:
    """A device's clock that is minutes off."""

    seconds: float
    """Its time minus its arrival; below 0 it may be a queue as well."""
    steady: bool
    """It is known to be the clock's own: its times are put right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorStatus:
    """A copy of the readings on another server. However it is, nobody is warned later for it."""

    name: str
    backlog_rows: int
    """Stored here and not acknowledged there."""
    lag_s: float
    """Age of the oldest of them, by its arrival here; 0 without a backlog."""
    reason: str = ""
    """Why it does not get on; empty when it does."""
    refused: Mapping[str, int] = field(default_factory=dict)
    """Readings that it does not hold, by reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerStatus:
    """What the worker last said of itself."""

    alive: bool
    """Whether its heartbeat is fresh."""
    ready: bool
    """Whether it stores and judges now."""
    reason: str
    """Why it is not ready; empty when it is."""
    heartbeat_age_s: float
    stored_seq: int
    judged_seq: int
    readings: Mapping[str, int] = field(default_factory=dict)
    """How many, by state: stored, repeat, conflict."""
    quarantined: int = 0
    unrecorded: int = 0
    """Refusals of which nothing was kept: their device sent too many, or the quarantine could not be written."""
    forgotten: int = 0
    """Refusals whose record made way for newer ones."""
    broker: BrokerStatus | None = None
    """None where there is no such way in."""
    mirrors: Sequence[MirrorStatus] = field(default_factory=list)
    latency: Latency | None = None
    cpu_s: Mapping[str, float] = field(default_factory=dict)
    """Processor seconds by process."""
    connections: int = 0
    device_status: Mapping[str, str] = field(default_factory=dict)
    """Station -> online or offline, as birth and last will said."""
    clock_off_s: float = 0.0
    """How far this box's wall clock is off the judgement clock; 0 within ten minutes."""
    skews: Mapping[str, ClockSkew] = field(default_factory=dict)
    """Stations whose clocks are more than five minutes off."""


def no_forecaster(station: str) -> Forecaster | None:  # noqa: ARG001 - whoever is asked for
    """Where none is ever trained."""
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deps:
    """Everything `create_app` needs. Readers may block: the app calls them in threads."""

    registry: Registry
    rules: RuleSet
    reader: SeriesReader
    ledger: PublicReader
    desk: Desk
    accounts: Accounts
    quarantine: QuarantineReader
    worker: Callable[[], WorkerStatus]
    kind: Kind
    speed: float
    """Of the judgement clock; 1 when real."""
    now_us: Callable[[], int]
    """The judgement clock, microseconds UTC."""
    real_us: Callable[[], int]
    """Real time, microseconds UTC: sessions, links and limits use it."""
    pages: Renderer
    static_dir: Path
    map_file: Path
    """GeoJSON under the stations, served as /map.geojson."""
    public_url: str
    """As people type it; cookies are marked Secure when it is https."""
    hours: HoursReader | None = None
    """Readings by the hour, over years; None where they are not kept."""
    reviewer: Reviewer | None = None
    """Takes what people say of readings; None where nobody can be asked."""
    unregistered: Callable[[], Sequence[SeenRow]] = tuple
    """Devices that speak and are no station, who spoke last first."""
    forecaster: Callable[[str], Forecaster | None] = no_forecaster
    """Station -> what was trained for it; None where nothing was."""
