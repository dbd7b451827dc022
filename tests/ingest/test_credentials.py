"""Secrets of stations and networks."""

import base64
import hmac
import os
import stat
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ingest import credentials
from ingest.credentials import Credentials, Keys
from ingest.networks import Network

NOW_US = 1_795_330_200_000_000
GATEWAY = Network(via="stations", stations=("WL-01", "WL-02"))


def let_in(known: Credentials, name: str, secret: str, now_us: int = NOW_US) -> bool:
    return credentials.verify(known, name, secret, now_us=now_us)


def two_secrets() -> Credentials:
    first = credentials.with_station(credentials.create(), "WL-01", "first")
    return credentials.with_station(first, "WL-01", "second", keep_old_until_us=NOW_US + 10)


def test_the_right_secret_lets_in() -> None:
    secret = credentials.generate()
    known = credentials.with_station(credentials.create(), "WL-01", secret)
    assert let_in(known, "WL-01", secret)


@pytest.mark.parametrize(
    "change", [lambda s: "", lambda s: s[:-1], lambda s: s + "x", str.swapcase, lambda s: "\ud800", lambda s: "รหัส"]
)
def test_another_secret_does_not(change: Callable[[str], str]) -> None:
    secret = credentials.generate()
    known = credentials.with_station(credentials.create(), "WL-01", secret)
    assert not let_in(known, "WL-01", change(secret))


def test_a_secret_belongs_to_one_station() -> None:
    secret = credentials.generate()
    known = credentials.with_station(credentials.create(), "WL-01", secret)
    assert not let_in(known, "WL-02", secret)


def test_nobody_gets_in_by_the_digest_that_stands_for_nobody() -> None:
    assert not let_in(credentials.create(), "WL-01", "")


