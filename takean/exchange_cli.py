"""`takean export` and `takean import`: what a person sees of them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

from sensors import stations
from takean import exchange_export, exchange_import, places, settings
from takean.exchange import EVER, SUFFIXES, THAI, ExchangeError, Wanted, moment
from takean.exchange_export import Exported
from takean.exchange_import import Imported
from takean.exchange_rows import opened
from takean.local_client import LocalOwner

SHOWN = 20
"""Lines that are named of each file; the rest is counted."""
STEPS = 10
"""Lines of progress where no terminal shows a bar."""


def export(
    path: Path,
    *,
    station: Sequence[str],
    quantity: Sequence[str],
    start: str | None,
    end: str | None,
    format: str | None,
    thai: bool,
    err: Console,
) -> Exported:
    """Write readings of the configured world to a file.

    Raises
    ------
    ExchangeError : see the text
    """
    kind, state = settings.load(settings.config_folder()).world.kind, settings.state_path()
    form = format or SUFFIXES.get(path.suffix)
    if form not in exchange_export.WRITERS:
        raise ExchangeError(f"{path.name}: say --format csv or --format parquet")
    wanted = Wanted(
        stations=station,
        readings=quantity,
        from_us=EVER[0] if start is None else _moment("--from", start),
        to_us=EVER[1] if end is None else _moment("--to", end),
    )
    with (
        opened(
            socket=places.local_socket(state, kind),
            journal=state / f"journal.{kind}.duckdb",
            days=places.days_folder(state, kind),
        ) as rows,
        bar(err) as show,
    ):
        return exchange_export.export(rows, wanted, path, format=form, thai=thai, progress=partial(show, "days"))


def bring_in(paths: Sequence[Path], *, dry: bool, err: Console) -> Imported:
    """Put the readings of files into the journal of the configured world, which must be running.

    Raises
    ------
    ExchangeError : see the text
    """
    folder, state = settings.config_folder(), settings.state_path()
    registry = stations.load(folder / "stations.toml")
    socket = places.local_socket(state, settings.load(folder).world.kind)
    owner = LocalOwner(socket)
    told: dict[Path, int] = {}

    def tell(path: Path, line: int, text: str) -> None:
        told[path] = told.get(path, 0) + 1
        if told[path] <= SHOWN:
            err.print(f"{escape(str(path))}:{line}: {escape(text)}", soft_wrap=True)

    try:
        if not owner.status().alive:
            raise ExchangeError("nothing answers: readings are judged as they come in, so `takean run` must be running")
        with bar(err) as show:
            found = exchange_import.bring_in(
                paths, registry, owner, dry=dry, tell=tell, progress=lambda path, done, of: show(path.name, done, of)
            )
    finally:
        owner.close()
    for path, many in told.items():
        if many > SHOWN:
            err.print(f"{escape(str(path))}: and {many - SHOWN} more", soft_wrap=True)
    return found


def _moment(option: str, text: str) -> int:
    try:
        return moment(text, naive=THAI)
    except ValueError:
        raise ExchangeError(f"{option} {text}: expected a time such as 2026-11-22 or 2026-11-22T13:50") from None


@contextmanager
def bar(err: Console) -> Iterator[Callable[[str, int, int], None]]:
    """A way to say (of what, done, of all): a bar on a terminal, now and then a line elsewhere."""
    if not err.is_terminal:
        reached: dict[str, int] = {}

        def line(what: str, done: int, of: int) -> None:
            step = STEPS * done // max(1, of)
            if step > reached.get(what, 0):
                reached[what] = step
                err.print(f"{escape(what)}: {100 * done // max(1, of)} %", soft_wrap=True)

        yield line
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err) as progress:
        tasks = dict[str, TaskID]()

        def draw(what: str, done: int, of: int) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(escape(what))
            progress.update(tasks[what], completed=done, total=max(1, of))

        yield draw
