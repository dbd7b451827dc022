"""Stories, fan-outs and addresses to fill a ledger with."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from alerts.episode import AreaStatus, Episode, Event, EventType, FanOut, Kind, Notice, Purpose, Used, apply
from alerts.ledger import AlertLedger, Attempt, Delivery, DeliveryState, Record
from alerts.ledger.sql import SqlLedger, open_ledger
from alerts.people import Address

HOUR_US = 3_600_000_000
T0_US = 1_790_000_000_000_000
"""Judgement clock at the start; real time in these tests starts at 0, so that mixing the two shows."""
LEASE_US = 60_000_000
WAIT_MAX_US = 300_000_000
FOREVER_US = T0_US + 1000 * HOUR_US

USED = (
    Used(
        rule="flood.stage.2",
        rule_version="3",
        series="PY01/stage_m",
        time_us=T0_US,
        value=4.430000000000001,
        flag=2,
        seq=17,
        threshold=4.4,
        truth=True,
    ),
)


def change(
    before: Episode | None = None,
    *,
    type: EventType = EventType.JUDGED,
    to: int = 1,
    id: str = "flood.33160801.1",
    kind: Kind = Kind.EXERCISE,
    area: str = "33160801",
    hazard: str = "flood",
    at_us: int = T0_US,
    used: tuple[Used, ...] = (),
) -> tuple[Event, Episode]:
    """The next event of a story (its first one when there is none before) and the story after it."""
    event = Event(
        episode=id if before is None else before.id,
        version=1 if before is None else before.version + 1,
        kind=kind if before is None else before.kind,
        area=area if before is None else before.area,
        hazard=hazard if before is None else before.hazard,
        type=type,
        from_level=0 if before is None else before.judged_level,
        to_level=to,
        event_us=at_us,
        recorded_us=at_us + 1,
        used=used,
    )
    return event, apply(before, event)


def fanout(
    story: Episode,
    *,
    level: int = 2,
    purpose: Purpose = Purpose.ALERT,
    areas: tuple[str, ...] = ("33160801",),
    channels: tuple[str, ...] = ("preview",),
    expires_us: int = FOREVER_US,
    created_us: int = T0_US,
) -> FanOut:
    """The alert of a story's newest version."""
    return FanOut(
        id=f"{story.id}#{story.version}",
        episode=story.id,
        version=story.version,
        kind=story.kind,
        purpose=purpose,
        level=level,
        areas=areas,
        channels=channels,
        text=f"น้ำท่วม {level} v{story.version}",
        created_us=created_us,
        expires_us=expires_us,
    )


def people(
    count: int,
    *,
    kind: Kind = Kind.EXERCISE,
    area: str = "33160801",
    channel: str = "preview",
    first: int = 0,
) -> list[Address]:
    """Addresses r0000.preview, r0001.preview ..."""
    return [
        Address(
            id=f"r{n:04d}.{channel}",
            kind=kind,
            recipient=f"r{n:04d}",
            area=area,
            channel=channel,
            target=f"{kind}-08{n:08d}",
        )
        for n in range(first, first + count)
    ]


def status(*, level: int = 1, kind: Kind = Kind.EXERCISE, area: str = "33160801") -> AreaStatus:
    """What is known of an area."""
    return AreaStatus(kind=kind, area=area, hazard="flood", level=level, known=True, since_us=T0_US)


def notice(
    *, text: str = "ค่าสูงผิดปกติ 9.90 ม.", at_us: int = T0_US, count: int = 1, kind: Kind = Kind.EXERCISE
) -> Notice:
    """Something to look at."""
    return Notice(kind=kind, code="suspect_extreme", subject="PY01/stage_m", text=text, at_us=at_us, count=count)


def tell(
    ledger: AlertLedger,
    story: Episode | None = None,
    *,
    level: int = 2,
    purpose: Purpose = Purpose.ALERT,
    id: str = "flood.33160801.1",
    kind: Kind = Kind.EXERCISE,
    area: str = "33160801",
    areas: tuple[str, ...] | None = None,
    channels: tuple[str, ...] = ("preview",),
    expires_us: int = FOREVER_US,
) -> Episode:
    """Record the next event of a story together with its fan-out."""
    event, after = change(story, to=level, id=id, kind=kind, area=area)
    out = fanout(after, level=level, purpose=purpose, areas=areas or (area,), channels=channels, expires_us=expires_us)
    ledger.record(Record(kind=after.kind, changes=[(event, after)], fanouts=[out]))
    return after


def expand_all(ledger: AlertLedger, *, limit: int = 500) -> int:
    """Expand until nothing waits."""
    total = 0
    while made := ledger.expand(limit=limit):
        total += made
    return total


def take(ledger: AlertLedger, *, real_us: int = 0, limit: int = 500, owner: str = "a") -> list[Delivery]:
    """Lease what is due."""
    return ledger.lease(owner=owner, real_us=real_us, lease_us=LEASE_US, wait_max_us=WAIT_MAX_US, limit=limit)


def tried(
    delivery: Delivery,
    state: DeliveryState = DeliveryState.ACCEPTED,
    *,
    next_us: int = 0,
    reason: str = "",
    number: int | None = None,
) -> Attempt:
    """The next try of a leased delivery."""
    return Attempt(
        delivery=delivery.id,
        number=delivery.attempts + 1 if number is None else number,
        started_us=10,
        ended_us=20,
        state=state,
        next_us=next_us,
        reason=reason,
    )


def states(ledger: AlertLedger, episode: str | None = None) -> dict[str, DeliveryState]:
    """State of each delivery by its key."""
    return {delivery.key: delivery.state for delivery in ledger.deliveries(episode, limit=100_000)}


def keys(deliveries: Sequence[Delivery]) -> list[str]:
    """Their keys in the order given."""
    return [delivery.key for delivery in deliveries]


@cache
def _empty() -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.db"
        open_ledger(path).close()
        return path.read_bytes()


def lay_empty(path: Path) -> Path:
    """The file of an empty ledger, migrated once and copied ever after: tests of opening migrate, others need not."""
    path.write_bytes(_empty())
    return path


def new_ledger(path: Path) -> SqlLedger:
    """An empty ledger."""
    return open_ledger(lay_empty(path))


class Reopening(SqlLedger):
    """A ledger whose program is restarted before every call."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open = new_ledger(path)

    def __getattribute__(self, name: str) -> object:
        own = object.__getattribute__
        if name.startswith("_"):
            return own(self, name)

        def restart_and_call(*args: object, **named: object) -> object:
            own(self, "_open").close()
            if name != "close":
                self._open = open_ledger(own(self, "_path"))
            return getattr(self._open, name)(*args, **named)

        return restart_and_call
