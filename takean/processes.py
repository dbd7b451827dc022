"""The processes of `takean run`, as hidden commands of the program.

They stand beside the command line and not in it: its libraries would cost each of them half a second, and the worker
must be back at once.
"""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from takean import lean, log, settings, supervise

if TYPE_CHECKING:
    from takean.configuration import World

Wait = Callable[..., None]
"""Says that the process is ready, with what is known of it, and waits for its end."""
Failed = Callable[[BaseException], None]


def main(words: Sequence[str]) -> int:
    """Run one of the processes; its exit code."""
    parser = argparse.ArgumentParser(prog="takean", description="One of the processes of `takean run`.")
    parser.add_argument("name", choices=list(PARTS))
    parser.add_argument("--ready", type=int, default=-1, help="open pipe that is told when it is ready")
    parser.add_argument("--parent", type=int, default=0, help="the supervisor: this process ends with it")
    parser.add_argument("--kind", default="", help="the world that the others serve; else that of takean.toml")
    parser.add_argument("--verbose", action="store_true")
    given = parser.parse_args(words)
    if given.parent:
        supervise.die_with(given.parent)
    stop, died = threading.Event(), threading.Event()
    log.start(verbose=given.verbose, process=given.name)
    lean.spare()

    def wait(**what: object) -> None:
        # Not before: what is on disk is whole at any moment, and nobody waits for a start that is to be stopped.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        if given.ready >= 0:
            supervise.say_ready(given.ready, **what)
        lean.settle()
        stop.wait()

    def failed(error: BaseException) -> None:
        died.set()
        stop.set()
        with suppress(OSError):  # the log may lie on the disk that is full
            sys.stderr.write(f"{given.name} failed: {error}\n")

    PARTS[given.name](given.kind, wait, failed)
    return supervise.FAILED if died.is_set() else 0


def check(kind: str, wait: Wait, failed: Failed) -> None:
    """Only a look at the configuration, before the others read it; it starts nothing and ends by itself."""
    del wait, failed
    _world(kind, os.environ, settings.state_path())


def worker(kind: str, wait: Wait, failed: Failed) -> None:
    """Ways in and judge."""
    from takean.worker_part import worker_part  # noqa: PLC0415

    with ExitStack() as stack:
        world = _world(kind, os.environ, settings.state_folder())
        part = worker_part(stack, world, failed=failed, serve=True, beat=supervise.die_if_silent)
        wait(
            mqtt=f"{part.mqtt[0]}:{part.mqtt[1]}" if part.mqtt else "",
            broker=f"{world.broker.host}:{world.broker.port}" if world.broker else "",
            serial=len(world.serial),
        )


def dispatch(kind: str, wait: Wait, failed: Failed) -> None:
    """Deliveries."""
    del failed  # its thread goes on whatever happens
    from alerts.episode import Kind  # noqa: PLC0415
    from takean import clock  # noqa: PLC0415
    from takean.dispatch_part import dispatch_part  # noqa: PLC0415

    with ExitStack() as stack:
        served = Kind(kind) if kind else settings.load(settings.config_folder()).world.kind
        dispatch_part(stack, kind=served, clock=clock.REAL, state=settings.state_folder())
        wait()


def web(kind: str, wait: Wait, failed: Failed) -> None:
    """Pages."""
    from takean.readings import readings_from_worker  # noqa: PLC0415
    from takean.web_part import web_part  # noqa: PLC0415

    with ExitStack() as stack:
        world = _world(kind, {"TAKEAN_BROKER_PASSWORD": "the worker's"}, settings.state_folder())
        reader, status, reviewer = readings_from_worker(stack, world)
        pages = web_part(stack, world, reader=reader, status=status, reviewer=reviewer, failed=failed)
        wait(url=pages.url)


def mirror(kind: str, wait: Wait, failed: Failed) -> None:
    """Copies of the readings on other servers. It asks the worker, and goes on when that comes back."""
    del failed  # as above
    from takean import places  # noqa: PLC0415
    from takean.local_client import LocalOwner  # noqa: PLC0415
    from takean.mirrors import Mirrors  # noqa: PLC0415

    with ExitStack() as stack:
        world = _world(kind, {"TAKEAN_BROKER_PASSWORD": "the worker's", **os.environ}, settings.state_folder())
        owner = LocalOwner(places.local_socket(world.state, world.kind))
        stack.callback(owner.close)
        cursor = partial(places.cursor_file, world.state, world.kind)
        mirrors = Mirrors(world.mirrors, kind=world.kind, owner=owner, cursor=cursor)
        mirrors.start()
        stack.callback(mirrors.stop)
        wait()


def _world(kind: str, environment: Mapping[str, str], state: Path) -> "World":
    """The configured one, if it is still that which the others serve."""
    from sensors.stations import ConfigError  # noqa: PLC0415
    from takean import configuration  # noqa: PLC0415

    world = configuration.load(settings.config_folder(), state, environment)
    if kind and world.kind != kind:
        text = f"takean.toml: world.kind is {world.kind} now, the platform runs as {kind}; put it back, or restart all"
        raise ConfigError([text])
    return world


PARTS: dict[str, Callable[[str, Wait, Failed], None]] = {
    "check": check,
    "worker": worker,
    "dispatch": dispatch,
    "web": web,
    "mirror": mirror,
}
