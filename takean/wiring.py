"""One straight function builds everything in order and registers its closer beside it."""

import socket
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from random import Random

import uvicorn

from alerts import dispatch
from alerts.cells import Cells
from alerts.channels import Channel
from alerts.channels.preview import PreviewChannel
from alerts.desk import Desk
from alerts.episode import Kind
from alerts.judge import Judge
from alerts.ledger.accounts import SqlAccounts, open_accounts
from alerts.ledger.sql import SqlLedger, open_ledger
from alerts.plan import plan
from alerts.route import Routes
from alerts.rules import RuleSet
from api.app import create_app
from api.deps import Deps, WorkerStatus
from dashboards.pages import Pages
from ingest.credentials import Credentials
from ingest.quarantine import Quarantine
from ingest.topics import Topics
from sensors.stations import Registry
from sensors.store.duck import DuckStore
from takean.clock import Clock, real_us
from takean.worker import Worker

TOPIC_PREFIX = {Kind.ACTUAL: "takean/v1", Kind.EXERCISE: "takean/drill/v1", Kind.TEST: "takean/drill/v1"}
"""An exercise is a second world with topics of its own (contract 6)."""
DISPATCH_S_MAX = 90.0
"""A turn of the dispatcher may take a lease of 60 s and a channel's time-out."""
WEB_CONNECTIONS_MAX = 1_000
"""Beyond it browsers are told to come back: file descriptors belong to devices and stores first."""
GRACE_S = 2
"""How long open event streams may hold up a stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """All that distinguishes one installation from another."""

    kind: Kind
    registry: Registry
    rules: RuleSet
    routes: Routes
    clock: Clock
    credentials: Credentials
    state: Path
    map_file: Path
    mqtt: tuple[str, int]
    web: tuple[str, int]
    public_url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """What is running."""

    mqtt: tuple[str, int]
    web: tuple[str, int]
    url: str
    worker: Worker
    ledger: SqlLedger
    accounts: SqlAccounts


def build(stack: ExitStack, world: World, *, failed: Callable[[BaseException], None]) -> Platform:
    """Start everything; leaving the stack stops it in the opposite order.

    Parameters
    ----------
    failed : called from a thread whose death must end the process

    Raises
    ------
    OSError : an address cannot be had
    """
    # Long by intention: splitting it would only thread these names about.
    # Readings and judgement of each kind live apart: nothing of a drill can ever be judged as actual.
    store = DuckStore(world.state / f"journal.{world.kind}.duckdb", world.registry.keys())
    stack.callback(store.close)
    ledger = open_ledger(world.state / "ledger.sqlite")
    stack.callback(ledger.close)
    accounts = open_accounts(world.state / "ledger.sqlite")
    stack.callback(accounts.close)
    quarantine = Quarantine(world.state / "quarantine.sqlite")
    stack.callback(quarantine.close)

    make_plan = partial(plan, registry=world.registry, routes=world.routes)
    judge = Judge(
        cells=Cells.of(world.kind, world.registry, world.rules, world.routes),
        plan=make_plan,
        store=store,
        ledger=ledger,
        snapshot_path=world.state / f"judge.{world.kind}.npz",
        now_us=world.clock.now_us,
        real_us=real_us,
    )
    worker = Worker(
        judge=judge,
        topics=Topics(TOPIC_PREFIX[world.kind]),
        credentials=world.credentials,
        quarantine=quarantine,
        clock=world.clock,
        host=world.mqtt[0],
        port=world.mqtt[1],
        failed=failed,
    )
    mqtt = worker.start()
    stack.callback(worker.stop)

    channels = {"preview": PreviewChannel(ledger, now_us=world.clock.now_us)}
    beat = _Beat()
    _dispatch(stack, world, ledger, channels, beat)

    web_socket = socket.create_server(world.web, reuse_port=False)
    stack.callback(web_socket.close)
    web = web_socket.getsockname()[:2]
    url = world.public_url or f"http://{web[0]}:{web[1]}"
    pages = Pages(no_break=[*(s.name for s in world.registry.stations.values()), world.registry.place.name])
    app = create_app(
        Deps(
            registry=world.registry,
            rules=world.rules,
            reader=store,
            ledger=ledger,
            desk=Desk(ledger=ledger, kind=world.kind, plan=make_plan, routes=world.routes, now_us=world.clock.now_us),
            accounts=accounts,
            quarantine=quarantine,
            worker=lambda: _able_to_warn(worker.status(), world.kind, beat),
            kind=world.kind,
            speed=world.clock.speed,
            now_us=world.clock.now_us,
            real_us=real_us,
            pages=pages,
            static_dir=pages.static_dir,
            map_file=world.map_file,
            public_url=url,
        )
    )
    server = _WebServer(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=GRACE_S,
            limit_concurrency=WEB_CONNECTIONS_MAX,
            lifespan="on",
        ),
        before_stop=app.state.hub.aclose,
    )
    thread = threading.Thread(target=_serve, args=(server, web_socket, failed), name="web", daemon=True)
    thread.start()

    def stop_web() -> None:
        server.should_exit = True
        thread.join(timeout=3 * GRACE_S + 2)

    stack.callback(stop_web)
    return Platform(mqtt=mqtt, web=(web[0], web[1]), url=url, worker=worker, ledger=ledger, accounts=accounts)


class _WebServer(uvicorn.Server):
    """A server that ends its event streams before it waits for open answers."""

    def __init__(self, config: uvicorn.Config, *, before_stop: Callable[[], Awaitable[None]]) -> None:
        super().__init__(config)
        self._before_stop = before_stop

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._before_stop()
        await super().shutdown(sockets)


class _Beat:
    """When the dispatcher last finished a turn without failing."""

    def __init__(self) -> None:
        self._at_s = time.monotonic()

    def __call__(self) -> None:
        self._at_s = time.monotonic()

    @property
    def age_s(self) -> float:
        return time.monotonic() - self._at_s


def _able_to_warn(status: WorkerStatus, kind: Kind, beat: _Beat) -> WorkerStatus:
    """What the worker says, and whether anybody could be told."""
    if not status.ready:
        return status
    if kind is Kind.ACTUAL:
        return replace(status, ready=False, reason="no channel reaches people: the preview phone is for exercises")
    if beat.age_s > DISPATCH_S_MAX:
        return replace(status, ready=False, reason=f"nothing has been sent for {beat.age_s:.0f} s: look at the ledger")
    return status


def _dispatch(
    stack: ExitStack, world: World, ledger: SqlLedger, channels: Mapping[str, Channel], beat: Callable[[], None]
) -> None:
    stop = threading.Event()
    thread = threading.Thread(
        target=dispatch.run,
        args=(stop, ledger, channels),
        kwargs={
            "owner": "dispatch",
            "now_us": world.clock.now_us,
            "real_us": real_us,
            "rng": Random(),  # noqa: S311  (jitter of retries, no secret)
            "policy": dispatch.Policy(),
            "beat": beat,
        },
        name="dispatch",
        daemon=True,
    )
    thread.start()

    def stop_dispatch() -> None:
        stop.set()
        thread.join(timeout=10)

    stack.callback(stop_dispatch)


def _serve(server: uvicorn.Server, listening: socket.socket, failed: Callable[[BaseException], None]) -> None:
    try:
        server.run(sockets=[listening])
    except BaseException as error:
        failed(error)
    else:
        if not server.should_exit:
            failed(RuntimeError("the web server ended by itself"))
