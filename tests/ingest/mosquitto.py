"""Real Mosquitto with a folder of its own, and clients of it that are not ours."""

import contextlib
import os
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from ingest.broker import Broker, BrokerOptions
from ingest.limits import Limits
from ingest.topics import Topics
from tests.ingest.box import PATIENCE_S, PumpBox

PREFIX = "takean/v1"
DATA = f"{PREFIX}/WL-01/data"
STATUS = f"{PREFIX}/WL-01/status"
SERVER = "/usr/sbin/mosquitto"
OPEN = "allow_anonymous true"
KEEPING = "max_queued_messages 0\nmax_queued_bytes 0\nmax_inflight_messages 2000\npersistence true\nautosave_interval 1"


def free_port() -> int:
    """A port nobody listens on just now."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        port: int = held.getsockname()[1]
    return port


@dataclass
class Mosquitto:
    """One broker, as a process that can be killed and started again with what it kept."""

    folder: Path
    settings: Sequence[str] = (KEEPING, "sys_interval 1", OPEN)
    """Lines of mosquitto.conf besides those that make it ours; a `{listener}` in them is replaced."""
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def write(self) -> Path:
        """The configuration as a file."""
        text = "\n".join(self.settings)
        if "listener " not in text:
            text = f"listener {self.port} 127.0.0.1\n{text}"
        if "persistence_location" not in text:
            text += f"\npersistence_location {self.folder}/"
        if os.geteuid() == 0:
            text += "\nuser root"  # else it becomes a user who may not write to our folder
        path = self.folder / "mosquitto.conf"
        path.write_text(text + "\n")
        return path

    def start(self) -> "Mosquitto":
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen([SERVER, "-c", str(self.write())], stdout=log, stderr=log)
        deadline_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline_s:
            assert self.process.poll() is None, self.log
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return self
            time.sleep(0.005)
        raise AssertionError(f"not listening: {self.log}")

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        """SIGTERM lets it save, SIGKILL does not."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(PATIENCE_S)
            self.process = None


@dataclass
class Login:
    """A client of the tests' own."""

    username: str = ""
    password: str = ""
    ca_file: str = ""


NOBODY = Login()


def publish(
    port: int,
    payloads: Iterable[bytes | str],
    topic: str = DATA,
    *,
    qos: int = 1,
    retain: bool = False,
    login: Login = NOBODY,
) -> None:
    """Publish, and wait until the broker has acknowledged all."""
    client = Client(CallbackAPIVersion.VERSION2)
    if login.username:
        client.username_pw_set(login.username, login.password)
    if login.ca_file:
        client.tls_set_context(ssl.create_default_context(cafile=login.ca_file))
    client.max_inflight_messages_set(1_000)
    client.connect("localhost" if login.ca_file else "127.0.0.1", port)
    client.loop_start()
    try:
        for sent in [client.publish(topic, payload, qos, retain) for payload in payloads]:
            sent.wait_for_publish(PATIENCE_S)
            assert sent.is_published()
    finally:
        client.disconnect()
        client.loop_stop()


class BrokerBox(PumpBox):
    """The broker door on a pump that can be held."""

    def __init__(self, options: BrokerOptions, limits: Limits | None = None) -> None:
        super().__init__(limits)
        self.alarms: list[tuple[str, str]] = []
        self.broker = Broker(
            pump=self.pump,
            options=options,
            topics=Topics(PREFIX),
            now_us=lambda: self.now_us,
            alarm=lambda name, text: self.alarms.append((name, text)),
        )
        self.run(self.broker.start())

    @property
    def alarm_names(self) -> list[str]:
        return [name for name, _ in self.alarms]

    async def close_door(self) -> None:
        await self.broker.stop(timeout_s=1.0)
