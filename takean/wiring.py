"""Three straight builders, one for each process of `takean run`; the demonstration runs all of them in one.

Each builds its part in order and registers its closer beside it. What only one part needs is imported inside its
builder: a part that must be back at once does not load what belongs to another.
"""

import logging
import shutil
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from alerts.episode import Kind
from api.deps import WorkerStatus
from takean import heartbeat, places
from takean.clock import REAL, Clock, Followed, JudgementClock, Shown, boot_id, real_us, steady_us

if TYPE_CHECKING:
    from alerts.ledger.accounts import SqlAccounts
    from alerts.ledger.sql import SqlLedger
    from sensors.store import SeriesReader
    from sensors.store.duck import DuckStore
    from sensors.store.retention import Retention
    from takean.configuration import World
    from takean.worker import Worker

log = logging.getLogger(__name__)

TOPIC_PREFIX = {Kind.ACTUAL: "takean/v1", Kind.EXERCISE: "takean/drill/v1", Kind.TEST: "takean/drill/v1"}
"""An exercise is a second world with topics of its own (contract 6)."""
DISPATCH_S_MAX = 90.0
"""A turn of the dispatcher may take a lease of 60 s and a channel's time-out."""
WEB_CONNECTIONS_MAX = 1_000
"""Beyond it browsers are told to come back: file descriptors belong to devices and stores first."""
ROOM_BYTES_MIN = 64 << 20
"""Below this a disk is full: a checkpoint of the journal writes 16 MB and more at once."""
GRACE_S = 2
"""How long open event streams may hold up a stop."""
ARCHIVE_FIRST_S, ARCHIVE_EVERY_S = 10.0, 60.0
"""How often closed days are looked for; the first seconds belong to the rivers."""

Failed = Callable[[BaseException], None]
"""Called from a thread whose death must end the process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerPart:
    """The only owner of the journal, running."""

    worker: "Worker"
    store: "DuckStore"
    mqtt: tuple[str, int] | None
    """Where devices connect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebPart:
    """The pages, being served."""

    address: tuple[str, int]
    url: str
    ledger: "SqlLedger"
    accounts: "SqlAccounts"


def worker_part(
    stack: ExitStack,
    world: "World",
    *,
    failed: Failed,
    serve: bool = False,
    beat: Callable[[], None] = lambda: None,
    process: str = "worker",
) -> WorkerPart:
    """Ways in, journal, judge.

    Parameters
    ----------
    serve : answer the web's process over the local socket, and keep the files of closed days
    beat : called after each turn of the worker

    Raises
    ------
    OSError : an address cannot be had, or another process has the journal
    """
    # Long by intention: splitting it would only thread these names about.
    from alerts.cells import Cells  # noqa: PLC0415
    from alerts.judge import Judge  # noqa: PLC0415
    from alerts.ledger.sql import open_ledger  # noqa: PLC0415
    from alerts.plan import plan  # noqa: PLC0415
    from ingest.quarantine import Quarantine  # noqa: PLC0415
    from ingest.topics import Topics  # noqa: PLC0415
    from ingest.unregistered import Unregistered  # noqa: PLC0415
    from sensors.store.duck import DuckStore  # noqa: PLC0415
    from takean import configuration  # noqa: PLC0415
    from takean.worker import Worker  # noqa: PLC0415

    # Readings and judgement of each kind live apart: nothing of a drill can ever be judged as actual.
    days = places.days_folder(world.state, world.kind)
    store = DuckStore(world.state / f"journal.{world.kind}.duckdb", world.registry.keys(), days=days)
    stack.callback(store.close)
    ledger = open_ledger(world.state / "ledger.sqlite")
    stack.callback(ledger.close)
    quarantine = Quarantine(world.state / "quarantine.sqlite")
    stack.callback(quarantine.close)
    unregistered = Unregistered(places.unregistered_file(world.state, world.kind))
    stack.callback(unregistered.close)
    clock = _own_clock(stack, world, store)
    judge = Judge(
        cells=Cells.of(world.kind, world.registry, world.rules, world.routes),
        plan=partial(plan, registry=world.registry, routes=world.routes),
        store=store,
        ledger=ledger,
        snapshot_path=world.state / f"judge.{world.kind}.npz",
        now_us=clock.now_us,
        real_us=steady_us,
        leapt_us=lambda: clock.leapt_us,
    )
    worker = Worker(
        judge=judge,
        topics=Topics(TOPIC_PREFIX[world.kind]),
        credentials=world.credentials,
        quarantine=quarantine,
        clock=clock,
        listen=world.mqtt,
        tls=world.tls,
        broker=world.broker,
        serial=world.serial,
        credentials_file=configuration.credentials_file(world.state, world.kind) if serve else None,
        unregistered=unregistered,
        births=world.state / f"births.{world.kind}.sqlite",
        mirrors=[destination.name for destination in world.mirrors],
        failed=failed,
        beat=beat,
        process=process,
    )
    if serve:
        _serve_readings(stack, world, store, worker, clock, partial(_needed_from_seq, world, ledger))
    mqtt = worker.start()
    stack.callback(worker.stop)
    return WorkerPart(worker=worker, store=store, mqtt=mqtt)


