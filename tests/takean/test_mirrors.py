"""Mirrors beside the worker: their settings, what they ask of it, and what it tells a technician."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from api.deps import MirrorStatus
from sensors.store import Away
from sensors.store.arrivals import Word, arrivals
from sensors.store.duck import DuckStore
from takean import configuration
from takean.local_client import NOBODY, LocalOwner
from takean.local_server import LocalServer
from takean.mirror_watch import ALARM_AFTER_S, SILENT_S, MirrorWatch
from takean.settings import SAMPLE
from takean.shapes import Mistake
from tests.builders import T0_US, batch, fit_for_actual

KEYS = ["A/stage_m", "B/stage_m"]
SECOND_US = 1_000_000
ONE = '[[mirror]]\nname = "influx"\nkind = "influxdb"\nurl = "http://127.0.0.1:8086"\n'


# ---- settings


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "config"
    made.mkdir()
    for path in SAMPLE.iterdir():
        (made / path.name).write_bytes(path.read_bytes())
    routes = made / "routes.toml"
    routes.write_text(fit_for_actual(routes.read_text(encoding="utf-8")), encoding="utf-8")
    return made


def configured(folder: Path, more: str, *, kind: str = "actual", **environment: str) -> configuration.World:
    world, mistakes = checked(folder, more, kind=kind, **environment)
    assert world is not None, [mistake.text for mistake in mistakes]
    return world


def checked(
    folder: Path, more: str, *, kind: str = "actual", **environment: str
) -> tuple[configuration.World | None, list[Mistake]]:
    (folder / "takean.toml").write_text(f'[world]\nkind = "{kind}"\n{more}', encoding="utf-8")
    world, mistakes = configuration.check(folder, folder, environment)
    return world, list(mistakes)


def test_a_mirror_is_configured_by_name_kind_and_address(folder: Path) -> None:
    (there,) = configured(folder, ONE).mirrors
    assert (there.name, there.kind, there.url, there.bucket, there.token) == (
        "influx",
        "influxdb",
        "http://127.0.0.1:8086",
        "takean",
        "",
    )


def test_a_token_comes_from_a_file_or_the_environment_and_is_never_shown(folder: Path) -> None:
    (folder / "token").touch(mode=0o600)
    (folder / "token").write_text("of the file\n")
    two = ONE + 'token_file = "token"\n' + ONE.replace('"influx"', '"other"')
    first, second = configured(folder, two, TAKEAN_MIRROR_TOKEN="of the environment").mirrors
    assert (first.token, second.token) == ("of the file", "of the environment")
    assert "of the file" not in repr(first)
    (folder / "token").chmod(0o644)
    _, mistakes = checked(folder, two)
    assert ["chmod 600" in mistake.do for mistake in mistakes] == [True]


@pytest.mark.parametrize("token", ["โทเคน", "two lines\nof text", "a\ttab"])
def test_a_token_that_no_request_can_carry_is_a_mistake_and_not_shown(folder: Path, token: str) -> None:
    _, mistakes = checked(folder, ONE, TAKEAN_MIRROR_TOKEN=token)
    assert [mistake.place for mistake in mistakes] == ["mirror influx, token_file"]
    assert token not in mistakes[0].text


def test_a_drill_has_no_mirrors(folder: Path) -> None:
    _, mistakes = checked(folder, ONE, kind="exercise")
    assert ["nothing of a drill leaves this box" in mistake.expected for mistake in mistakes] == [True]


@pytest.mark.parametrize(
    ("swap", "place"),
    [
        (('"influx"', '"../influx"'), "mirror ../influx, name"),
        (("http://127.0.0.1:8086", "127.0.0.1:8086"), "mirror influx, url"),
        (("http://127.0.0.1:8086", "http://me:secret@there"), "mirror influx, url"),
        (("http://127.0.0.1:8086", "http://there:port"), "mirror influx, url"),
        (('url = "', 'bucket = ""\nurl = "'), "mirror influx, bucket"),
        (('url = "', 'ca_file = "none.pem"\nurl = "'), "mirror influx, ca_file"),
        (('url = "', 'ca_file = "takean.toml"\nurl = "'), "mirror influx, ca_file"),
        (('url = "', 'ca_file = "."\nurl = "'), "mirror influx, ca_file"),
    ],
)
def test_every_mistake_is_named_with_its_place(folder: Path, swap: tuple[str, str], place: str) -> None:
    _, mistakes = checked(folder, ONE.replace(*swap))
    assert [mistake.place for mistake in mistakes] == [place]
    assert "secret" not in mistakes[0].text


def test_two_mirrors_of_one_name_are_a_mistake(folder: Path) -> None:
    assert {mistake.found for mistake in checked(folder, ONE + ONE)[1]} == {"is there twice"}


def test_every_key_of_a_mirror_is_in_the_sample_and_the_manual() -> None:
    from takean.settings import Mirror

    sample = (SAMPLE / "takean.toml").read_text(encoding="utf-8").partition("# [[mirror]]")[2]
    manual = (SAMPLE.parents[1] / "docs" / "mirrors.md").read_text(encoding="utf-8")
    for key in Mirror.__struct_fields__:
        assert f"\n# {key} = " in sample, key
        assert f"| `{key}` |" in manual, key


# ---- over the worker's socket


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckStore]:
    with closing(DuckStore(tmp_path / "journal.duckdb", KEYS)) as made:
        rows = batch([1.0, float("nan"), 3.0], series=[0, 1, 1])
        made.append(
            rows, np.array([False, False, True]), np.array([1, 9, 3], dtype=np.uint8), np.zeros(3, dtype=np.uint32)
        )
        yield made


def test_rows_and_words_cross_the_socket_as_they_are(store: DuckStore, tmp_path: Path) -> None:
    heard: list[Word] = []
    path = tmp_path / "worker.socket"
    server = LocalServer(path, store=store, status=lambda: NOBODY, sealed=lambda: (), keys=KEYS, hear=heard.append)
    server.start()
    word = Word(name="influx", sent_seq=2, waiting_us=T0_US, reason="", refused={"server": 1})
    with closing(LocalOwner(path)) as owner:
        here, there = arrivals(store, KEYS, after_seq=0, mark="", rows=10), owner.after(0, mark="", rows=10)
        for name in ("seq", "series", "time_us", "value", "received_us", "flag", "revision"):
            np.testing.assert_array_equal(getattr(here, name), getattr(there, name))
            assert getattr(here, name).dtype == getattr(there, name).dtype
        assert (there.keys, there.through_seq, there.last_seq, there.same) == (KEYS, 3, 3, True)
        assert owner.after(3, mark=there.mark, rows=10).same
        assert not owner.after(3, mark="of another", rows=10).same
        assert not owner.after(4, mark=there.mark, rows=10).same, "a backup that is older than the mirror"
        owner.tell(word)
        assert heard == [word]
        server.stop()
        with pytest.raises(Away):
            owner.after(0, mark="", rows=10)


# ---- what a technician sees


class Watched:
    """A watch with a clock and a journal's end moved by hand."""

    def __init__(self) -> None:
        self.now_us, self.last_seq = T0_US, 0
        self.watch = MirrorWatch(["influx"], last_seq=lambda: self.last_seq, now_us=lambda: self.now_us)

    def hear(self, sent_seq: int, *, waiting_us: int | None = None, reason: str = "", **refused: int) -> None:
        self.watch.hear(
            Word(
                name="influx",
                sent_seq=sent_seq,
                waiting_us=waiting_us,
                reason=reason,
                refused=refused,
            )
        )

    def status(self) -> MirrorStatus:
        (told,) = self.watch.status()
        return told

    def alarms(self) -> list[str]:
        return [code for code, _, _ in self.watch.alarms()]


