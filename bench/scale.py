"""What ten thousand stations cost: `python -m bench.scale`.

How soon the box is ready, at first and after a restart with and without its snapshot; what its processes hold in
memory; and what a reading of each station a minute takes of a processor. A station has a level and a battery.
"""

import os
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.many import drive, packets_of
from bench.saturate import cpu_s
from tests.live.crash import until
from tests.live.installation import Installation
from tests.live.records import MINUTE_US, Reading, now_us, payload
from tests.live.ways import topic

STATIONS = 10_000
CONNECTED = 5_000
"""So many stations keep a connection; the others come one after the other and leave."""
READINGS = 10
"""Of each station in the journal before the restarts."""
BATTERY = '[[station.sensor]]\nquantity = "battery_v"\n'
LEVEL = '[[station.sensor]]\nquantity = "stage_m"\n'
PARTS = ("worker", "web", "dispatch")


def main() -> None:
    """Print the tables."""
    names = [f"S-{number:05}" for number in range(STATIONS)]
    with TemporaryDirectory() as folder, ExitStack() as stack:
        box = Installation(Path(folder) / "box", names)
        stations = box.config / "stations.toml"
        stations.write_text(stations.read_text(encoding="utf-8").replace(LEVEL, BATTERY + LEVEL), encoding="utf-8")
        stack.callback(lambda: box.stop() if box.process is not None and box.process.poll() is None else None)
        print(f"\n{STATIONS:,} stations of two series each; MB resident of each process")
        print("| | ready s | worker CPU s | web CPU s | " + " | ".join(f"{part} MB" for part in PARTS) + " | load |")
        print("|---|---|---|---|---|---|---|---|")
        print(started("first start", box), flush=True)
        seconds, used_s = told(box, names)
        print(f"| after {READINGS} readings of each | | | | {held(box)} |", flush=True)
        box.stop()
        print(started("after an orderly stop", box), flush=True)
        box.pull_the_plug()
        print(started("after a power cut", box), flush=True)
        box.pull_the_plug()
        for kept in box.state.glob("judge.*.npz"):
            kept.unlink()
        print(started("after a power cut, no snapshot", box), flush=True)
        total = STATIONS * READINGS
        print(f"\n{total:,} readings by {CONNECTED:,} connections at a time: {total / seconds:,.0f}/s, ", end="")
        print(f"{used_s / total * 1e6:.1f} µs of the worker's processor each")


def started(what: str, box: Installation) -> str:
    """Start the box and wait until it says that it is ready."""
    begin = time.perf_counter()
    box.start()
    ready_s, pids = time.perf_counter() - begin, box.pids()
    cpu = " | ".join(f"{cpu_s(pids[part]):.1f}" for part in PARTS[:2])
    return f"| {what} | {ready_s:.1f} | {cpu} | {held(box)} |"


def held(box: Installation) -> str:
    """Resident megabytes of each process, and how busy the machine is."""
    pids, cells = box.pids(), []
    for part in PARTS:
        lines = Path(f"/proc/{pids[part]}/status").read_text(encoding="ascii").splitlines()
        kib = next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))
        cells.append(f"{kib / 1024:.0f}")
    return " | ".join([*cells, f"{os.getloadavg()[0]:.1f}"])


def told(box: Installation, names: list[str]) -> tuple[float, float]:
    """Each station tells of the last minutes, so many at a time as may be connected; seconds, and the worker's own."""
    end_us, seconds = now_us(), 0.0
    worker = box.pids()["worker"]
    before_s = cpu_s(worker)
    for start in range(0, len(names), CONNECTED):
        some = names[start : start + CONNECTED]
        readings = [payload(Reading("", end_us - (READINGS - i) * MINUTE_US, 1.0 + i / 500)) for i in range(READINGS)]
        packets = {name: packets_of(topic(name), readings) for name in some}
        seconds += drive("127.0.0.1", box.mqtt_port, packets, box.secrets, window=1)
    until(lambda: box.metric("takean_stored_seq") >= len(names) * READINGS, "the last reading")
    return seconds, cpu_s(worker) - before_s


if __name__ == "__main__":
    main()