def _own_clock(stack: ExitStack, world: "World", store: "DuckStore") -> JudgementClock:
    """The judgement clock of this world, kept where the other processes find it."""
    if world.clock is not REAL:
        return world.clock
    from takean.box_clock import BoxClock, newest_arrival_us  # noqa: PLC0415

    clock = BoxClock(places.clock_file(world.state, world.kind), floor_us=newest_arrival_us(store))
    stack.callback(clock.close)
    return clock


def shown_clock(clock: Clock, state: Path, kind: Kind) -> Shown:
    """The judgement clock of a world as a process that does not own it sees it."""
    return clock if clock is not REAL else Followed(path=places.clock_file(state, kind), boot=boot_id())


def _serve_readings(
    stack: ExitStack,
    world: "World",
    store: "DuckStore",
    worker: "Worker",
    clock: JudgementClock,
    needed_from_seq: Callable[[], int],
) -> None:
    from sensors.store.archive import Archive  # noqa: PLC0415
    from sensors.store.retention import Retention  # noqa: PLC0415
    from sensors.store.rollup import Rollups  # noqa: PLC0415
    from takean.local_server import LocalServer  # noqa: PLC0415

    days = places.days_folder(world.state, world.kind)
    archive = Archive(store, days, now_us=clock.now_us, days_kept=world.policy.days)
    retention = Retention(
        store=store,
        archive=archive,
        rollups=Rollups(places.hours_folder(world.state, world.kind), days),
        policy=world.policy,
        now_us=clock.now_us,
        needed_from_seq=needed_from_seq,
    )
    stop = threading.Event()
    thread = threading.Thread(target=_keep_days, args=(retention, stop), name="closed days", daemon=True)
    server = LocalServer(
        places.local_socket(world.state, world.kind),
        store=store,
        status=worker.status,
        sealed=archive.sealed,
        late=worker.take_late,
        keys=world.registry.keys(),
        hear=worker.mirrors.hear,
        device=worker,
    )
    server.start()
    stack.callback(server.stop)
    thread.start()

    def stop_archive() -> None:
        stop.set()
        thread.join()  # the store is closed next; it looks at `stop` between two days

    stack.callback(stop_archive)


def _needed_from_seq(world: "World", ledger: "SqlLedger") -> int:
    """The oldest row of the journal that is still to be read: by a judge from its snapshot on, or by a mirror."""
    from alerts.snapshot import seq_of  # noqa: PLC0415
    from sensors.store.cursor import load  # noqa: PLC0415

    judged = [ledger.judged_through(world.kind), seq_of(world.state / f"judge.{world.kind}.npz")]
    sent = [load(places.cursor_file(world.state, world.kind, mirror.name)).settled for mirror in world.mirrors]
    return min(*judged, *sent) + 1


def _keep_days(retention: "Retention", stop: threading.Event) -> None:
    wait_s = ARCHIVE_FIRST_S
    while not stop.wait(wait_s):
        wait_s = ARCHIVE_EVERY_S
        try:
            retention.turn(stop.is_set)
        except Exception:
            log.exception("closed days could not be kept; tried again in %g s", ARCHIVE_EVERY_S)


def mirror_part(stack: ExitStack, world: "World") -> None:
    """Copies of the readings on other servers. It asks the worker, and goes on when that comes back."""
    from takean.local_client import LocalOwner  # noqa: PLC0415
    from takean.mirrors import Mirrors  # noqa: PLC0415

    owner = LocalOwner(places.local_socket(world.state, world.kind))
    stack.callback(owner.close)
    mirrors = Mirrors(
        world.mirrors, kind=world.kind, owner=owner, cursor=partial(places.cursor_file, world.state, world.kind)
    )
    mirrors.start()
    stack.callback(mirrors.stop)


