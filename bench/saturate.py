"""What a message costs the worker when devices send as fast as they are acknowledged: `python -m bench.saturate`.

A real installation with checks, storage and rules on. What the source and the broker used stands beside it, for they
share the processors with the worker.
"""

import os
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.many import drive, packets_of
from tests.live.crash import until, worker_pid
from tests.live.records import MINUTE_US, now_us
from tests.live.ways import BrokerWay, EndpointWay, topic

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, kw_only=True)
class Load:
    """One row of the table."""

    what: str
    way: str = "endpoint"
    connections: int = 50
    window: int = 20
    """Messages under way on one connection."""
    messages: int = 200_000
    readings: int = 1
    """Of one message: a pack."""
    tls: bool = False


LOADS = (
    Load(what="endpoint"),
    Load(what="Mosquitto", way="broker"),
    Load(what="endpoint, packs of ten", messages=40_000, readings=10),
    Load(what="endpoint, TLS", tls=True, messages=100_000),
    Load(what="endpoint, 5,000 connections", connections=5_000, window=1),
    Load(what="endpoint, one message under way", connections=1, window=1, messages=1_000),
)


def main() -> None:
    """Print the table."""
    print("\nsocket to ledger at saturation, QoS 1; CPU µs a message, user and system")
    print("| what | connections | under way | messages/s | worker | worker, a reading | source | broker |")
    print("|---|---|---|---|---|---|---|---|")
    for load in LOADS:
        with TemporaryDirectory() as folder, ExitStack() as stack:
            print(row(stack, Path(folder), load), flush=True)


def cpu_s(pid: int) -> float:
    """Processor seconds of a process so far, user and system, as the kernel counts them."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def row(stack: ExitStack, folder: Path, load: Load) -> str:
    """Run one load on a box of its own."""
    stations = [f"S-{number}" for number in range(load.connections)]
    way = (
        EndpointWay(stack, folder, stations, tls=load.tls)
        if load.way == "endpoint"
        else BrokerWay(stack, folder, stations)
    )
    pid = worker_pid(way.box)
    broker = way.mosquitto.process if isinstance(way, BrokerWay) else None
    packets = _packets(stations, load)
    total = sum(map(len, packets.values()))
    before: list[float] = []

    def used_s() -> list[float]:
        return [cpu_s(pid), time.process_time(), cpu_s(broker.pid) if broker else 0.0]

    seconds = drive(
        "127.0.0.1",
        way.port,
        packets,
        way.secrets,
        window=load.window,
        tls=way.context if isinstance(way, EndpointWay) else None,
        begin=lambda: before.extend(used_s()),
    )
    until(lambda: way.box.metric("takean_stored_seq") >= total * load.readings, "the last message")
    worker, source, between = ((after - start) / total * 1e6 for start, after in zip(before, used_s(), strict=True))
    return (
        f"| {load.what} | {load.connections:,} | {load.connections * load.window:,} | {total / seconds:,.0f} "
        f"| {worker:.1f} | {worker / load.readings:.1f} | {source:.1f} | {between:.1f} |"
    )


def _packets(stations: list[str], load: Load) -> dict[str, list[bytes]]:
    """A river that moves, read so often that all of it is of this minute."""
    each = load.messages // load.connections
    begin_ms, step_ms = now_us() // 1_000, max(1, MINUTE_US // 1_000 // (each * load.readings))
    made = {}
    for station in stations:
        texts = [
            b'{"ts": %d, "values": {"stage_m": %.3f}}' % (begin_ms + i * step_ms, 1.0 + i % 50 / 200)
            for i in range(each * load.readings)
        ]
        packs = texts
        if load.readings > 1:
            packs = [b"[" + b",".join(texts[i : i + load.readings]) + b"]" for i in range(0, len(texts), load.readings)]
        made[station] = packets_of(topic(station), packs)
    return made


if __name__ == "__main__":
    main()