def test_an_unknown_station_is_hashed_and_compared_like_a_known_one(monkeypatch: pytest.MonkeyPatch) -> None:
    known = credentials.with_station(credentials.create(), "WL-01", "right")
    compared: list[tuple[int, int]] = []
    compare = hmac.compare_digest

    def note(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return compare(one, other)

    monkeypatch.setattr(hmac, "compare_digest", note)
    assert not let_in(known, "WL-01", "wrong")
    assert not let_in(known, "nobody", "wrong")
    assert compared == [(32, 32)] * 4


def test_a_new_secret_makes_the_old_one_void() -> None:
    first = credentials.with_station(credentials.create(), "WL-01", "first")
    second = credentials.with_station(first, "WL-01", "second")
    assert not let_in(second, "WL-01", "first")
    assert let_in(second, "WL-01", "second")


def test_a_station_can_be_shut_out() -> None:
    known = credentials.with_station(credentials.create(), "WL-01", "secret")
    shut = credentials.without(credentials.without(known, "WL-01"), "never-there")
    assert not let_in(shut, "WL-01", "secret")


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
    assert let_in(loaded, "WL-01", secret)
    assert not let_in(loaded, "WL-01", "wrong")


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
    assert let_in(credentials.load(path), "WL-01", "secret")
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


def test_an_older_secret_that_is_kept_lets_in_until_its_time() -> None:
    known = two_secrets()
    assert let_in(known, "WL-01", "second")
    assert let_in(known, "WL-01", "first", NOW_US + 9)
    assert not let_in(known, "WL-01", "first", NOW_US + 10)
    assert not let_in(credentials.without_old(known, "WL-01"), "WL-01", "first")


def test_a_third_secret_ends_both_before_it() -> None:
    known = credentials.with_station(two_secrets(), "WL-01", "third")
    assert [let_in(known, "WL-01", secret) for secret in ("first", "second", "third")] == [False, False, True]


def test_a_network_has_a_secret_of_its_own_and_a_name_of_its_own() -> None:
    known = credentials.with_network(credentials.create(), "GW-1", GATEWAY, "secret")
    assert let_in(known, "GW-1", "secret")
    assert not let_in(known, "WL-01", "secret")
    with pytest.raises(ValueError, match="is a network"):
        credentials.with_station(known, "GW-1", "other")
    with pytest.raises(ValueError, match="is a station"):
        credentials.with_network(credentials.with_station(known, "WL-01", "own"), "WL-01", GATEWAY, "other")


@pytest.mark.parametrize(
    ("name", "network", "expected"),
    [
        ("GW 1", GATEWAY, "a name is 1 to 32"),
        ("ns", Network(via="sparkplug"), "group id is expected"),
        ("ns", Network(via="sparkplug", group="a/+"), "group id is expected"),
        ("ns", Network(via="sparkplug", group="a\ntopic write #"), "group id is expected"),
        ("ns", Network(via="chirpstack", group="a"), "only sparkplug has a group"),
        ("ns", Network(via="stations"), "names no station"),
        ("ns", Network(via="stations", stations=("WL/01",)), "cannot be a station"),
        ("ns", Network(via="chirpstack", stations=("WL-01",)), "stand in stations.toml"),
    ],
)
def test_a_network_that_says_too_much_or_too_little_is_refused(name: str, network: Network, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        credentials.with_network(credentials.create(), name, network, "secret")


def test_everything_in_the_file_is_given_back(tmp_path: Path) -> None:
    path = tmp_path / "devices.json"
    known = credentials.with_network(two_secrets(), "GW-1", GATEWAY, "secret")
    credentials.save(path, known)
    assert credentials.load(path) == known


def test_a_file_of_an_older_version_is_read_and_written_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "devices.json"
    key, kept = b"k" * 32, credentials.digest(b"k" * 32, "secret")
    key64, kept64 = base64.b64encode(key).decode(), base64.b64encode(kept).decode()
    path.write_text(f'{{"key":"{key64}","digests":{{"WL-01":"{kept64}"}}}}')
    before = path.read_bytes()
    known = credentials.load(path)
    assert let_in(known, "WL-01", "secret")
    credentials.save(path, known)
    assert path.read_bytes() == before


def test_a_file_of_a_newer_version_is_said_to_be_so(tmp_path: Path) -> None:
    path = tmp_path / "devices.json"
    credentials.save(path, credentials.create())
    path.write_bytes(path.read_bytes()[:-1] + b',"certificates":{}}')
    with pytest.raises(ValueError, match="a newer Takean wrote it"):
        credentials.load(path)


def test_a_broker_is_given_the_hash_that_mosquitto_passwd_makes(tmp_path: Path) -> None:
    theirs = tmp_path / "passwd"
    subprocess.run(["mosquitto_passwd", "-b", "-c", theirs, "WL-01", "secret"], check=True)
    name, _, made = theirs.read_text().strip().partition(":")
    salt = base64.b64decode(made.split("$")[3])
    assert (name, credentials.broker_hash("secret", salt)) == ("WL-01", made)


def test_whoever_is_in_by_a_secret_that_ended_is_named(tmp_path: Path) -> None:
    path = tmp_path / "devices.json"
    keys = Keys(credentials.with_station(credentials.create(), "WL-01", "first"), path)
    assert keys.refresh() == set(), "there is no file yet"
    known = credentials.with_station(keys.now, "WL-02", "of another")
    steps = [
        (credentials.with_station(known, "WL-03", "new"), set()),
        (credentials.with_station(known, "WL-01", "second", keep_old_until_us=NOW_US), {"WL-03"}),
        (credentials.with_station(known, "WL-01", "third"), {"WL-01"}),
        (credentials.without(known, "WL-02"), {"WL-01", "WL-02"}),
        (credentials.with_network(known, "GW-1", GATEWAY, "s"), set()),
    ]
    for after, ended in steps:
        credentials.save(path, after)
        assert keys.refresh() == ended
        assert keys.now == after
    assert keys.refresh() == set(), "nothing has changed"


def test_a_network_with_other_rights_must_come_again(tmp_path: Path) -> None:
    known = credentials.with_network(credentials.create(), "GW-1", GATEWAY, "secret")
    narrowed = replace(known, networks={"GW-1": Network(via="stations", stations=("WL-01",))})
    assert credentials.revoked(known, narrowed) == {"GW-1"}


def test_a_file_that_breaks_while_we_run_locks_nobody_out(tmp_path: Path) -> None:
    path = tmp_path / "devices.json"
    keys = Keys(credentials.with_station(credentials.create(), "WL-01", "first"), path)
    path.write_text("{")
    assert keys.refresh() == set()
    assert let_in(keys.now, "WL-01", "first")
    path.unlink()
    assert keys.refresh() == set()
    assert let_in(keys.now, "WL-01", "first")
