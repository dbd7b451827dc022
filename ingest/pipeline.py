"""The straight line from messages to judged readings, for one batch; effects arrive as arguments."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat

import numpy as np

from ingest.codecs.bounds import shown
from ingest.message import Message, Reason, Rejection, Rows
from ingest.source import Codec, Format, Sources
from sensors.batch import ReadingBatch

Refused = tuple[Message, Rejection]

UNKNOWN = -1
"""Index of a reading that no station has."""
NAMES_SHOWN = 5


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
    rows, refused = Rows(), list[Refused]()
    for number, message in enumerate(messages):
        source = sources.find(message.topic)
        if source is None:
            refused.append((message, Rejection(Reason.FOREIGN_TOPIC, f"{message.topic} is no topic of readings")))
            continue
        problems = codecs[source.format](message.payload, source, message.received_us, number, rows)
        refused += [(message, problem) for problem in problems]

    series = np.fromiter(
        map(index.get, zip(rows.station, rows.name, strict=True), repeat(UNKNOWN)), dtype=np.int32, count=len(rows.name)
    )
    refused += _unknown(messages, rows, np.flatnonzero(series == UNKNOWN).tolist())
    received = np.array([m.received_us for m in messages], dtype=np.int64)
    batch = ReadingBatch.of(
        series=series,
        time_us=rows.time_us,
        value=rows.value,
        received_us=received[np.array(rows.message, dtype=np.intp)],
    )
    return batch[series >= 0], refused


def _unknown(messages: Sequence[Message], rows: Rows, at: Sequence[int]) -> list[Refused]:
    """One refusal for each message with readings that nobody registered: a device can name thousands."""
    names: dict[int, list[str]] = {}
    for row in at:
        names.setdefault(rows.message[row], []).append(rows.name[row])
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