def test_the_age_of_a_backlog_is_that_of_its_oldest_row() -> None:
    box = Watched()
    box.last_seq = 10
    box.hear(10)
    assert (box.status().backlog_rows, box.status().lag_s) == (0, 0.0)
    box.now_us += 3_600 * SECOND_US  # an hour without a reading
    box.hear(10)
    box.last_seq = 12
    box.now_us += 2 * SECOND_US
    assert (box.status().backlog_rows, box.status().lag_s) == (2, 2.0)
    box.hear(10, waiting_us=T0_US, reason="cannot be reached")
    assert box.status().lag_s == 3_602.0
    assert box.status().reason == "cannot be reached"


def test_a_mirror_whose_process_is_dead_is_seen_by_its_silence() -> None:
    box = Watched()
    box.hear(0)
    box.last_seq = 5
    box.now_us += round((SILENT_S + 1) * SECOND_US)
    assert box.status().reason == "its process has said nothing for 16 s"
    assert (box.status().backlog_rows, box.status().lag_s) == (5, 16.0)


def test_a_technician_is_told_once_when_a_mirror_falls_behind_and_again_the_next_time() -> None:
    box = Watched()
    box.last_seq = 5
    for _ in range(2):
        box.hear(box.last_seq)
        assert box.alarms() == []
        box.last_seq += 5
        box.now_us += round(ALARM_AFTER_S * SECOND_US)
        assert box.alarms() == ["mirror_away"]
        assert box.alarms() == []


def test_refusals_are_told_when_they_begin_and_whenever_they_have_doubled() -> None:
    box = Watched()
    told = []
    for n in range(0, 20):
        box.hear(0, server=n)
        told += [n for _ in box.alarms()]
    assert told == [1, 2, 4, 8, 16]


def test_a_mirror_nobody_configured_is_not_listened_to() -> None:
    box = Watched()
    box.watch.hear(Word(name="stranger", sent_seq=0, waiting_us=None, reason="", refused={}))
    assert box.status().name == "influx"


def test_the_worker_loads_nothing_of_the_mirrors_client() -> None:
    code = (
        "import sys, takean.worker_part, sensors.store.cursor\n"
        "assert not {'influxdb_client', 'httpx'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=True)
