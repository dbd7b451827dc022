"""A real installation in a folder of its own: `takean run` as a process, killed and started as machines are."""

import contextlib
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from takean.settings import SAMPLE
from tests.builders import fit_for_actual

START_S_MAX = 120.0
NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""The box speaks plain HTTP to us; to read all the world's certificates for each question would cost 30 ms."""
FAKETIME = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))


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
    kind: str = "exercise"
    more: str = ""
    """Further lines of takean.toml."""
    rise_suspect_per_h: float = 60.0

    def __post_init__(self) -> None:
        self.config, self.state = self.folder / "config", self.folder / "state"
        self.config.mkdir(parents=True)
        self.state.mkdir(exist_ok=True)
        (self.config / "takean.toml").write_text(
            f"[mqtt]\nport = {self.mqtt_port}\n[web]\nport = {self.web_port}\n"
            f'[world]\nkind = "{self.kind}"\n{self.more}'
        )
        (self.config / "stations.toml").write_text(
            stations_toml(self.stations, self.cadence_s, self.rise_suspect_per_h), encoding="utf-8"
        )
        (self.config / "rules.toml").write_bytes((SAMPLE / "rules.toml").read_bytes())
        routes = (SAMPLE / "routes.toml").read_text(encoding="utf-8")
        (self.config / "routes.toml").write_text(fit_for_actual(routes) if self.kind == "actual" else routes, "utf-8")
        lines = self.command("device", "add", *self.stations).splitlines()
        self.secrets = dict(line.split() for line in lines)

    @property
    def prefix(self) -> str:
        """Of the topics of its world."""
        return "takean/v1" if self.kind == "actual" else "takean/drill/v1"

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
            if self.is_ready():
                return
            time.sleep(0.05)
        raise AssertionError("not ready in time: " + (self.folder / "log").read_text(encoding="utf-8"))

    def readiness(self) -> tuple[list[str], list[str]]:
        """What `/readyz` says: why the box cannot warn, and what a technician may want to know.

        That an actual world has no channel that reaches people yet is left out: it is as ready as it can be.
        """
        try:
            answer = self.get("readyz", timeout_s=2)
        except httpx.HTTPError as error:
            return [f"no answer: {type(error).__name__}"], []
        told = answer.json()
        assert (answer.status_code == 200) == (not told["reasons"]), told
        reasons = [r for r in told["reasons"] if self.kind != "actual" or "no channel reaches people" not in r]
        return reasons, told["notes"]

    def is_ready(self) -> bool:
        """Whether the box says that it is able to warn."""
        return not self.readiness()[0]

    def kill(self) -> None:
        """As the power cut does: no warning."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def pull_the_plug(self) -> None:
        """All processes die at once."""
        self.kill()
        deadline_s = time.monotonic() + START_S_MAX
        while left := self.left():
            assert time.monotonic() < deadline_s, f"still there: {left}"
            time.sleep(0.01)

    def left(self) -> list[int]:
        """Every process that works on the state folder, whoever its parent is."""
        mark, found = f"TAKEAN_STATE={self.state}".encode(), []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if mark in (folder / "environ").read_bytes().split(b"\0"):
                    found.append(int(folder.name))
        return found

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

    def get(self, what: str, *, timeout_s: float = 10) -> httpx.Response:
        """A page of the box."""
        return httpx.get(f"{self.url}/{what}", timeout=timeout_s, verify=NO_CERTIFICATES)

    def metric(self, name: str) -> float:
        """One value of /metrics."""
        for line in self.get("metrics").text.splitlines():
            if line.startswith(f"{name} "):
                return float(line.split()[1])
        raise AssertionError(f"no metric {name}")


@dataclass
class Clocked(Installation):
    """An installation whose wall clock somebody else sets; the machine's steady clock nobody can."""

    is_faked: bool = field(default=True, init=False)
    """Whether it is: libfaketime spoils the sleeps of an orderly stop."""

    def __post_init__(self) -> None:
        self.wall = self.folder / "wall"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.set_wall(0)
        super().__post_init__()

    def set_wall(self, ahead_s: int) -> None:
        """Set it so far ahead of the machine's; read at each look at the clock."""
        new = self.wall.with_suffix(".new")
        new.write_text(f"{ahead_s:+d}\n")
        new.replace(self.wall)

    def environment(self) -> dict[str, str]:
        if not self.is_faked:
            return super().environment()
        return {
            **super().environment(),
            "LD_PRELOAD": str(FAKETIME[0]),
            "FAKETIME_TIMESTAMP_FILE": str(self.wall),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }


def stations_toml(stations: Sequence[str], cadence_s: float = 60.0, rise_suspect_per_h: float = 60.0) -> str:
    """Stations with an area each, so that the order between stations moves no story."""
    parts = ['[place]\nname = "อบต.ทดสอบ"\nlong = "ทดสอบ"\nenglish = "Test"\nphone = "1784"\n']
    for station in stations:
        parts.append(f'[[area]]\nid = "area-{station}"\nname = "พื้นที่ {station}"\nenglish = "{station}"\n')
    for station in stations:
        parts.append(
            f'[[station]]\nid = "{station}"\nname = "สถานี {station}"\nenglish = "{station}"\nlat = 14.9\nlon = 104.2\n'
            f'areas = ["area-{station}"]\ncadence_s = {cadence_s}\n'
            'banks = { left_m = 4.0, right_m = 4.0, bed_m = 0.0, surveyed = true, source = "test" }\n'
            f'[[station.sensor]]\nquantity = "stage_m"\nrise_suspect_per_h = {rise_suspect_per_h}\n'
        )
    return "\n".join(parts)
