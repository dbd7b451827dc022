"""The whole line in a real installation, from a device's socket to the ledger, by both ways: `python -m bench.line`.

One device sends a thousand a second: how long each takes until the worker's own PUBACK (on disk and judged). Where a
broker stands between, that PUBACK is heard by a tap, which costs the worker nothing but the way through it.
"""

import socket
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from bench.saturate import cpu_s
from sensors.batch import Float64
from tests.live.crash import until, worker_pid
from tests.live.evidence import STAGE_M
from tests.live.records import STATIONS, Reading, payload
from tests.live.tap import Acknowledged, PacketStream
from tests.live.ways import BrokerWay, EndpointWay, device, topic

PACED_PER_S = 1_000
PACED_S = 20
WAYS: Mapping[str, type[EndpointWay] | type[BrokerWay]] = {"endpoint": EndpointWay, "broker": BrokerWay}


def main() -> None:
    """Print the table."""
    waits = []
    for name, way_of in WAYS.items():
        with TemporaryDirectory() as folder, ExitStack() as stack:
            way = way_of(stack, Path(folder), STATIONS)
            waits.append(f"| {name} | {paced(way)} |")
    print(f"\npublish to decision (the worker's PUBACK), {PACED_PER_S:,} messages/s for {PACED_S} s")
    print("| way | p50 ms | p99 ms | worst ms | CPU share (worker process) |")
    print("|---|---|---|---|---|")
    print("\n".join(waits))


def paced(way: EndpointWay | BrokerWay) -> str:
    """Time from publish to the worker's PUBACK at a steady rate, and what that costs."""
    total, base_us = PACED_PER_S * PACED_S, time.time_ns() // 1_000_000 * 1_000
    payloads = [payload(Reading(STATIONS[0], base_us + i * 1_000, STAGE_M)) for i in range(total)]
    sent_s, answered_s = np.zeros(total), np.full(total, np.nan)
    safe_s = answered_s
    if isinstance(way, BrokerWay):  # there the device's PUBACK says only that the broker has it
        safe_s, index = np.full(total, np.nan), {content: i for i, content in enumerate(payloads)}

        def heard(acknowledged: Acknowledged) -> None:
            safe_s[index[acknowledged.payload]] = acknowledged.at_s

        way.tap.on_ack = heard
    pid = worker_pid(way.box)
    with device(way, STATIONS[0]) as sender:
        reader = threading.Thread(target=_answers, args=(sender.socket, answered_s))
        reader.start()
        begin, before_s = time.perf_counter(), cpu_s(pid)
        for i, content in enumerate(payloads):
            due = begin + i / PACED_PER_S
            while (now := time.perf_counter()) < due:
                time.sleep(min(0.002, due - now))
            sent_s[i] = time.perf_counter()
            sender.publish(topic(STATIONS[0]), content)
        reader.join()
        until(lambda: not np.isnan(safe_s).any(), "the last PUBACK")
        cpu = cpu_s(pid) - before_s
    wait_ms = (safe_s - sent_s) * 1e3
    p50, p99 = np.percentile(wait_ms, (50, 99))
    return f"{p50:.0f} | {p99:.0f} | {wait_ms.max():.0f} | {cpu / PACED_S:.0%}"


def _answers(connection: socket.socket, at_s: Float64) -> None:
    """Note when each PUBACK came on the device's own connection; they come in order."""
    packets, count = PacketStream(), 0
    while count < len(at_s):
        come = len(list(packets.feed(connection.recv(65_536))))
        at_s[count : count + come] = time.perf_counter()
        count += come


if __name__ == "__main__":
    main()
