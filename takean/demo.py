"""The demonstration: simulated devices play a storm, or a recording, over real MQTT into a platform of their own.

Everything runs as an exercise: no outside channel is wired, whatever the environment holds.
"""

import logging
import os
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from alerts import rules
from alerts.episode import Kind
from alerts.people import Address, Role
from firmware_sim.run import run as run_devices
from ingest import credentials
from sensors.stations import SECOND_US, ConfigError
from takean import clock, supervise, wiring
from takean.configuration import TOPIC_PREFIX, World
from takean.scenes import Options, Scene, replay, storm
from takean.wiring import Platform

log = logging.getLogger(__name__)

INVITE_US = 24 * 3600 * SECOND_US
OFFICERS = ("officer-1", "officer-2")


@dataclass(frozen=True, slots=True, kw_only=True)
class Playing:
    """The simulated world as it runs."""

    clock: clock.Clock
    end_us: int


@contextmanager
def running(
    options: Options, *, failed: Callable[[BaseException], None]
) -> Iterator[tuple[Platform, Mapping[str, str], Playing]]:
    """The platform with its devices, until the block is left: (platform, one-time link of each officer, what plays).

    Parameters
    ----------
    failed : called from a thread whose death must end the demonstration

    Raises
    ------
    ConfigError, OSError : with a sentence for the person at the keyboard
    """
    with ExitStack() as stack:
        # Before the clock starts: at two hours a second the flood would have gone by before anyone looks.
        import_module("alembic.command")
        state = _state(options, stack)
        try:
            scene = replay(options) if options.record else storm(options, now_us=_resumed(state) or clock.real_us())
            virtual = clock.virtual(state / "clock.json", origin_us=scene.start_us, speed=scene.speed)
        except ValueError as error:
            raise ConfigError([str(error)]) from error
        secrets = {station: credentials.generate() for station in scene.registry.stations}
        keys = credentials.create()
        for station, secret in secrets.items():
            keys = credentials.with_station(keys, station, secret)
        world = World(
            kind=Kind.EXERCISE,
            registry=scene.registry,
            rules=rules.compile_rules(scene.rules, scene.registry),
            routes=scene.routes.automatic() if options.release == "auto" else scene.routes,
            clock=virtual,
            credentials=keys,
            state=state,
            map_file=options.map_file or scene.map_file or _no_land(state),
            mqtt=(options.host, _free(options.host, options.mqtt_port)),
            web=(options.host, 0 if options.web_port == options.mqtt_port else _free(options.host, options.web_port)),
        )
        platform = wiring.whole(stack, world, failed=failed)
        platform.ledger.put_addresses(
            [
                Address(
                    id=f"preview-{area}",
                    kind=Kind.EXERCISE,
                    recipient=f"preview-{area}",
                    area=area,
                    channel="preview",
                    target=f"{scene.registry.areas[area].name}",
                )
                for area in scene.phones
            ]
        )
        links = _officers(platform)
        _start_devices(stack, platform, scene, secrets, virtual)
        yield platform, links, Playing(clock=virtual, end_us=scene.end_us)


def _start_devices(
    stack: ExitStack, platform: Platform, scene: Scene, secrets: Mapping[str, str], virtual: clock.Clock
) -> None:
    stop = threading.Event()
    thread = threading.Thread(
        target=run_devices,
        args=(scene.devices, scene.truth),
        kwargs={
            "host": platform.mqtt[0],
            "port": platform.mqtt[1],
            "passwords": secrets,
            "topic_prefix": TOPIC_PREFIX[Kind.EXERCISE],
            "now_us": virtual.now_us,
            "stop": stop,
            "speed": virtual.speed,
        },
        name="devices",
        daemon=True,
    )
    thread.start()

    def stop_devices() -> None:
        stop.set()
        thread.join(timeout=5)

    stack.callback(stop_devices)


def _officers(platform: Platform) -> dict[str, str]:
    """A fresh one-time link for each of the two officers."""
    now_us, there = clock.real_us(), platform.accounts.names()
    links = {}
    for name in OFFICERS:
        if name not in there:
            platform.accounts.create(name, Role.OFFICER, now_us=now_us)
        token = platform.accounts.invite(name, now_us=now_us, expires_us=now_us + INVITE_US)
        links[name] = f"{platform.url}/invite/{token}"
    return links


def _state(options: Options, stack: ExitStack) -> Path:
    if options.keep is not None:
        options.keep.mkdir(parents=True, exist_ok=True)
        stack.callback(os.close, supervise.hold(options.keep))
        return options.keep
    fresh = Path(tempfile.mkdtemp(prefix="takean-demo-"))
    stack.callback(shutil.rmtree, fresh, ignore_errors=True)
    return fresh


def _resumed(state: Path) -> int | None:
    """Where the clock of a kept folder began: the storm must be the same one."""
    path = state / "clock.json"
    return clock.virtual(path, origin_us=0, speed=1.0).origin_us if path.exists() else None


def _free(host: str, port: int) -> int:
    """The port, or 0 (any) where it is taken: said aloud, because people will type the address."""
    try:
        socket.create_server((host, port)).close()
    except OSError as error:
        why = os.strerror(error.errno or 0)
        log.warning("port %d cannot be used (%s): a free one is used instead, see the addresses", port, why)
        return 0
    return port


def _no_land(state: Path) -> Path:
    path = state / "map.geojson"
    path.write_text('{"type": "FeatureCollection", "features": []}', encoding="utf-8")
    return path
