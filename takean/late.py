"""Readings out of files, into the running worker: through the same checks as any other, and they warn nobody."""

import threading
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from alerts.judge import Judge
from sensors.batch import Float64, Int64, ReadingBatch
from sensors.store import State, TooSlow
from takean.local import TOO_YOUNG


class LateReadings:
    """Takes them in, from any thread.

    Parameters
    ----------
    judging : held while anything is stored and judged
    has_started : whether the worker has
    """

    def __init__(
        self, judge: Judge, *, judging: threading.Lock, now_us: Callable[[], int], has_started: Callable[[], bool]
    ) -> None:
        self._judge = judge
        self._judging = judging
        self._now_us = now_us
        self._has_started = has_started

    def take(
        self, keys: Sequence[str], series: NDArray[np.int32], time_us: Int64, value: Float64, *, store: bool
    ) -> NDArray[np.uint8]:
        """Store and judge them.

        They count as arrived now, so their rules find them beyond the bound of lateness and warn nobody. What is
        younger than that bound belongs to the live way and is not taken. They end nobody's silence.

        Parameters
        ----------
        keys : series
        series : (n,) index into `keys`
        store : False only says what would become of them

        Returns
        -------
        state : (n,) `State`, or TOO_YOUNG

        Raises
        ------
        ValueError : a series that nobody registered
        TooSlow : the worker is still starting
        """
        if not self._has_started():
            raise TooSlow("the worker is still starting")
        cells = self._judge.cells
        index = {key: at for at, key in enumerate(cells.registry.keys())}
        if unknown := [key for key in keys if key not in index]:
            raise ValueError(f"the running worker does not know {unknown[0]}; it reads stations.toml when it starts")
        own = np.array([index[key] for key in keys], dtype=np.int32)[series]
        with self._judging:
            now_us = self._now_us()
            batch = ReadingBatch.of(
                series=own, time_us=time_us, value=value, received_us=np.full(len(own), now_us, dtype=np.int64)
            )
            state = self._judge.store.recognise(batch)
            young = (time_us > now_us - cells.late_us[own]) & (state != State.REPEAT)
            if store and not young.all():
                self._judge.take(batch[~young], heard=False)
        state[young] = TOO_YOUNG
        return state
