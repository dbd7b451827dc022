"""Rows for the mirrors as they travel from the worker."""

import numpy as np

from sensors.store.arrivals import Arrivals
from takean.local import ArrivalsAnswer, packed


def answer(found: Arrivals) -> ArrivalsAnswer:
    """Ready to be sent."""
    return ArrivalsAnswer(
        keys=list(found.keys),
        seq=packed(found.seq, np.int64),
        series=packed(found.series, np.int32),
        time_us=packed(found.time_us, np.int64),
        value=packed(found.value, np.float64),
        received_us=packed(found.received_us, np.int64),
        flag=packed(found.flag, np.uint8),
        revision=packed(found.revision, np.bool_),
        through_seq=found.through_seq,
        mark=found.mark,
        last_seq=found.last_seq,
        same=found.same,
    )


def rows(told: ArrivalsAnswer) -> Arrivals:
    """As they were."""
    return Arrivals(
        keys=told.keys,
        seq=np.frombuffer(told.seq, dtype=np.int64),
        series=np.frombuffer(told.series, dtype=np.int32),
        time_us=np.frombuffer(told.time_us, dtype=np.int64),
        value=np.frombuffer(told.value, dtype=np.float64),
        received_us=np.frombuffer(told.received_us, dtype=np.int64),
        flag=np.frombuffer(told.flag, dtype=np.uint8),
        revision=np.frombuffer(told.revision, dtype=np.bool_),
        through_seq=told.through_seq,
        mark=told.mark,
        last_seq=told.last_seq,
        same=told.same,
    )
