"""Silences: what officers want to hear nothing of for a while, with a reason and an end (contract 5.7). Pure.

A silence mutes the ringing and the calling, never the judging, and never a level above its own. Alarms that are put
aside one by one (*shelved*) are events of their stories, see `lifecycle.shelve`.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from alerts.episode import Episode, Kind, Level
from alerts.people import Actor, Refusal

SILENCE_MAX_US = 7 * 86_400 * 1_000_000
"""Longer works than a week are said again."""

Above = Callable[[str], Sequence[str]]
"""Area -> itself and the areas above it; of a station's own story the station alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Which stories; an empty part is any, and at least one is said."""

    area: str = ""
    """With all below it."""
    hazard: str = ""
    station: str = ""
    """The station's own alarms: what it measures is an area's matter."""

    def holds(self, story: Episode, above: Above) -> bool:
        """Whether a story is among them."""
        return (
            (not self.area or self.area in above(story.area))
            and (not self.hazard or self.hazard == story.hazard)
            and (not self.station or self.station == story.area)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Silencing:
    """One silence, as it stands in the ledger."""

    kind: Kind
    scope: Scope = field(default_factory=Scope)
    level: int
    """Up to this judged level."""
    reason: str
    from_us: int
    until_us: int
    by: str
    agreed_by: str = ""
    """The second person; without one nothing of level 3 is silent."""
    agreed_us: int | None = None
    ended_by: str = ""
    ended_us: int | None = None
    id: int = 0
    """Given by the ledger."""

    @property
    def end_us(self) -> int:
        """When it ends, or ended."""
        return self.until_us if self.ended_us is None else min(self.until_us, self.ended_us)

    @property
    def starts_us(self) -> int | None:
        """When it began to silence; None while it waits for the second person."""
        if self.level >= Level.CRITICAL:
            return self.agreed_us
        return self.from_us

    def mutes(self, story: Episode, above: Above) -> bool:
        """Whether a story is among what it silences, at its present level."""
        return self.starts_us is not None and story.judged_level <= self.level and self.scope.holds(story, above)


def quiet_until_us(story: Episode, silences: Iterable[Silencing], above: Above) -> int:
    """Until when a story has been, or will be, silent; 0 where it is not."""
    return max((one.end_us for one in silences if one.mutes(story, above)), default=0)


def ask(
    scope: Scope, *, kind: Kind, level: int, reason: str, until_us: int, actor: Actor, now_us: int
) -> Silencing | Refusal:
    """A silence as one officer asks for it."""
    if not (scope.area or scope.hazard or scope.station):
        return Refusal(code="invalid", text="ต้องบอกพื้นที่ ภัย หรือสถานี · say an area, a hazard or a station")
    if not Level.WATCH <= level <= Level.CRITICAL:
        return Refusal(code="invalid", text="ระดับต้องเป็น 1 ถึง 3 · the level must be 1 to 3")
    if not reason.strip() or not 0 < until_us - now_us <= SILENCE_MAX_US:
        return Refusal(code="invalid", text="ต้องบอกเหตุผล และไม่เกิน 7 วัน · say why, for 7 days at most")
    return Silencing(
        kind=kind,
        scope=scope,
        level=level,
        reason=reason.strip(),
        from_us=now_us,
        until_us=until_us,
        by=actor.account,
    )


def agree(before: Silencing, actor: Actor, now_us: int) -> Silencing | Refusal:
    """The second person's word."""
    if before.level < Level.CRITICAL or before.agreed_us is not None:
        return Refusal(code="pointless", text="ไม่ต้องมีคนที่สองแล้ว · no second person is needed")
    if before.by == actor.account:
        return Refusal(code="same_person", text="ต้องให้เจ้าหน้าที่อีกคนอนุมัติ · a second officer must agree")
    return replace(before, agreed_by=actor.account, agreed_us=now_us)


def end(before: Silencing, actor: Actor, now_us: int) -> Silencing:
    """Over before its time: one person is enough to hear again."""
    return replace(before, ended_by=actor.account, ended_us=now_us)
