"""The straight line from messages to judged readings, for one batch; effects arrive as arguments."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from operator import attrgetter

import numpy as np

from ingest.codecs import short
from ingest.codecs.bounds import shown
from ingest.message import Message, Reason, Rejection, Rows
from ingest.source import Codec, Format, Source, Sources
from sensors.batch import ReadingBatch

Refused = tuple[Message, Rejection]
_TOPIC, _RECEIVED_US = attrgetter("topic"), attrgetter("received_us")

UNKNOWN = -1
"""Index of a reading that no station has."""
NAMES_SHOWN = 5
DETAILS_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """What happens between a socket and the acknowledgement."""

    sources: Sources
    codecs: Mapping[Format, Codec]
    index: Mapping[tuple[str, str], int]
    """(station, reading name) -> index of the series."""
    take: Callable[[ReadingBatch], object]
    """Stores and judges; returns when both are on disk."""
    refuse: Callable[[Sequence[Refused]], None]
    """Keeps refusals; returns when they are on disk."""

    def process(self, messages: Sequence[Message]) -> None:
        """Make all of these messages safe: each reading stored and judged, each refusal on disk.

        Raises
        ------
        Exception : some are not safe yet; offering the same messages again is harmless
        """
        batch, refused = assemble(messages, sources=self.sources, codecs=self.codecs, index=self.index)
        if len(batch):
            self.take(batch)
        if refused:  # behind the readings: a refusal that cannot be written must not hold up a judgement
            self.refuse(refused)


def assemble(
    messages: Sequence[Message],
    *,
    sources: Sources,
    codecs: Mapping[Format, Codec],
    index: Mapping[tuple[str, str], int],
) -> tuple[ReadingBatch, list[Refused]]:
    """Decode messages into one batch in order of arrival, and set aside what cannot be read.

    Parameters
    ----------
    messages : the way in has checked who may publish on their topics
    index : (station, reading name) -> series
    """
    found = list(map(sources.find, map(_TOPIC, messages)))
    clean = short.decode(
        [
            message.payload if source is not None and source.is_registered and source.format is Format.OWN else b""
            for message, source in zip(messages, found, strict=True)
        ]
    )
    rows, refused = Rows(), list[Refused]()
    for number in clean.left:
        message, source = messages[number], found[number]
        if source is None:
            refused.append((message, Rejection(Reason.FOREIGN_TOPIC, f"{message.topic} is no topic of readings")))
            continue
        # What strangers say is nobody's reading: one may have called itself as a station of ours is called.
        into = rows if source.is_registered else Rows()
        problems = _read(codecs[source.format], message, source, number, into)
        if not source.is_registered:
            problems = [Rejection(Reason.UNREGISTERED, f"nobody registered {shown(source.id)}, of {source.format}")]
        refused += [(message, problem) for problem in _gathered(problems)]

    at, name, time_us, value = clean.at, clean.name, clean.time_us, clean.value
    station = [found[number].station for number in at.tolist()]
    if rows.name:
        at = np.concatenate([at, np.array(rows.message, dtype=np.intp)])
        order = np.argsort(at, kind="stable")  # back into order of arrival
        at = at[order]
        time_us = np.concatenate([time_us, np.array(rows.time_us, dtype=np.int64)])[order]
        value = np.concatenate([value, np.array(rows.value, dtype=np.float64)])[order]
        station, name = (
            list(map((short_ + long).__getitem__, order.tolist()))
            for short_, long in ((station, rows.station), (name, rows.name))
        )
    series = np.fromiter(
        map(index.get, zip(station, name, strict=True), repeat(UNKNOWN)), dtype=np.int32, count=len(name)
    )
    unknown = np.flatnonzero(series == UNKNOWN)
    if len(unknown):
        # Devices behind a network server measure more than a station needs. Who sends to us itself is told.
        known = set(at[series >= 0].tolist())
        silent = {number for number in known if found[number].format is not Format.OWN}
        readings = [(int(at[row]), name[row]) for row in unknown.tolist()]
        refused += _unknown(messages, [one for one in readings if one[0] not in silent])
    received = np.fromiter(map(_RECEIVED_US, messages), dtype=np.int64, count=len(messages))
    batch = ReadingBatch(series=series, time_us=time_us, value=value, received_us=received[at])
    return batch[series >= 0] if len(unknown) else batch, refused


def _read(codec: Codec, message: Message, source: Source, number: int, rows: Rows) -> list[Rejection]:
    """Decode one message. A codec never raises; should one, its message must not hold up all others for ever."""
    before = len(rows.name)
    try:
        return codec(message.payload, source, message.received_us, number, rows)
    except Exception as error:
        for column in (rows.station, rows.name, rows.time_us, rows.value, rows.message):
            del column[before:]
        return [
            Rejection(
                Reason.WRONG_SHAPE, f"a fault of Takean, please report it: {type(error).__name__} {shown(str(error))}"
            )
        ]


def _gathered(problems: Sequence[Rejection]) -> list[Rejection]:
    """One refusal for each reason: a message of 2,000 bad records must not push all others out of the quarantine."""
    if len(problems) < 2:
        return list(problems)
    details: dict[Reason, list[str]] = {}
    for problem in problems:
        details.setdefault(problem.reason, []).append(problem.detail)
    return [
        Rejection(
            reason,
            "; ".join(said[:DETAILS_SHOWN])
            + (f"; and {len(said) - DETAILS_SHOWN} more" if len(said) > DETAILS_SHOWN else ""),
        )
        for reason, said in details.items()
    ]


def _unknown(messages: Sequence[Message], readings: Sequence[tuple[int, str]]) -> list[Refused]:
    """One refusal for each message with readings that its station has not: a device can name thousands."""
    names: dict[int, list[str]] = {}
    for number, name in readings:
        names.setdefault(number, []).append(name)
    return [
        (
            messages[number],
            Rejection(
                Reason.UNKNOWN_NAME,
                f"{len(unknown)} readings that stations.toml does not give this station: "
                + ", ".join(shown(name) for name in unknown[:NAMES_SHOWN]),
            ),
        )
        for number, unknown in names.items()
    ]
