"""The web's process, built in order: the pages, and what they are filled from."""

import shutil
import socket
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from alerts.desk import Desk
from alerts.ledger.accounts import SqlAccounts, open_accounts
from alerts.ledger.sql import SqlLedger, open_ledger
from alerts.plan import plan
from api.app import create_app
from api.deps import Deps, WorkerStatus
from dashboards.pages import Pages
from ingest.quarantine import Quarantine
from ingest.unregistered import Unregistered
from sensors.store import Reviewer, SeriesReader, newest_usable
from sensors.store.rollup import HourReader
from takean import heartbeat, places
from takean.clock import real_us, shown
from takean.configuration import World
from takean.forecast_file import Forecasters
from takean.readiness import able_to_warn
from takean.server import PageServer

CONNECTIONS_MAX = 1_000
"""Beyond it browsers are told to come back: file descriptors belong to devices and stores first."""
GRACE_S = 2
"""How long open event streams may hold up a stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebPart:
    """The pages, being served."""

    address: tuple[str, int]
    url: str
    ledger: SqlLedger
    accounts: SqlAccounts


def web_part(
    stack: ExitStack,
    world: World,
    *,
    reader: SeriesReader,
    status: Callable[[], WorkerStatus],
    failed: Callable[[BaseException], None],
    reviewer: Reviewer | None = None,
    process: str = "web",
) -> WebPart:
    """The pages.

    Parameters
    ----------
    reader : the readings, from wherever they are
    status : what the worker says of itself
    reviewer : takes what people say of readings
    failed : called from a thread whose death must end the process

    Raises
    ------
    OSError : the address cannot be had
    """
    clock = shown(world.clock, places.clock_file(world.state, world.kind))
    listening = socket.create_server(world.web, reuse_port=False)
    stack.callback(listening.close)
    ledger = open_ledger(world.state / "ledger.sqlite")
    stack.callback(ledger.close)
    accounts = open_accounts(world.state / "ledger.sqlite")
    stack.callback(accounts.close)
    quarantine = Quarantine(world.state / "quarantine.sqlite")
    stack.callback(quarantine.close)
    unregistered = Unregistered(places.unregistered_file(world.state, world.kind))
    stack.callback(unregistered.close)
    host, port = listening.getsockname()[:2]
    url = world.public_url or f"http://{host}:{port}"
    pages = Pages(no_break=[*(s.name for s in world.registry.stations.values()), world.registry.place.name])
    heart = partial(heartbeat.listen, places.heart_file(world.state, world.kind))
    hours = HourReader(places.hours_folder(world.state, world.kind), reader)
    stack.callback(hours.close)
    app = create_app(
        Deps(
            registry=world.registry,
            rules=world.rules,
            reader=reader,
            hours=hours,
            ledger=ledger,
            desk=Desk(
                ledger=ledger,
                kind=world.kind,
                plan=partial(plan, registry=world.registry, routes=world.routes, newest=partial(newest_usable, reader)),
                routes=world.routes,
                now_us=clock.now_us,
            ),
            accounts=accounts,
            quarantine=quarantine,
            worker=lambda: able_to_warn(
                status(), world.kind, heart(), process, room_bytes=shutil.disk_usage(world.state).free
            ),
            kind=world.kind,
            speed=clock.speed,
            now_us=clock.now_us,
            real_us=real_us,
            pages=pages,
            static_dir=pages.static_dir,
            map_file=world.map_file,
            public_url=url,
            reviewer=reviewer,
            unregistered=unregistered.list,
            forecaster=Forecasters(places.forecasts_folder(world.state, world.kind)),
        )
    )
    server = PageServer(app, before_stop=app.state.hub.aclose, connections_max=CONNECTIONS_MAX, grace_s=GRACE_S)
    thread = threading.Thread(target=server.serve_on, args=(listening, failed), name="web", daemon=True)
    thread.start()

    def stop_web() -> None:
        server.should_exit = True
        thread.join(timeout=3 * GRACE_S + 2)

    stack.callback(stop_web)
    return WebPart(address=(host, port), url=url, ledger=ledger, accounts=accounts)
