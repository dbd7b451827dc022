"""All parts of the platform in one process. As processes of their own they are started by `takean.processes`."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from alerts.ledger.accounts import SqlAccounts
from alerts.ledger.sql import SqlLedger
from takean.configuration import World
from takean.dispatch_part import dispatch_part
from takean.web_part import web_part
from takean.worker import Worker
from takean.worker_part import worker_part


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """All parts in one process."""

    mqtt: tuple[str, int]
    url: str
    worker: Worker
    ledger: SqlLedger
    accounts: SqlAccounts


def whole(stack: ExitStack, world: World, *, failed: Callable[[BaseException], None]) -> Platform:
    """The three parts in this process; leaving the stack stops them, the pages first.

    Raises
    ------
    OSError : an address cannot be had
    """
    judging = worker_part(stack, world, failed=failed, process="takean")
    assert judging.mqtt is not None, "a world in one process has an endpoint"
    dispatch_part(stack, kind=world.kind, clock=world.clock, state=world.state)
    store, status = judging.store, judging.worker.status
    pages = web_part(stack, world, reader=store, status=status, reviewer=store.reviews, failed=failed, process="takean")
    return Platform(
        mqtt=judging.mqtt, url=pages.url, worker=judging.worker, ledger=pages.ledger, accounts=pages.accounts
    )
