"""The worker's process, built in order: ways in, journal, judge. Each thing that is opened is closed with the stack."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from alerts.cells import Cells
from alerts.judge import Judge
from alerts.ledger.sql import open_ledger
from alerts.plan import plan
from ingest.quarantine import Quarantine
from ingest.topics import Topics
from ingest.unregistered import Unregistered
from sensors.store.duck import DuckStore
from takean import closed_days, places, second_look
from takean.box_clock import BoxClock, newest_arrival_us
from takean.clock import REAL, JudgementClock, steady_us
from takean.configuration import TOPIC_PREFIX, World, credentials_file
from takean.local_server import LocalServer
from takean.worker import Worker


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerPart:
    """The only owner of the journal, running."""

    worker: Worker
    store: DuckStore
    mqtt: tuple[str, int] | None
    """Where devices connect."""


def worker_part(
    stack: ExitStack,
    world: World,
    *,
    failed: Callable[[BaseException], None],
    serve: bool = False,
    beat: Callable[[], None] = lambda: None,
    process: str = "worker",
) -> WorkerPart:
    """Ways in, journal, judge.

    Parameters
    ----------
    failed : called from a thread whose death must end the process
    serve : answer the web's process over the local socket, and keep the files of closed days
    beat : called after each turn of the worker

    Raises
    ------
    OSError : an address cannot be had, or another process has the journal
    """
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
        credentials_file=credentials_file(world.state, world.kind) if serve else None,
        unregistered=unregistered,
        births=world.state / f"births.{world.kind}.sqlite",
        mirrors=[destination.name for destination in world.mirrors],
        failed=failed,
        beat=beat,
        process=process,
    )
    if serve:
        archive = closed_days.keep(stack, world, store, ledger, now_us=clock.now_us)
        server = LocalServer(
            places.local_socket(world.state, world.kind),
            store=store,
            status=worker.status,
            sealed=archive.sealed,
            late=worker.late.take,
            keys=world.registry.keys(),
            hear=worker.mirrors.hear,
            device=worker.orders,
        )
        server.start()
        stack.callback(server.stop)
    second_look.keep(stack, world, store, now_us=clock.now_us)
    mqtt = worker.start()
    stack.callback(worker.stop)
    return WorkerPart(worker=worker, store=store, mqtt=mqtt)


def _own_clock(stack: ExitStack, world: World, store: DuckStore) -> JudgementClock:
    """The judgement clock of this world, kept where the other processes find it."""
    if world.clock is not REAL:
        return world.clock
    clock = BoxClock(places.clock_file(world.state, world.kind), floor_us=newest_arrival_us(store))
    stack.callback(clock.close)
    return clock
