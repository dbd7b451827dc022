"""The whole line in a real process, from socket to ledger: `python -m bench.line`.

Saturation: four devices send single readings with QoS 1 as fast as they are acknowledged. Paced: one device sends a
thousand a second, and how long each PUBACK (on disk and judged) takes.
"""

import socket
import struct
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from bench.mqtt_load import connect, packet, publish, text
from tests.live.installation import Installation
from tests.live.test_kill import STATIONS, streams

SATURATED = 100_000
PACED_PER_S = 1_000
PACED_S = 20
WINDOW = 1_000


def main() -> None:
    """Print both tables."""
    with TemporaryDirectory() as folder:
        box = Installation(Path(folder) / "box", STATIONS)
        box.start()
        try:
            saturated(box)
            paced(box)
        finally:
            box.stop()


def cpu_s(box: Installation) -> float:
    """Processor seconds of the process so far."""
    return box.metric('takean_cpu_seconds_total{process="takean"}')


def saturated(box: Installation) -> None:
    """Messages a second and CPU per message when devices never wait for anything but PUBACK."""
    sent = {s: stream.payloads() for s, stream in streams(SATURATED, 1).items()}
    before_s, begin = cpu_s(box), time.perf_counter()
    threads = [
        threading.Thread(
            target=publish,
            args=("127.0.0.1", box.mqtt_port, s, box.secrets[s], f"takean/drill/v1/{s}/data", payloads, WINDOW),
        )
        for s, payloads in sent.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds, cpu = time.perf_counter() - begin, cpu_s(box) - before_s
    print(f"\nendpoint to ledger, {SATURATED:,} messages of one reading, {len(sent)} devices, window {WINDOW}")
    print("| messages/s | CPU µs a message (whole process) |")
    print("|---|---|")
    print(f"| {SATURATED / seconds:,.0f} | {cpu / SATURATED * 1e6:.1f} |")


def paced(box: Installation) -> None:
    """Time from publish to PUBACK at a steady rate."""
    station = STATIONS[0]
    total = PACED_PER_S * PACED_S
    sent_s, acked_s = np.zeros(total), np.zeros(total)
    base_ms = time.time_ns() // 1_000_000
    with connect("127.0.0.1", box.mqtt_port, station, box.secrets[station], 30.0) as link:
        reader = threading.Thread(target=_acks, args=(link, acked_s))
        reader.start()
        topic, begin, before_s = text(f"takean/drill/v1/{station}/data"), time.perf_counter(), cpu_s(box)
        for i in range(total):
            due = begin + i / PACED_PER_S
            while (now := time.perf_counter()) < due:
                time.sleep(min(0.002, due - now))
            payload = b'{"ts": %d, "values": {"stage_m": %.3f}}' % (base_ms + i, 1 + i % 50 / 1000)
            sent_s[i] = time.perf_counter()
            link.sendall(packet(0x32, topic + struct.pack(">H", i % 65_535 + 1) + payload))
        reader.join()
        cpu = cpu_s(box) - before_s
    wait_ms = (acked_s - sent_s) * 1e3
    print(f"\npublish to decision (PUBACK), {PACED_PER_S:,} messages/s for {PACED_S} s")
    print("| p50 ms | p99 ms | worst ms | CPU share |")
    print("|---|---|---|---|")
    print(
        f"| {np.percentile(wait_ms, 50):.0f} | {np.percentile(wait_ms, 99):.0f} | {wait_ms.max():.0f} | "
        f"{cpu / PACED_S:.0%} |"
    )


def _acks(link: socket.socket, acked_s: np.ndarray) -> None:
    received, count = b"", 0
    while count < len(acked_s):
        received += link.recv(65_536)
        whole, now = len(received) // 4, time.perf_counter()
        acked_s[count : count + whole] = now
        count, received = count + whole, received[whole * 4 :]


if __name__ == "__main__":
    main()
