"""The three processes of `takean run`, as hidden commands of the program.

They stand beside the command line and not in it: its libraries would cost each of them half a second, and the worker
must be back at once.
"""

import argparse
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from takean import lean, log, supervise

Wait = Callable[..., None]
"""Says that the process is ready, with what is known of it, and waits for its end."""
Failed = Callable[[BaseException], None]


def main(words: Sequence[str]) -> None:
    """Run one of the processes and exit with its code."""
    parser = argparse.ArgumentParser(prog="takean", description="One of the processes of `takean run`.")
    parser.add_argument("name", choices=list(PARTS))
    parser.add_argument("--ready", type=int, default=-1, help="open pipe that is told when it is ready")
    parser.add_argument("--parent", type=int, default=0, help="the supervisor: this process ends with it")
    parser.add_argument("--verbose", action="store_true")
    given = parser.parse_args(words)
    if given.parent:
        supervise.die_with(given.parent)
    stop, died = threading.Event(), threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    log.start(verbose=given.verbose, process=given.name)
    lean.without_pandas()

    def wait(**what: object) -> None:
        if given.ready >= 0:
            supervise.say_ready(given.ready, **what)
        stop.wait()

    def failed(error: BaseException) -> None:
        sys.stderr.write(f"{given.name} failed: {error}\n")
        died.set()
        stop.set()

    try:
        PARTS[given.name](wait, failed)
    except Exception as error:
        from takean import cli  # noqa: PLC0415  (it has the words)

        sys.exit(cli.told(error))
    sys.exit(supervise.FAILED if died.is_set() else 0)


def worker(wait: Wait, failed: Failed) -> None:
    """Ways in and judge."""
    from takean import configuration, settings, wiring  # noqa: PLC0415

    with ExitStack() as stack:
        world = configuration.load(settings.config_folder(), settings.state_folder())
        part = wiring.worker_part(stack, world, failed=failed, serve=True)
        wait(
            mqtt=f"{part.mqtt[0]}:{part.mqtt[1]}" if part.mqtt else "",
            broker=f"{world.broker.host}:{world.broker.port}" if world.broker else "",
        )


def dispatch(wait: Wait, failed: Failed) -> None:
    """Deliveries."""
    del failed  # its thread goes on whatever happens
    from takean import clock, settings, wiring  # noqa: PLC0415

    with ExitStack() as stack:
        kind = settings.load(settings.config_folder()).world.kind
        wiring.dispatch_part(stack, kind=kind, clock=clock.REAL, state=settings.state_folder())
        wait()


def web(wait: Wait, failed: Failed) -> None:
    """Pages."""
    from takean import configuration, settings, wiring  # noqa: PLC0415

    with ExitStack() as stack:
        world = configuration.load(settings.config_folder(), settings.state_folder())
        reader, status = wiring.readings_from_worker(stack, world)
        wait(url=wiring.web_part(stack, world, reader=reader, status=status, failed=failed).url)


PARTS: dict[str, Callable[[Wait, Failed], None]] = {"worker": worker, "dispatch": dispatch, "web": web}
