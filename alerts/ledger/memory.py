"""The ledger in memory: for backtests and tests, and the plain reading of the contract that SQL is compared with."""

import threading
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from alerts.episode import AreaStatus, Episode, Event, FanOut, Kind, Notice, Purpose
from alerts.ledger import (
    OUTLIVED,
    SUPERSEDED,
    AlertLedger,
    Attempt,
    Delivery,
    DeliveryState,
    PreviewMessage,
    Record,
    VersionConflict,
)
from alerts.ledger.rules import TAKEN_ON, check_limit, lapses_by, nobody_reached
from alerts.ledger.turns import Waiting, in_turn
from alerts.people import Address
from alerts.settled import Settled
from alerts.shelf import Silencing

State = DeliveryState


@dataclass(slots=True)
class _FanOutState:
    """A fan-out and how far it is."""

    fanout: FanOut
    pending: bool = True
    superseded: bool = False
    cursor: str = ""
    turn: int = 0


@dataclass(slots=True)
class _DeliveryState:
    """A delivery as it was made, and what became of it; its target is looked up when it is shown."""

    id: int
    fanout: FanOut
    address: Address
    state: DeliveryState = State.QUEUED
    attempts: int = 0
    next_us: int = 0
    lease_owner: str = ""
    lease_until_us: int = 0
    maybe_reached: bool = False
    reason: str = ""

    def is_due(self, real_us: int, *, lease_us: int, wait_max_us: int) -> bool:
        if self.state is State.QUEUED:
            return not real_us < self.next_us <= real_us + wait_max_us
        last_us = lapses_by(real_us, lease_us=lease_us)
        return self.state is State.SENDING and not real_us < self.lease_until_us <= last_us


