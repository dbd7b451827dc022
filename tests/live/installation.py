"""A real installation in a folder of its own: `takean run` as a process, killed and started as machines are."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from takean.settings import SAMPLE

START_S_MAX = 120.0


def free_port() -> int:
    """A port nobody listens on just now."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        port: int = held.getsockname()[1]
    return port


@dataclass
class Installation:
    """One box: configuration, state and the process."""

    folder: Path
    stations: Sequence[str]
    mqtt_port: int = field(default_factory=free_port)
    web_port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    cadence_s: float = 60.0

    def __post_init__(self) -> None:
        self.config, self.state = self.folder / "config", self.folder / "state"
        self.config.mkdir(parents=True)
        self.state.mkdir()
        (self.config / "takean.toml").write_text(
            f'[mqtt]\nport = {self.mqtt_port}\n[web]\nport = {self.web_port}\n[world]\nkind = "exercise"\n'
        )
        (self.config / "stations.toml").write_text(stations_toml(self.stations, self.cadence_s), encoding="utf-8")
        for name in ("rules.toml", "routes.toml"):
            (self.config / name).write_bytes((SAMPLE / name).read_bytes())
        lines = self.command("device", "add", *self.stations).splitlines()
        self.secrets = dict(line.split() for line in lines)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.web_port}"

    def environment(self) -> dict[str, str]:
        return {**os.environ, "TAKEAN_CONFIG": str(self.config), "TAKEAN_STATE": str(self.state)}

    def command(self, *words: str) -> str:
        """Run one command of the program and return what it prints."""
        done = subprocess.run(
            [sys.executable, "-m", "takean", *words], env=self.environment(), check=True, capture_output=True, text=True
        )
        return done.stdout

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "takean", "run"], env=self.environment(), stdout=log, stderr=log
            )
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        """Return when the box says that it is able to warn."""
        assert self.process is not None
        deadline_s = time.monotonic() + START_S_MAX
        while time.monotonic() < deadline_s:
            assert self.process.poll() is None, (self.folder / "log").read_text(encoding="utf-8")
            try:
                if httpx.get(f"{self.url}/readyz", timeout=2).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.05)
        raise AssertionError("not ready in time: " + (self.folder / "log").read_text(encoding="utf-8"))

    def kill(self) -> None:
        """As the power cut does: no warning."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def pids(self) -> dict[str, int]:
        """Name of each process of the box that runs -> its process id."""
        assert self.process is not None
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                words = (folder / "cmdline").read_bytes().split(b"\0")
            except (FileNotFoundError, ProcessLookupError):
                continue
            if parent == self.process.pid and len(words) > 3:
                found[words[3].decode()] = int(folder.name)
        return found

    def kill_part(self, name: str) -> int:
        """Kill one process of the box with -9; returns its process id."""
        pid = self.pids()[name]
        os.kill(pid, signal.SIGKILL)
        return pid

    def stop(self) -> int:
        """As the operating system does; returns the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)

    def metric(self, name: str) -> float:
        """One value of /metrics."""
        for line in httpx.get(f"{self.url}/metrics", timeout=10).text.splitlines():
            if line.startswith(f"{name} "):
                return float(line.split()[1])
        raise AssertionError(f"no metric {name}")


def stations_toml(stations: Sequence[str], cadence_s: float = 60.0) -> str:
    """Stations with an area each, so that the order between stations moves no story."""
    parts = ['[place]\nname = "อบต.ทดสอบ"\nlong = "ทดสอบ"\nenglish = "Test"\nphone = "1784"\n']
    for station in stations:
        parts.append(f'[[area]]\nid = "area-{station}"\nname = "พื้นที่ {station}"\nenglish = "{station}"\n')
    for station in stations:
        parts.append(
            f'[[station]]\nid = "{station}"\nname = "สถานี {station}"\nenglish = "{station}"\nlat = 14.9\nlon = 104.2\n'
            f'areas = ["area-{station}"]\ncadence_s = {cadence_s}\n'
            'banks = { left_m = 4.0, right_m = 4.0, bed_m = 0.0, surveyed = true, source = "test" }\n'
            '[[station.sensor]]\nquantity = "stage_m"\nrise_suspect_per_h = 60.0\n'
        )
    return "\n".join(parts)
