"""The store of refusals."""

import hashlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.message import Message, Reason, Rejection
from ingest.quarantine import Quarantine, Row


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "quarantine.sqlite"


@pytest.fixture
def quarantine(path: Path) -> Iterator[Quarantine]:
    opened = Quarantine(path, rows_max=5)
    yield opened
    opened.close()


def refusal(
    payload: bytes = b"{", reason: Reason = Reason.NOT_JSON, at_us: int = 7, topic: str = "takean/v1/WL-01/data"
) -> Row:
    return Row.of(Message(topic, payload, at_us, "gauge-1"), Rejection(reason, "cut off"))


def test_a_refusal_is_kept_as_it_was(quarantine: Quarantine) -> None:
    quarantine.put([refusal(b"\x00\xff{")])
    (row,) = quarantine.list(10)
    assert row == Row(
        id=row.id,
        at_us=7,
        reason="not_json",
        detail="cut off",
        topic="takean/v1/WL-01/data",
        client="gauge-1",
        length=3,
        sha256=hashlib.sha256(b"\x00\xff{").hexdigest(),
        head=b"\x00\xff{",
    )
    assert quarantine.get(row.id) == row


def test_of_a_long_payload_the_head_is_kept_and_the_whole_is_hashed(quarantine: Quarantine) -> None:
    payload = bytes(range(256)) * 400
    quarantine.put([refusal(payload)])
    (row,) = quarantine.list(1)
    assert row.head == payload[:4096]
    assert row.length == len(payload)
    assert row.sha256 == hashlib.sha256(payload).hexdigest()


def test_an_unread_body_has_a_length_and_no_hash(quarantine: Quarantine) -> None:
    message = Message("", b"", 7, "gauge-1")
    quarantine.put([Row.of(message, Rejection(Reason.TOO_LARGE, "too long"), unread_bytes=300_000)])
    (row,) = quarantine.list(1)
    assert (row.length, row.sha256, row.head) == (300_000, "", b"")


def test_text_that_utf8_cannot_say_is_kept_all_the_same(quarantine: Quarantine) -> None:
    message = Message("takean/\ud800", b"x", 7, "\udfff")
    quarantine.put([Row.of(message, Rejection(Reason.FOREIGN_TOPIC, "\ud83d"))])
    (row,) = quarantine.list(1)
    assert (row.topic, row.client, row.detail) == ("takean/?", "?", "?")


def test_the_newest_come_first_and_pages_go_back(quarantine: Quarantine) -> None:
    quarantine.put([refusal(at_us=at_us) for at_us in range(5)])
    first = quarantine.list(2)
    assert [row.at_us for row in first] == [4, 3]
    assert [row.at_us for row in quarantine.list(9, before_id=first[-1].id)] == [2, 1, 0]
    assert not quarantine.list(0)
    assert not quarantine.list(-1)


def test_beyond_the_bound_the_oldest_go_and_are_counted(quarantine: Quarantine) -> None:
    quarantine.put([refusal(at_us=at_us) for at_us in range(4)])
    assert quarantine.dropped == 0
    oldest = quarantine.list(9)[-1]
    quarantine.put([refusal(at_us=at_us) for at_us in range(4, 12)])
    assert [row.at_us for row in quarantine.list(99)] == [11, 10, 9, 8, 7]
    assert quarantine.dropped == 7
    assert quarantine.get(oldest.id) is None


def test_totals_remember_what_was_dropped(quarantine: Quarantine, path: Path) -> None:
    quarantine.put([refusal()] * 9)
    quarantine.put([refusal(reason=Reason.BAD_TIME)] * 9)
    assert quarantine.count_by_reason() == {"bad_time": 9, "not_json": 9}
    again = Quarantine(path, rows_max=5)
    try:
        assert again.count_by_reason() == {"bad_time": 9, "not_json": 9}
        assert again.dropped == 13
    finally:
        again.close()


