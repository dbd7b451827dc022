"""Writes lines to a server over `/api/v2/write`, and finds the ones it does not take."""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, nan
from typing import Any, Protocol

import msgspec
import urllib3
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.rest import ApiException

from sensors.store import Away, TooSlow
from sensors.store.asking import Asking, in_words, whole
from sensors.store.destination import Destination

TIMEOUT_S = 10.0
"""For any answer."""
FAULTS = (400, 413, 422)
"""What a server answers to content it does not take; everything else is not the lines' fault."""
DROPPED = re.compile(r"dropped=(\d+)")
SAID_BYTES_MAX = 4 << 20
"""Of any answer: whatever stands at the address may go on without end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """What a server says of itself."""

    mark: str
    """Another one after every start; empty where it does not say."""
    dropped: int = 0
    """Lines it acknowledged and threw away since its start, whoever sent them."""


class Target(Protocol):
    """A server that takes lines."""

    def look(self) -> Life:
        """Ask which life it is in.

        Raises
        ------
        Away : see `write`
        """

    def write(self, lines: Sequence[bytes]) -> Sequence[tuple[int, str]]:
        """Have the lines stored; (position, reason) of those it does not take, whatever it is asked.

        Raises
        ------
        Away : it does not answer, or refuses for a reason that is not in the lines; some of them may be stored
        """

    def close(self) -> None:
        """Let go of the connections."""


class Busy(Away):
    """The server is there, and has no time."""


class Writer:
    """A `Target` for InfluxDB (1.8 and later; 1.6 behind a rewrite) and VictoriaMetrics."""

    def __init__(self, destination: Destination, *, timeout_s: float = TIMEOUT_S) -> None:
        self._destination = destination
        self._client = InfluxDBClient(
            url=destination.url,
            token=destination.token or None,  # type: ignore[arg-type]
            org=destination.org or "-",
            timeout=round(timeout_s * 1000),
            ssl_ca_cert=destination.ca_file or None,
        )
        rest = self._client.api_client.rest_client
        rest.pool_manager = _BoundedPool(rest.pool_manager, timeout_s)  # type: ignore[assignment]
        self._api = self._client.write_api(write_options=SYNCHRONOUS)
        self._asking = Asking(destination, answer_s_max=timeout_s, answer_bytes_max=SAID_BYTES_MAX)

    def look(self) -> Life:
        if self._destination.kind == "victoriametrics":
            return _victoria_life(*self._get("/metrics"))
        status, ready = self._get("/ready")
        if status >= 500:  # of a proxy whose server is away
            raise Busy(f"answered {status} when asked how it is")
        if mark := _started_of_2(ready):
            return Life(mark=mark)
        return Life(mark=_started_of_1(self._get("/query", {"q": "SHOW DIAGNOSTICS"})[1]))

    def write(self, lines: Sequence[bytes]) -> Sequence[tuple[int, str]]:
        refused: list[tuple[int, str]] = []
        pieces = [(0, len(lines))] if lines else []
        is_sound = False
        while pieces:
            start, end = pieces.pop()
            answer = self._post(b"\n".join(lines[start:end]))
            if answer is None:
                continue
            dropped = DROPPED.search(answer)
            if end - start > 1 and not (dropped and int(dropped[1]) == end - start):
                middle = (start + end) // 2
                pieces += [(middle, end), (start, middle)]  # the earlier half first: order stays
                continue
            if not is_sound:  # else a wrong bucket or organisation would cost every line there is
                self._prove_sound(answer)
                is_sound = True
            refused += [(at, answer) for at in range(start, end)]
        return refused

    def close(self) -> None:
        self._client.close()  # type: ignore[no-untyped-call]
        self._asking.close()

    def _prove_sound(self, said: str) -> None:
        line = f"takean_mirror,mirror={self._destination.name} value=1 {time.time_ns()}"
        if (answer := self._post(line.encode())) is not None:
            raise Busy(f"refuses every line, a plain one too: {answer}; what it said first: {said}")

    def _post(self, body: bytes) -> str | None:
        """None when taken, else what it says against the lines."""
        try:
            self._api.write(self._destination.bucket, self._destination.org or "-", body, write_precision="ns")  # type: ignore[arg-type]
            status = self._client.api_client.last_response.status
            if status != 204:
                raise Busy(f"answered {status} to a write, and not 204: is this a time-series server?")
        except ApiException as error:
            said = in_words(error.body or error.reason or "")
            if error.status in FAULTS:
                return said
            raise Busy(f"answered {error.status} to a write: {said}") from None
        except (urllib3.exceptions.TimeoutError, TooSlow) as error:
            raise Busy(f"did not answer a write in time: {type(error).__name__}") from None
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Away(f"cannot be reached: {in_words(str(error))}") from None
        return None

    def _get(self, path: str, values: Mapping[str, str] | None = None) -> tuple[int, bytes]:
        try:
            return self._asking.answer(path, values or {})
        except TooSlow as error:
            raise Busy(f"did not say in time how it is: {error}") from None


class _BoundedPool:
    """Under the client, which would wait for the end of whatever is answered and keep all of it."""

    def __init__(self, pool: Any, s_max: float) -> None:
        self._pool = pool
        self._s_max = s_max

    def request(self, *asked: Any, **how: Any) -> "_Said":
        """As urllib3's own.

        Raises
        ------
        TooSlow : the answer took too long, or is too large
        """
        answer = self._pool.request(*asked, **{**how, "preload_content": False})
        try:
            body = whole(_pieces(answer), self._s_max, SAID_BYTES_MAX)
        except BaseException:
            answer.close()
            raise
        answer.release_conn()
        return _Said(answer.status, answer.reason, body.decode(errors="replace").encode(), answer.headers)

    def clear(self) -> None:
        """Let go of the connections."""
        self._pool.clear()


@dataclass(frozen=True, slots=True)
class _Said:
    status: int
    reason: str
    data: bytes
    headers: Mapping[str, str]


def _pieces(answer: Any) -> Iterator[bytes]:
    while piece := answer.read1(1 << 16):
        yield piece


# InfluxDB 3 says it nowhere. All of them have what they acknowledge on disk.


class _Ready(msgspec.Struct):
    started: str


class _Table(msgspec.Struct):
    name: str
    columns: list[str]
    values: list[list[Any]]


class _Result(msgspec.Struct):
    series: list[_Table]


class _Diagnostics(msgspec.Struct):
    results: list[_Result]


NO_ANSWER = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def _started_of_2(ready: bytes) -> str:
    try:
        return msgspec.json.decode(ready, type=_Ready).started
    except NO_ANSWER:
        return ""


def _started_of_1(diagnostics: bytes) -> str:
    """Told to administrators only, where there are accounts."""
    try:
        tables = msgspec.json.decode(diagnostics, type=_Diagnostics).results[0].series
        system = next(table for table in tables if table.name == "system")
        return str(system.values[0][system.columns.index("started")])
    except (*NO_ANSWER, ValueError, IndexError, StopIteration):
        return ""


def _victoria_life(status: int, metrics: bytes) -> Life:
    """VictoriaMetrics names the second of its start: in that second it is not written to, so that two lives which were
    written to never have one name.
    """
    if status != 200:
        raise Busy(f"answered {status} when asked for /metrics")
    text = metrics.decode(errors="replace")
    told = {name: number for name, _, number in (line.rpartition(" ") for line in text.splitlines())}
    steps = re.search(r'flag\{name="dedup.minScrapeInterval", value="([^"]*)"', text)
    if steps is not None and steps[1] != "1ms":
        raise Busy(f"runs with -dedup.minScrapeInterval={steps[1]}; it must be 1ms, or repeats count twice")
    mark = told.get("vm_app_start_timestamp", "")
    try:
        up_s = float(told["vm_app_uptime_seconds"])
        lost = sum(
            float(number)
            for name, number in told.items()
            if name.startswith(("vm_rows_ignored_total", "vm_rows_invalid_total"))
        )
    except (KeyError, ValueError):
        up_s = lost = nan
    if not isfinite(up_s) or not isfinite(lost):
        raise Busy("is no VictoriaMetrics: it does not say when it was started")
    if up_s < 1:
        raise Busy("has only just started")
    return Life(mark=mark, dropped=round(lost))