def dispatch_part(stack: ExitStack, *, kind: Kind, clock: Clock, state: Path) -> None:
    """Deliveries. It needs no stations and no rules: what must be sent stands in the ledger.

    Raises
    ------
    OSError : another process is sending already
    """
    from alerts import dispatch  # noqa: PLC0415
    from alerts.channels.preview import PreviewChannel  # noqa: PLC0415
    from alerts.ledger.sql import open_ledger  # noqa: PLC0415

    shown = shown_clock(clock, state, kind)
    ledger = open_ledger(state / "ledger.sqlite")
    stack.callback(ledger.close)
    heart = heartbeat.Heart(places.heart_file(state, kind))
    stack.callback(heart.close)
    stop = threading.Event()
    thread = threading.Thread(
        target=dispatch.run,
        args=(stop, ledger, {"preview": PreviewChannel(ledger, now_us=shown.now_us)}),
        kwargs={
            "owner": "dispatch",
            "now_us": shown.now_us,
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


def readings_from_worker(stack: ExitStack, world: "World") -> tuple["SeriesReader", Callable[[], WorkerStatus]]:
    """Readings and status from the worker's process, and closed days from their files."""
    from sensors.store.days import DayReader  # noqa: PLC0415
    from sensors.store.split import SplitReader  # noqa: PLC0415
    from takean.local_client import LocalOwner  # noqa: PLC0415

    owner = LocalOwner(places.local_socket(world.state, world.kind))
    stack.callback(owner.close)
    reader = SplitReader(owner, DayReader(places.days_folder(world.state, world.kind)))
    stack.callback(reader.close)
    return reader, owner.status


def web_part(
    stack: ExitStack,
    world: "World",
    *,
    reader: "SeriesReader",
    status: Callable[[], WorkerStatus],
    failed: Failed,
    process: str = "web",
) -> WebPart:
    """The pages.

    Parameters
    ----------
    reader : the readings, from wherever they are
    status : what the worker says of itself

    Raises
    ------
    OSError : the address cannot be had
    """
    # Long by intention, as above.
    from alerts.desk import Desk  # noqa: PLC0415
    from alerts.ledger.accounts import open_accounts  # noqa: PLC0415
    from alerts.ledger.sql import open_ledger  # noqa: PLC0415
    from alerts.plan import plan  # noqa: PLC0415
    from api.app import create_app  # noqa: PLC0415
    from api.deps import Deps  # noqa: PLC0415
    from dashboards.pages import Pages  # noqa: PLC0415
    from ingest.quarantine import Quarantine  # noqa: PLC0415
    from ingest.unregistered import Unregistered  # noqa: PLC0415
    from sensors.store import newest_usable  # noqa: PLC0415
    from sensors.store.rollup import HourReader  # noqa: PLC0415
    from takean.server import PageServer  # noqa: PLC0415

    clock = shown_clock(world.clock, world.state, world.kind)
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
            worker=lambda: _able_to_warn(
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
            unregistered=unregistered.list,
        )
    )
    server = PageServer(app, before_stop=app.state.hub.aclose, connections_max=WEB_CONNECTIONS_MAX, grace_s=GRACE_S)
    thread = threading.Thread(target=server.serve_on, args=(listening, failed), name="web", daemon=True)
    thread.start()

    def stop_web() -> None:
        server.should_exit = True
        thread.join(timeout=3 * GRACE_S + 2)

    stack.callback(stop_web)
    return WebPart(address=(host, port), url=url, ledger=ledger, accounts=accounts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """All parts in one process."""

    mqtt: tuple[str, int]
    url: str
    worker: "Worker"
    ledger: "SqlLedger"
    accounts: "SqlAccounts"


def whole(stack: ExitStack, world: "World", *, failed: Failed) -> Platform:
    """The three parts in this process; leaving the stack stops them, the pages first.

    Raises
    ------
    OSError : an address cannot be had
    """
    judging = worker_part(stack, world, failed=failed, process="takean")
    assert judging.mqtt is not None, "a world in one process has an endpoint"
    dispatch_part(stack, kind=world.kind, clock=world.clock, state=world.state)
    pages = web_part(stack, world, reader=judging.store, status=judging.worker.status, failed=failed, process="takean")
    return Platform(
        mqtt=judging.mqtt, url=pages.url, worker=judging.worker, ledger=pages.ledger, accounts=pages.accounts
    )


def _able_to_warn(
    status: WorkerStatus, kind: Kind, beat: heartbeat.Beat, process: str, *, room_bytes: int
) -> WorkerStatus:
    """What the worker says, and whether anybody could be told; with the processor time of all processes."""
    cpu_s = dict(status.cpu_s)
    if process not in cpu_s:  # else all are one
        cpu_s |= {process: time.process_time(), "dispatch": beat.cpu_s}
    status = replace(status, cpu_s=cpu_s)
    if not status.ready and room_bytes < ROOM_BYTES_MIN:  # a worker that cannot begin has nobody else to say it
        return replace(status, reason=f"{status.reason}; the state folder's disk is full: {room_bytes >> 20} MB left")
    if not status.ready:
        return status
    if kind is Kind.ACTUAL:
        return replace(status, ready=False, reason="no channel reaches people: the preview phone is for exercises")
    if not beat.alive:
        return replace(status, ready=False, reason="the dispatcher is dead: nothing is sent")
    if beat.age_s > DISPATCH_S_MAX:
        return replace(status, ready=False, reason=f"nothing has been sent for {beat.age_s:.0f} s: look at the ledger")
    return status
