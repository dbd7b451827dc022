"""The broker door against a real Mosquitto: `python -m bench.broker [messages]`.

The messages (QoS 1, one reading each) wait in the broker's queue for us; measured is how this process takes them in, to
the last PUBACK. The broker's own processor time is not in it.
"""

import asyncio
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from alerts.cells import Cells
from alerts.episode import Kind
from alerts.judge import Judge
from alerts.ledger.sql import open_ledger
from alerts.plan import plan
from alerts.route import Routes
from bench.mqtt_load import publish
from ingest import codecs
from ingest.broker import Broker, BrokerOptions
from ingest.message import Message
from ingest.pipeline import Pipeline, Refused
from ingest.pump import Pump
from ingest.source import Sources
from ingest.topics import Topics
from sensors.store.duck import DuckStore
from tests.builders import T0_US, registry, rule_set, station
from tests.ingest.mosquitto import DATA, PREFIX, Mosquitto

Process = Callable[[Sequence[Message]], None]

MESSAGES = 100_000
WINDOW = 1_000
PATIENCE_S = 300.0


@dataclass(frozen=True)
class Cost:
    """What one run took."""

    seconds: float
    cpu_s: float
    batches: int


def main(messages: int = MESSAGES) -> None:
    """Print the table."""
    print(f"\nbroker door, {messages:,} messages of one reading (QoS 1) from the queue of a real Mosquitto")
    print("| what | protocol | messages/s | CPU µs a message | messages a batch |")
    print("|---|---|---|---|---|")
    for protocol in ("5", "3.1.1"):
        row("door alone", protocol, messages, lambda _: None)
    with TemporaryDirectory() as folder, pipeline(Path(folder)) as process:
        row("door, decoding, journal, rules, ledger", "5", messages, process)


@contextmanager
def pipeline(folder: Path) -> Iterator[Process]:
    """Decoding, journal on disk, flags, rules and ledger on disk, as `takean run` has them."""
    reg = registry(station("WL-01"))
    with (
        closing(DuckStore(folder / "journal.duckdb", reg.keys())) as store,
        closing(open_ledger(folder / "ledger.sqlite")) as ledger,
    ):
        routes = Routes(by={})
        judge = Judge(
            cells=Cells.of(Kind.EXERCISE, reg, rule_set(reg), routes),
            plan=partial(plan, registry=reg, routes=routes),
            store=store,
            ledger=ledger,
            snapshot_path=None,
            now_us=lambda: T0_US,
            real_us=lambda: time.time_ns() // 1_000,
        )
        judge.start()
        yield Pipeline(
            sources=Sources.of(Topics(PREFIX), reg),
            codecs=codecs.standard(),
            index=reg.index,
            take=judge.take,
            refuse=_no_refusals,
        ).process
        judge.stop()


def _no_refusals(refused: Sequence[Refused]) -> None:
    raise RuntimeError(f"{len(refused)} of our own messages refused: {refused[0]}")


def row(what: str, protocol: Literal["5", "3.1.1"], messages: int, process: Process) -> None:
    """Measure and print one line."""
    with TemporaryDirectory() as folder:
        mosquitto = Mosquitto(Path(folder)).start()
        try:
            options = BrokerOptions(host="127.0.0.1", port=mosquitto.port, protocol=protocol)
            asyncio.run(take_in(options, 0, lambda _: None))  # makes the session that messages are kept for
            payloads = [
                b'{"ts": %d, "values": {"stage_m": %.3f}}' % (T0_US // 1000 + i, 1 + i % 50 / 1000)
                for i in range(messages)
            ]
            publish("127.0.0.1", mosquitto.port, "WL-01", "any", DATA, payloads, WINDOW)
            cost = asyncio.run(take_in(options, messages, process))
        finally:
            mosquitto.end()
    print(
        f"| {what} | {protocol} | {messages / cost.seconds:,.0f} | {cost.cpu_s / messages * 1e6:.1f} |"
        f" {messages / cost.batches:,.0f} |"
    )


async def take_in(options: BrokerOptions, messages: int, process: Process) -> Cost:
    """Run the door until it has acknowledged so many messages."""
    pump = Pump(process=process, refuse=lambda *_: None, on_status=lambda *_: None)
    alarms: list[str] = []
    broker = Broker(
        pump=pump,
        options=options,
        topics=Topics(PREFIX),
        now_us=lambda: T0_US,
        alarm=lambda name, text: alarms.append(f"{name}: {text}"),
    )
    begin_s, begin_cpu_s = time.perf_counter(), time.process_time()
    await pump.start()
    await broker.start()
    while pump.counters.acknowledged < messages or not broker.connected:
        if alarms or time.perf_counter() - begin_s > PATIENCE_S:
            raise RuntimeError(f"{pump.counters.acknowledged} of {messages} came; {alarms}")
        await asyncio.sleep(0.01)
    cost = Cost(time.perf_counter() - begin_s, time.process_time() - begin_cpu_s, pump.counters.batches)
    await broker.stop()
    await pump.stop()
    return cost


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
