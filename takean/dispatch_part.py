"""The dispatcher's process, built in order: what must be sent stands in the ledger. It loads no NumPy."""

import threading
from contextlib import ExitStack
from pathlib import Path
from random import Random

from alerts import dispatch
from alerts.channels.preview import PreviewChannel
from alerts.episode import Kind
from alerts.ledger.sql import open_ledger
from takean import heartbeat, places
from takean.clock import Clock, real_us, shown


def dispatch_part(stack: ExitStack, *, kind: Kind, clock: Clock, state: Path) -> None:
    """Deliveries. It needs no stations and no rules: what must be sent stands in the ledger.

    Raises
    ------
    OSError : another process is sending already
    """
    now_us = shown(clock, places.clock_file(state, kind)).now_us
    ledger = open_ledger(state / "ledger.sqlite")
    stack.callback(ledger.close)
    heart = heartbeat.Heart(places.heart_file(state, kind))
    stack.callback(heart.close)
    stop = threading.Event()
    thread = threading.Thread(
        target=dispatch.run,
        args=(stop, ledger, {"preview": PreviewChannel(ledger, now_us=now_us)}),
        kwargs={
            "owner": "dispatch",
            "now_us": now_us,
            "real_us": real_us,
            "rng": Random(),  # noqa: S311  (jitter of retries, no secret)
            "policy": dispatch.Policy(),
            "beat": heart,
        },
        name="dispatch",
        daemon=True,
    )
    thread.start()

    def stop_dispatch() -> None:
        stop.set()
        thread.join(timeout=10)

    stack.callback(stop_dispatch)