def test_a_smaller_bound_after_a_restart_holds_with_the_next_row(quarantine: Quarantine, path: Path) -> None:
    quarantine.put([refusal(at_us=at_us) for at_us in range(5)])
    smaller = Quarantine(path, rows_max=2)
    try:
        smaller.put([refusal(at_us=5)])
        assert [row.at_us for row in smaller.list(9)] == [5, 4]
        assert smaller.dropped == 4
    finally:
        smaller.close()


def test_nothing_put_changes_nothing(quarantine: Quarantine) -> None:
    quarantine.put([])
    assert not quarantine.list(9)
    assert quarantine.count_by_reason() == {}


def test_rows_that_cannot_all_be_kept_are_not_kept_at_all(quarantine: Quarantine) -> None:
    bad = Row(at_us=1, reason="x", detail="", topic="\ud800", client="", length=0, sha256="", head=b"")
    with pytest.raises(UnicodeEncodeError):
        quarantine.put([refusal(), bad])
    assert not quarantine.list(9)
    assert quarantine.count_by_reason() == {}
    quarantine.put([refusal()])
    assert len(quarantine.list(9)) == 1


def test_a_bound_of_nothing_is_refused(path: Path) -> None:
    with pytest.raises(ValueError, match="rows_max"):
        Quarantine(path, rows_max=0)


def test_another_process_reads_while_rows_are_written(quarantine: Quarantine, path: Path) -> None:
    quarantine.put([refusal(at_us=1)])
    reader = (
        "import sys; from pathlib import Path; from ingest.quarantine import Quarantine\n"
        "q = Quarantine(Path(sys.argv[1]), rows_max=5)\n"
        "for line in sys.stdin: print([r.at_us for r in q.list(9)], q.count_by_reason(), flush=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", reader, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        seen = []
        for at_us in (2, 3):
            quarantine.put([refusal(at_us=at_us)])
            process.stdin.write("read\n")
            process.stdin.flush()
            seen.append(process.stdout.readline().strip())
        process.stdin.close()
    assert seen == ["[2, 1] {'not_json': 2}", "[3, 2, 1] {'not_json': 3}"]


def test_a_chatty_device_pushes_out_its_own_rows_first(tmp_path: Path) -> None:
    kept = Quarantine(tmp_path / "shares.sqlite", rows_max=100)
    try:
        kept.put([refusal(topic=f"quiet/{i}", at_us=i) for i in range(20)])
        for at_us in range(0, 1_000, 50):
            kept.put([refusal(topic="chatty", at_us=at_us + i) for i in range(50)])
        rows = kept.list(200)
        assert len(rows) <= 105
        assert [row.topic for row in rows if row.topic != "chatty"] == [f"quiet/{i}" for i in reversed(range(20))]
        assert [row.at_us for row in rows if row.topic == "chatty"][:80] == list(range(999, 919, -1))
        assert kept.dropped + len(rows) == 1_020
        kept.put([refusal(topic=f"many/{i}", at_us=i) for i in range(100)])
        assert sum(row.topic == "chatty" for row in kept.list(200)) == 0
        assert kept.dropped + len(kept.list(200)) == 1_120
    finally:
        kept.close()


def test_threads_may_share_it(quarantine: Quarantine) -> None:
    def write() -> None:
        for _ in range(5):
            quarantine.put([refusal()])

    writers = [threading.Thread(target=write) for _ in range(4)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        assert len(quarantine.list(99)) <= 5
    for writer in writers:
        writer.join()
    assert quarantine.count_by_reason() == {"not_json": 20}
    assert quarantine.dropped == 15


def test_what_was_put_is_there_after_the_process_died(path: Path) -> None:
    writer = (
        "import os, sys; from pathlib import Path; from ingest.quarantine import Quarantine, Row\n"
        "from ingest.message import *\n"
        "q = Quarantine(Path(sys.argv[1]))\n"
        "q.put([Row.of(Message('t', b'x', 9, 'c'), Rejection(Reason.BAD_TIME, 'd'))])\n"
        "os.kill(os.getpid(), 9)\n"
    )
    died = subprocess.run([sys.executable, "-c", writer, str(path)], check=False)
    assert died.returncode == -9
    after = Quarantine(path)
    try:
        assert [row.at_us for row in after.list(9)] == [9]
    finally:
        after.close()
