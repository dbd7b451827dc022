"""Who is on call, and in which turn: the people behind the roles of a chain (contract 5.10). Pure."""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from alerts.words import local

DAY_HOURS = 24
PEOPLE_MIN = 3
"""In a chain that stands in for a timed release at level 3."""
CHANNELS_MIN = 2
"""Of each of them: one may fail with the storm that it warns of."""


class Step(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One turn of a chain: a role is called, and has so many minutes to answer."""

    role: str
    minutes: float


class Contact(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody who can be called. No name and no number stands here: those belong to the addresses of the ledger."""

    id: str
    """Pseudonymous."""
    role: str
    channels: tuple[str, ...]
    hours: tuple[int, int] = (0, DAY_HOURS)
    """On call from this hour to that one, Asia/Bangkok; (22, 6) goes over midnight."""

    def on_call(self, hour: int) -> bool:
        """Whether this hour of the day, 0-23, is one of theirs."""
        first, last = self.hours
        return first <= hour < last if first < last else hour >= first or hour < last


def on_call(contacts: Sequence[Contact], role: str, at_us: int) -> tuple[Contact, ...]:
    """The people of a role who are on call at a moment."""
    hour = local(at_us).hour
    return tuple(one for one in contacts if one.role == role and one.on_call(hour))


def uncalled(chain: Sequence[Step], contacts: Sequence[Contact]) -> str:
    """What a chain lacks to be a chain of PEOPLE_MIN people around the clock with CHANNELS_MIN channels each; empty
    when it lacks nothing.
    """
    roles = {step.role for step in chain}
    able = [one for one in contacts if one.role in roles and len(set(one.channels)) >= CHANNELS_MIN]
    there = [sum(one.on_call(hour) for one in able) for hour in range(DAY_HOURS)]
    fewest = min(there)
    if fewest >= PEOPLE_MIN:
        return ""
    return (
        f"at {there.index(fewest):02d}:00 its chain reaches {fewest} people with {CHANNELS_MIN} channels each, "
        f"but must reach {PEOPLE_MIN} at every hour"
    )


def mistakes(contacts: Sequence[Contact], *, channels: Sequence[str]) -> Iterator[str]:
    """What is wrong with the people themselves.

    Parameters
    ----------
    channels : those that are built
    """
    if len({one.id for one in contacts}) < len(contacts):
        yield "contact ids must differ"
    for one in contacts:
        who = f"contact {one.id}"
        if not one.id or not one.role:
            yield f"{who}: id and role must be said"
        first, last = one.hours
        if not (0 <= first < DAY_HOURS and 0 < last <= DAY_HOURS and first != last):
            yield f"{who}: hours is {list(one.hours)} but must be two different hours of the day, from 0 to 24"
        if not one.channels:
            yield f"{who}: channels is empty; nobody reaches somebody who has none"
        for channel in one.channels:
            if channel not in channels:
                yield f"{who}: channel {channel!r} is not one of {', '.join(channels)}"


def chain_mistakes(who: str, chain: Sequence[Step], contacts: Mapping[str, int]) -> Iterator[str]:
    """What is wrong with one chain.

    Parameters
    ----------
    contacts : role -> how many people have it; where nobody is listed at all, roles are not looked up
    """
    for step in chain:
        if not 0 < step.minutes <= DAY_HOURS * 60:
            yield f"{who}: chain gives {step.role} {step.minutes:g} minutes but must give above 0, a day at most"
        if not step.role:
            yield f"{who}: chain has a step without a role"
        elif contacts and step.role not in contacts:
            yield f"{who}: chain calls {step.role}, whom no [[contact]] has as role"
