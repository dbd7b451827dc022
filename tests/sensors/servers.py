"""Real time-series servers of Debian, each with a folder and ports of its own: started, killed and started again.

Only what was started here is ever stopped here.
"""

import os
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import httpx

PATIENCE_S = 30.0
NGINX = "/usr/sbin/nginx"


def free_port() -> int:
    """A port nobody listens on just now."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        port: int = held.getsockname()[1]
    return port


class Server(Protocol):
    """What tests do to a server, whichever it is."""

    @property
    def url(self) -> str:
        """Where mirrors write and readers ask."""

    def start(self) -> None:
        """Start, or start again with what is on disk; returns when it answers."""

    def kill(self) -> None:
        """As a power cut does."""

    def stop(self) -> None:
        """Kill whatever runs."""

    def make(self, bucket: str) -> None:
        """Have a place of this name."""

    def settle(self) -> None:
        """Let everything that was taken be found."""


@dataclass
class VictoriaMetrics:
    """One process; repeats are kept once, and of everything since 1970."""

    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.process = _run(
            self.folder,
            "victoria-metrics",
            f"-httpListenAddr=127.0.0.1:{self.port}",
            f"-storageDataPath={self.folder / 'data'}",
            "-dedup.minScrapeInterval=1ms",
            "-retentionPeriod=100y",
            "-memory.allowedBytes=128MB",
        )
        _await(self.process, f"{self.url}/health", self.folder)

    def kill(self) -> None:
        _kill(self.process)
        self.process = None

    def stop(self) -> None:
        self.kill()

    def make(self, bucket: str) -> None:
        """A bucket is a label there: it needs no making."""

    def settle(self) -> None:
        httpx.get(f"{self.url}/internal/force_flush", timeout=PATIENCE_S).raise_for_status()


@dataclass
class InfluxDB:
    """Debian's InfluxDB 1.6 behind nginx, which rewrites the write path that later versions have."""

    folder: Path
    port: int = field(default_factory=free_port)
    own_port: int = field(default_factory=free_port)
    rpc_port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    front: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        config = self.folder / "influxdb.conf"
        config.write_text(INFLUX_CONF.format(folder=self.folder, rpc=self.rpc_port, http=self.own_port))
        self.process = _run(self.folder, "influxd", "run", "-config", str(config))
        _await(self.process, f"http://127.0.0.1:{self.own_port}/ping", self.folder)
        if self.front is None:
            config = self.folder / "nginx.conf"
            user = "user root;" if os.geteuid() == 0 else ""
            config.write_text(
                NGINX_CONF % {"folder": self.folder, "to": self.own_port, "port": self.port, "user": user}
            )
            self.front = _run(self.folder, NGINX, "-p", str(self.folder), "-c", str(config))
        _await(self.front, f"{self.url}/ping", self.folder)

    def kill(self) -> None:
        """The server; nginx stays and answers 502."""
        _kill(self.process)
        self.process = None

    def stop(self) -> None:
        self.kill()
        if self.front is not None:
            self.front.terminate()
            self.front.wait(PATIENCE_S)
            self.front = None

    def make(self, bucket: str) -> None:
        self.ask(f'CREATE DATABASE "{bucket}"')

    def ask(self, query: str, **more: str) -> None:
        """A statement, straight to the server."""
        url = f"http://127.0.0.1:{self.own_port}/query"
        httpx.post(url, data={"q": query, **more}, timeout=PATIENCE_S).raise_for_status()

    def settle(self) -> None:
        """What it has taken is found at once."""


INFLUX_CONF = """reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
dir = "{folder}/meta"
logging-enabled = false
[data]
dir = "{folder}/data"
wal-dir = "{folder}/wal"
query-log-enabled = false
[monitor]
store-enabled = false
[http]
bind-address = "127.0.0.1:{http}"
log-enabled = false
[ifql]
enabled = false
[subscriber]
enabled = false
[continuous_queries]
enabled = false
"""

NGINX_CONF = """%(user)s
daemon off;
master_process off;
pid %(folder)s/nginx.pid;
error_log %(folder)s/log;
events { worker_connections 64; }
http {
    access_log off;
    client_body_temp_path %(folder)s/body;
    proxy_temp_path %(folder)s/proxy;
    fastcgi_temp_path %(folder)s/fastcgi;
    uwsgi_temp_path %(folder)s/uwsgi;
    scgi_temp_path %(folder)s/scgi;
    client_max_body_size 2m;
    server {
        listen 127.0.0.1:%(port)d;
        location = /api/v2/write {
            proxy_set_header Authorization "";
            proxy_pass http://127.0.0.1:%(to)d/write?db=$arg_bucket&precision=$arg_precision;
        }
        location / { proxy_pass http://127.0.0.1:%(to)d; }
    }
}
"""


def _run(folder: Path, *command: str) -> subprocess.Popen[bytes]:
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)


def _kill(process: subprocess.Popen[bytes] | None) -> None:
    if process is not None:
        process.send_signal(signal.SIGKILL)
        process.wait(PATIENCE_S)


def _await(process: subprocess.Popen[bytes], url: str, folder: Path) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline_s:
        assert process.poll() is None, (folder / "log").read_text(errors="replace")[-2000:]
        try:
            if httpx.get(url, timeout=1).status_code < 400:
                return
        except httpx.HTTPError:
            time.sleep(0.02)
    raise AssertionError(f"no answer from {url}: {(folder / 'log').read_text(errors='replace')[-2000:]}")