class MemoryLedger(AlertLedger):
    """See `AlertLedger`. One lock around every call."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._changes = 0
        self._episodes: dict[str, Episode] = {}
        self._open: dict[tuple[str, str, Kind], str | None] = {}
        self._events: defaultdict[str, list[Event]] = defaultdict(list)
        self._statuses: dict[tuple[str, str, str], AreaStatus] = {}
        self._notices: list[Notice] = []
        self._settled: dict[tuple[object, ...], Settled] = {}
        self._silences: list[Silencing] = []
        self._judged = dict.fromkeys(Kind, 0)
        self._deaths: defaultdict[Kind, dict[str, int]] = defaultdict(dict)
        self._addresses: dict[tuple[str, str], Address] = {}
        self._fanouts: dict[str, _FanOutState] = {}
        self._deliveries: dict[int, _DeliveryState] = {}
        self._keys: set[tuple[str, str]] = set()
        self._attempts: dict[tuple[int, int], Attempt] = {}
        self._preview: dict[tuple[str, str], PreviewMessage] = {}

    def record(self, record: Record) -> None:
        """See the contract. Everything that can be refused is looked at before anything is written."""
        with self._lock:
            stories, opened = self._check(record)
            self._changes += 1
            for event, story in record.changes:
                self._events[story.id].append(event)
            self._episodes.update(stories)
            self._open.update(opened)
            for fanout in record.fanouts:
                self._add_fanout(fanout)
            for status in record.statuses:
                self._statuses[status.kind, status.area, status.hazard] = status
            for notice in record.notices:
                self._add_notice(notice)
            for change in record.settled:
                self._settled.setdefault(_settled_key(change), change)
            through = record.judged_through or 0
            self._judged[record.kind] = max(self._judged[record.kind], through)
            deaths = self._deaths[record.kind]
            deaths.update({station: max(seq, deaths.get(station, seq)) for station, seq in record.deaths.items()})

    def _check(self, record: Record) -> tuple[dict[str, Episode], dict[tuple[str, str, Kind], str | None]]:
        """The stories as they will stand and which is open where, or the reason why not."""
        stories: dict[str, Episode] = {}
        opened: dict[tuple[str, str, Kind], str | None] = {}
        for event, story in record.changes:
            place = (event.area, event.hazard, event.kind)
            before = stories.get(story.id, self._episodes.get(story.id))
            running = opened.get(place, self._open.get(place))
            taken = story.closed_us is None and running not in (None, story.id)
            if (0 if before is None else before.version) != story.version - 1 or taken:
                raise VersionConflict(f"{event.episode}: version {event.version} is not the next one any more")
            stories[story.id] = story
            if story.closed_us is None:
                opened[place] = story.id
            elif running == story.id:
                opened[place] = None
        for fanout in record.fanouts:
            known = stories.get(fanout.episode, self._episodes.get(fanout.episode))
            if known is None or known.kind is not fanout.kind:
                raise ValueError(f"fan-out {fanout.id}: there is no episode {fanout.episode} of kind {fanout.kind}")
        return stories, opened

    def _add_fanout(self, fanout: FanOut) -> None:
        if fanout.id in self._fanouts:
            return
        entry = _FanOutState(fanout)
        for other in self._fanouts.values():
            if other.fanout.episode != fanout.episode or Purpose.CALL in (fanout.purpose, other.fanout.purpose):
                continue
            if other.fanout.version < fanout.version and not other.superseded:
                other.superseded = other.pending = True
            elif other.fanout.version > fanout.version:
                entry.superseded, entry.pending = True, False
        self._fanouts[fanout.id] = entry

    def _add_notice(self, notice: Notice) -> None:
        for place, seen in enumerate(self._notices):
            same = (seen.kind, seen.code, seen.subject) == (notice.kind, notice.code, notice.subject)
            if same and seen.acknowledged_us is None:
                if (seen.text, seen.at_us) != (notice.text, notice.at_us):
                    count = seen.count + notice.count
                    self._notices[place] = replace(seen, text=notice.text, at_us=notice.at_us, count=count)
                return
        self._notices.append(replace(notice, id=len(self._notices) + 1))

    def acknowledge_notice(self, id: int, *, actor: str, now_us: int) -> bool:
        """See the contract."""
        with self._lock:
            if not 1 <= id <= len(self._notices) or self._notices[id - 1].acknowledged_us is not None:
                return False
            seen = replace(self._notices[id - 1], acknowledged_by=actor, acknowledged_us=now_us)
            self._notices[id - 1] = seen
            self._changes += 1
            return True

    def put_silence(self, silence: Silencing) -> int:
        """See the contract."""
        with self._lock:
            self._silences.append(replace(silence, id=len(self._silences) + 1))
            self._changes += 1
            return len(self._silences)

    def change_silence(self, before: Silencing, after: Silencing) -> bool:
        """See the contract."""
        with self._lock:
            if not 1 <= before.id <= len(self._silences) or self._silences[before.id - 1] != before:
                return False
            self._silences[before.id - 1] = after
            self._changes += 1
            return True

    def put_addresses(self, addresses: Sequence[Address]) -> None:
        """See the contract."""
        with self._lock:
            channels = {key: address.channel for key, address in self._addresses.items()}
            for address in addresses:
                channel = channels.setdefault((address.id, Kind(address.kind)), address.channel)
                if channel != address.channel:
                    raise ValueError(
                        f"address {address.id} is reached by {channel} and cannot become {address.channel}: "
                        "give the other channel another id"
                    )
            self._addresses.update({(address.id, address.kind): address for address in addresses})
            self._changes += 1

    def expand(self, *, limit: int) -> int:
        """See the contract."""
        check_limit(limit)
        with self._lock:
            if not any(entry.pending for entry in self._fanouts.values()):
                return 0
            self._changes += 1
            self._expire_superseded(limit)
            while (entry := self._next_fanout()) is not None:
                chosen = list(islice(self._recipients(entry), limit))
                entry.turn += 1
                entry.pending = len(chosen) == limit
                entry.cursor = chosen[-1].id if chosen else entry.cursor
                new = [address for address in chosen if (entry.fanout.id, address.id) not in self._keys]
                for address in new:
                    id = len(self._deliveries) + 1
                    self._deliveries[id] = _DeliveryState(id, entry.fanout, address)
                    self._keys.add((entry.fanout.id, address.id))
                if not (entry.pending or entry.cursor) and entry.fanout.purpose is not Purpose.ALL_CLEAR:
                    fanout = entry.fanout
                    self._add_notice(
                        nobody_reached(
                            fanout.purpose, kind=fanout.kind, episode=fanout.episode, at_us=fanout.created_us
                        )
                    )
                if new:
                    return len(new)
            return 0

    def _next_fanout(self) -> _FanOutState | None:
        waiting = (entry for entry in self._fanouts.values() if entry.pending and not entry.superseded)
        return min(
            waiting,
            key=lambda entry: (-entry.fanout.level, entry.turn, entry.fanout.created_us, entry.fanout.id),
            default=None,
        )

    def _recipients(self, entry: _FanOutState) -> Iterable[Address]:
        fanout = entry.fanout
        ids = self._warned(fanout) if fanout.purpose is Purpose.ALL_CLEAR else None
        for (id, kind), address in sorted(self._addresses.items()):
            if kind != fanout.kind or id <= entry.cursor:
                continue
            if id in ids if ids is not None else address.channel in fanout.channels and address.area in fanout.areas:
                yield address

    def _warned(self, fanout: FanOut) -> set[str]:
        """Addresses that an older alert of the episode may have reached, and no all-clear between the two."""
        warned: dict[str, int] = {}
        cleared: dict[str, int] = {}
        for delivery in self._deliveries.values():
            if delivery.fanout.episode != fanout.episode or delivery.fanout.version >= fanout.version:
                continue
            if delivery.fanout.purpose is Purpose.ALERT:
                told, is_told = warned, delivery.maybe_reached or delivery.state in (State.SENDING, *TAKEN_ON)
            elif delivery.fanout.purpose is Purpose.ALL_CLEAR:
                told, is_told = cleared, delivery.state in TAKEN_ON
            else:
                continue
            if is_told:
                told[delivery.address.id] = max(told.get(delivery.address.id, 0), delivery.fanout.version)
        return {address for address, version in warned.items() if version > cleared.get(address, 0)}

    def _expire_superseded(self, limit: int) -> None:
        swept = {id for id, entry in self._fanouts.items() if entry.pending and entry.superseded}
        waiting = [
            delivery
            for delivery in self._deliveries.values()
            if delivery.fanout.id in swept and delivery.state is State.QUEUED
        ][:limit]
        for delivery in waiting:
            delivery.state, delivery.reason = State.EXPIRED, SUPERSEDED
        if len(waiting) < limit:
            for id in swept:
                self._fanouts[id].pending = False

    def expire(self, *, now_us: int, limit: int) -> int:
        """See the contract."""
        check_limit(limit)
        with self._lock:
            outlived = [
                delivery
                for delivery in self._deliveries.values()
                if delivery.state is State.QUEUED and delivery.fanout.expires_us <= now_us
            ][:limit]
            for delivery in outlived:
                delivery.state, delivery.reason = State.EXPIRED, OUTLIVED
            self._changes += bool(outlived)
            return len(outlived)

    def lease(self, *, owner: str, real_us: int, lease_us: int, wait_max_us: int, limit: int) -> list[Delivery]:
        """See the contract."""
        check_limit(limit)
        with self._lock:
            due = [
                delivery
                for delivery in self._deliveries.values()
                if delivery.is_due(real_us, lease_us=lease_us, wait_max_us=wait_max_us)
            ]
            self._changes += bool(due)
            lapsed = [one for one in due if one.state is State.SENDING and self._fanouts[one.fanout.id].superseded]
            for delivery in lapsed[:limit]:
                delivery.state, delivery.reason, delivery.maybe_reached = State.EXPIRED, SUPERSEDED, True
            waiting = (
                Waiting(delivery.next_us, delivery.id, delivery.fanout.level, delivery.fanout.id)
                for delivery in due
                if not self._fanouts[delivery.fanout.id].superseded
            )
            taken = [self._deliveries[id] for id in in_turn(waiting, limit=limit)]
            for delivery in taken:
                delivery.state = State.SENDING
                delivery.lease_owner, delivery.lease_until_us = owner, real_us + lease_us
            return [self._shown(delivery) for delivery in taken]

    def finish(self, attempts: Sequence[Attempt]) -> None:
        """See the contract."""
        with self._lock:
            for attempt in attempts:
                if attempt.delivery not in self._deliveries:
                    raise ValueError(f"there is no delivery {attempt.delivery}")
            for attempt in attempts:
                self._finish(attempt)
            self._changes += bool(attempts)

    def _finish(self, attempt: Attempt) -> None:
        delivery = self._deliveries[attempt.delivery]
        superseded = self._fanouts[delivery.fanout.id].superseded and attempt.state is State.QUEUED
        ended = replace(attempt, state=State.EXPIRED) if superseded else attempt
        written = (attempt.delivery, attempt.number) not in self._attempts
        if written:
            self._attempts[attempt.delivery, attempt.number] = ended
        if delivery.state.terminal or not (written or ended.state in TAKEN_ON):
            return
        delivery.state = ended.state
        delivery.attempts = max(delivery.attempts, attempt.number)
        delivery.next_us = ended.next_us
        delivery.reason = ended.reason
        delivery.maybe_reached |= attempt.state in (State.QUEUED, *TAKEN_ON)

    def _shown(self, delivery: _DeliveryState) -> Delivery:
        fanout, address = delivery.fanout, delivery.address
        return Delivery(
            id=delivery.id,
            key=f"{fanout.id}/{address.id}",
            fanout=fanout.id,
            episode=fanout.episode,
            purpose=fanout.purpose,
            kind=fanout.kind,
            level=fanout.level,
            address=address.id,
            channel=address.channel,
            target=self._addresses[address.id, address.kind].target,
            text=fanout.text,
            state=delivery.state,
            attempts=delivery.attempts,
            expires_us=fanout.expires_us,
            next_us=delivery.next_us,
            reason=delivery.reason,
        )

    def preview_put(self, *, key: str, kind: Kind, target: str, text: str, level: int, now_us: int) -> None:
        """See the contract."""
        message = PreviewMessage(key=key, target=target, text=text, level=level, at_us=now_us)
        with self._lock:
            self._changes += self._preview.setdefault((kind, key), message) is message

    def episodes(
        self, kind: Kind, *, open_only: bool = False, ended_since_us: int | None = None, limit: int = 200
    ) -> list[Episode]:
        """See the contract."""
        with self._lock:
            chosen = [
                story
                for story in self._episodes.values()
                if story.kind is kind
                and not (open_only and story.closed_us is not None)
                and (ended_since_us is None or (story.closed_us is not None and story.closed_us >= ended_since_us))
            ]
        return sorted(chosen, key=lambda story: (story.opened_us, story.id), reverse=True)[:limit]

    def episode(self, id: str) -> Episode | None:
        """See the contract."""
        with self._lock:
            return self._episodes.get(id)

    def events(self, episode: str) -> list[Event]:
        """See the contract."""
        with self._lock:
            return list(self._events.get(episode, ()))

    def recorded(self, kind: Kind, *, from_us: int, to_us: int, limit: int) -> list[Event]:
        """See the contract."""
        with self._lock:
            every = [event for story in self._events.values() for event in story]
        chosen = [replace(e, used=()) for e in every if e.kind is kind and from_us <= e.recorded_us < to_us]
        chosen.sort(key=lambda event: (event.recorded_us, event.episode, event.version))
        return chosen[max(0, len(chosen) - limit) :]

    def silences(self, kind: Kind, *, after_us: int) -> list[Silencing]:
        """See the contract."""
        with self._lock:
            return [one for one in self._silences if one.kind is kind and one.end_us > after_us]

    def statuses(self, kind: Kind) -> list[AreaStatus]:
        """See the contract."""
        with self._lock:
            return [status for key, status in sorted(self._statuses.items()) if status.kind is kind]

    def notices(self, kind: Kind, *, open_only: bool = True, limit: int = 200) -> list[Notice]:
        """See the contract."""
        with self._lock:
            chosen = [
                notice
                for notice in self._notices
                if notice.kind is kind and not (open_only and notice.acknowledged_us is not None)
            ]
        return sorted(chosen, key=lambda notice: (notice.at_us, notice.id), reverse=True)[:limit]

    def settled(self, kind: Kind, *, from_us: int, to_us: int) -> list[Settled]:
        """See the contract."""
        with self._lock:
            chosen = [one for one in self._settled.values() if one.kind is kind and from_us <= one.time_us < to_us]
        return sorted(chosen, key=_settled_key)

    def deliveries(self, episode: str | None = None, *, limit: int = 500) -> list[Delivery]:
        """See the contract."""
        with self._lock:
            newest = reversed(self._deliveries.values())
            chosen = (one for one in newest if episode is None or one.fanout.episode == episode)
            return [self._shown(delivery) for delivery in islice(chosen, limit)]

    def delivery_counts(self, kind: Kind, episode: str | None = None) -> Mapping[tuple[str, DeliveryState], int]:
        """See the contract."""
        with self._lock:
            return Counter(
                (delivery.address.channel, delivery.state)
                for delivery in self._deliveries.values()
                if delivery.fanout.kind is kind
                and delivery.fanout.purpose is not Purpose.CALL
                and episode in (None, delivery.fanout.episode)
            )

    def attempts(self, delivery: int) -> list[Attempt]:
        """See the contract."""
        with self._lock:
            tries = [attempt for attempt in self._attempts.values() if attempt.delivery == delivery]
        return sorted(tries, key=lambda attempt: attempt.number)

    def judged_through(self, kind: Kind) -> int:
        """See the contract."""
        with self._lock:
            return self._judged[kind]

    def deaths(self, kind: Kind) -> Mapping[str, int]:
        """See the contract."""
        with self._lock:
            return dict(self._deaths[kind])

    def preview_messages(self, kind: Kind, *, limit: int = 50) -> list[PreviewMessage]:
        """See the contract."""
        with self._lock:
            newest = [message for (world, _), message in reversed(self._preview.items()) if world == kind]
        return sorted(newest, key=lambda message: message.at_us, reverse=True)[:limit]

    def change_count(self) -> int:
        """See the contract."""
        with self._lock:
            return self._changes

    def close(self) -> None:
        """Nothing to let go of."""


def _settled_key(change: Settled) -> tuple[int, str, str, str, str, bool]:
    return (change.time_us, change.kind, change.rules, change.series, change.hazard, change.rise)
