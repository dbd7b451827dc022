"""A real Mosquitto with the configuration we deliver, its paths and ports replaced."""

import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.live.installation import free_port

DELIVERED = Path(__file__).parents[2] / "deploy" / "mosquitto.conf"
PROGRAM, PASSWD = "/usr/sbin/mosquitto", "/usr/bin/mosquitto_passwd"
TAKEAN = "takean"
"""User name of the worker in the delivered access list."""
START_S_MAX = 20.0


def replaced(text: str, values: Mapping[str, str]) -> str:
    """A configuration with other values for some keys.

    Raises
    ------
    ValueError : a key that the configuration does not have: what is tested would not be what is delivered
    """
    lines, missing = [], set(values)
    for line in text.splitlines():
        key = line.partition(" ")[0]
        if key in values:
            missing.discard(key)
        lines.append(f"{key} {values[key]}" if key in values else line)
    if missing:
        raise ValueError(f"the configuration has no {', '.join(sorted(missing))}")
    return "\n".join(lines) + "\n"


@dataclass
class Mosquitto:
    """One broker in a folder of its own, stopped and started as services are."""

    folder: Path
    passwords: Mapping[str, str]
    """User name -> password: the stations, and TAKEAN."""
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        known = self.folder / "passwd"
        known.touch(mode=0o600)
        for name, password in self.passwords.items():
            subprocess.run([PASSWD, "-b", str(known), name, password], check=True, capture_output=True)
        places = {
            "listener": f"{self.port} 127.0.0.1",
            "persistence_location": f"{self.folder}/",
            "password_file": str(known),
            "acl_file": str(DELIVERED.with_suffix(".acl")),
        }
        self._config = self.folder / "mosquitto.conf"
        text = replaced(DELIVERED.read_text(encoding="utf-8"), places)
        # Started as root it would become another user, who may not write into a test's folder.
        self._config.write_text(f"user root\n{text}", encoding="utf-8")

    def start(self) -> None:
        """Listen again, with what was kept."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen([PROGRAM, "-c", str(self._config)], stdout=log, stderr=log)
        deadline_s = time.monotonic() + START_S_MAX
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                assert self.process.poll() is None, (self.folder / "log").read_text(encoding="utf-8")
                assert time.monotonic() < deadline_s, "the broker does not listen"
                time.sleep(0.02)
            else:
                return

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """As the operating system does: it writes its queues to disk first. With SIGKILL it does not."""
        assert self.process is not None
        self.process.send_signal(how)
        self.process.wait(timeout=30)

    def restart(self) -> None:
        """As after an update of the machine."""
        self.stop()
        self.start()
