"""`takean run`: the configuration is checked, then its processes are started and watched.

It stands beside the command line and not in it, as they do: the libraries of that would hold up every start.
"""

import signal
import sys
from collections.abc import Mapping, Sequence

from takean import log, settings, supervise


def main(*, verbose: bool) -> int:
    """Until a signal ends it; the exit code.

    Raises
    ------
    ConfigError : takean.toml was changed just now, and cannot be read
    OSError : another one runs on this state folder
    """
    log.start(verbose=verbose, process="supervisor")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # nothing runs yet
    if code := _check(()):
        return code
    lock = supervise.hold(settings.state_folder())
    # Fixed for as long as this one lives: a part that comes back must not find itself in another world.
    held = settings.load(settings.config_folder())
    more = ["--kind", held.world.kind, *(["--verbose"] if verbose else [])]
    supervisor = supervise.Supervisor(
        lambda name: [*supervise.program(name), *more],
        announce=_announce,
        may_reload=lambda: not _check(more),
        lock=lock,
        beside=bool(held.mirror),
    )
    return supervisor.run()


def _check(more: Sequence[str]) -> int:
    """Have every mistake of the configuration said; 0 if there is none.

    In a process of its own: what it reads and loads is not kept for as long as this one lives.
    """
    return supervise.finished([*supervise.program("check"), *more])


def _announce(ready: Mapping[str, Mapping[str, object]]) -> None:
    ways = [f"devices {ready['worker']['mqtt']}"] if ready["worker"]["mqtt"] else []
    if ready["worker"]["broker"]:
        ways.append(f"broker {ready['worker']['broker']}")
    if ready["worker"]["serial"]:
        ways.append(f"serial lines {ready['worker']['serial']}")
    sys.stdout.write(f"pages {ready['web']['url']}/  {'  '.join(ways)}\n")
    sys.stdout.flush()
