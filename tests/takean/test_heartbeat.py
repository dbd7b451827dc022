"""The dispatcher's sign of life: it says who lives, and whether that works."""

import struct
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from takean import heartbeat
from takean.heartbeat import Heart, listen

HOLD = "import sys; from pathlib import Path; from takean.heartbeat import Heart; h = Heart(Path(sys.argv[1])); print(1, flush=True); sys.stdin.read()"  # noqa: E501


def test_it_lives_while_its_process_lives_however_that_ends(tmp_path: Path) -> None:
    path = tmp_path / "beat"
    assert not listen(path).alive, "before anybody began"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as owner:
        assert owner.stdout is not None
        assert owner.stdout.read(1) == b"1"
        beat = listen(path)
        assert beat.alive
        assert 0 <= beat.age_s < 30
        assert beat.cpu_s > 0
        owner.kill()
    assert not listen(path).alive


def test_only_one_may_send(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "TRIES", 1)
    with closing(Heart(tmp_path / "beat")), pytest.raises(OSError, match="already"):
        Heart(tmp_path / "beat")
    Heart(tmp_path / "beat").close()


def test_turns_that_fail_make_it_old(tmp_path: Path) -> None:
    with closing(Heart(tmp_path / "beat")):
        time.sleep(0.05)
        assert listen(tmp_path / "beat").age_s >= 0.05


def test_a_beat_from_before_the_machine_was_started_is_old(tmp_path: Path) -> None:
    (tmp_path / "beat").write_bytes(struct.pack("<dd", 1e12, 1.0))
    assert listen(tmp_path / "beat").age_s == float("inf")
    (tmp_path / "beat").write_bytes(b"half")
    assert listen(tmp_path / "beat").age_s == float("inf")
