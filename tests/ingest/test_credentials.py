"""Secrets of stations."""

import hmac
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from ingest import credentials


def test_the_right_secret_lets_in() -> None:
    secret = credentials.generate()
    known = credentials.with_station(credentials.create(), "WL-01", secret)
    assert credentials.verify(known, "WL-01", secret)


@pytest.mark.parametrize(
    "change", [lambda s: "", lambda s: s[:-1], lambda s: s + "x", str.swapcase, lambda s: "\ud800", lambda s: "รหัส"]
)
def test_another_secret_does_not(change: Callable[[str], str]) -> None:
    secret = credentials.generate()
    known = credentials.with_station(credentials.create(), "WL-01", secret)
    assert not credentials.verify(known, "WL-01", change(secret))


def test_a_secret_belongs_to_one_station() -> None:
    secret = credentials.generate()
    known = credentials.with_station(credentials.create(), "WL-01", secret)
    assert not credentials.verify(known, "WL-02", secret)


def test_nobody_gets_in_by_the_digest_that_stands_for_nobody() -> None:
    assert not credentials.verify(credentials.create(), "WL-01", "")


def test_an_unknown_station_is_hashed_and_compared_like_a_known_one(monkeypatch: pytest.MonkeyPatch) -> None:
    known = credentials.with_station(credentials.create(), "WL-01", "right")
    compared: list[tuple[int, int]] = []
    compare = hmac.compare_digest

    def note(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return compare(one, other)

    monkeypatch.setattr(hmac, "compare_digest", note)
    assert not credentials.verify(known, "WL-01", "wrong")
    assert not credentials.verify(known, "nobody", "wrong")
    assert compared == [(32, 32), (32, 32)]


def test_a_new_secret_makes_the_old_one_void() -> None:
    first = credentials.with_station(credentials.create(), "WL-01", "first")
    second = credentials.with_station(first, "WL-01", "second")
    assert not credentials.verify(second, "WL-01", "first")
    assert credentials.verify(second, "WL-01", "second")


def test_a_station_can_be_shut_out() -> None:
    known = credentials.with_station(credentials.create(), "WL-01", "secret")
    shut = credentials.without_station(credentials.without_station(known, "WL-01"), "never-there")
    assert not credentials.verify(shut, "WL-01", "secret")


def test_a_name_that_is_no_station_is_refused() -> None:
    with pytest.raises(ValueError, match="WL 01"):
        credentials.with_station(credentials.create(), "WL 01", "secret")


def test_secrets_have_128_bits_and_survive_a_shell() -> None:
    made = {credentials.generate() for _ in range(100)}
    assert len(made) == 100
    for secret in made:
        assert len(secret) * 6 >= 128
        assert secret.replace("-", "").replace("_", "").isalnum()


def test_the_file_keeps_no_secret_and_gives_back_who_may_come_in(tmp_path: Path) -> None:
    path = tmp_path / "stations.json"
    secret = credentials.generate()
    credentials.save(path, credentials.with_station(credentials.create(), "WL-01", secret))
    assert secret.encode() not in path.read_bytes()
    loaded = credentials.load(path)
    assert credentials.verify(loaded, "WL-01", secret)
    assert not credentials.verify(loaded, "WL-01", "wrong")


def test_only_the_owner_can_read_the_file(tmp_path: Path) -> None:
    path = tmp_path / "stations.json"
    path.write_text("an older file that anybody could read")
    path.chmod(0o644)
    credentials.save(path, credentials.create())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [left.name for left in tmp_path.iterdir()] == ["stations.json"]


def test_a_save_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "stations.json"
    credentials.save(path, credentials.with_station(credentials.create(), "WL-01", "secret"))

    def full_disk(_: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="no space"):
        credentials.save(path, credentials.create())
    assert credentials.verify(credentials.load(path), "WL-01", "secret")
    assert [left.name for left in tmp_path.iterdir()] == ["stations.json"]


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"{}", b'{"key": "AA==", "digests": {}}', b'{"key": 1, "digests": {}}']
)
def test_a_broken_file_is_said_to_be_broken(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "stations.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"stations\.json"):
        credentials.load(path)


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        credentials.load(tmp_path / "none.json")


def test_neither_key_nor_digests_show_up_in_a_log() -> None:
    known = credentials.with_station(credentials.create(), "WL-01", "secret")
    assert repr(known) == "Credentials()"
