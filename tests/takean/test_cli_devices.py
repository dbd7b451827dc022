"""The commands for who reports: secrets, networks, newcomers, the silent, the broker's files."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from ingest import credentials
from ingest.networks import Network
from ingest.unregistered import Decoded, Seen, Unregistered
from sensors import stations
from takean import cli, supervise
from takean.alone import alone
from takean.clock import real_us
from takean.settings import SAMPLE
from tests.builders import T0_US


class Done(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


Takean = Callable[..., Done]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    made = tmp_path / "config"
    made.mkdir()
    for path in SAMPLE.iterdir():
        (made / path.name).write_bytes(path.read_bytes())
    return made


@pytest.fixture
def takean(tmp_path: Path, config: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Takean:
    """Runs one command as the shell would, in this process."""

    def run(*words: str) -> Done:
        monkeypatch.setenv("TAKEAN_STATE", str(tmp_path / "state"))
        monkeypatch.setenv("TAKEAN_CONFIG", str(config))
        monkeypatch.setattr(sys, "argv", ["takean", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return Done(int(ended.value.code or 0), *capfd.readouterr())

    return run


def held(tmp_path: Path) -> credentials.Credentials:
    return credentials.load(tmp_path / "state" / "devices.exercise.json")


def test_a_change_of_secrets_waits_for_the_one_before_it(tmp_path: Path, takean: Takean) -> None:
    assert takean("device", "add", "WL-01").code == 0
    path = tmp_path / "state" / "devices.exercise.json"
    with alone(tmp_path / "state"):
        ours = credentials.load(path)
        theirs = subprocess.Popen([sys.executable, "-m", "takean", "device", "add", "WL-02"], stdout=subprocess.PIPE)
        with pytest.raises(subprocess.TimeoutExpired):
            theirs.communicate(timeout=3)
        credentials.save(path, credentials.with_station(ours, "WL-03", "a secret"))
    assert theirs.communicate(timeout=30)[0].startswith(b"WL-02 ")
    assert set(held(tmp_path).digests) == {"WL-01", "WL-02", "WL-03"}


def lets_in(tmp_path: Path, name: str, secret: str, *, days: float = 0.0) -> bool:
    now_us = real_us() + round(days * 86_400e6)
    return credentials.verify(held(tmp_path), name, secret, now_us=now_us)


def test_a_secret_may_be_renewed_with_or_without_the_one_before_it(tmp_path: Path, takean: Takean) -> None:
    first = takean("device", "add", "WL-01").out.split()[1]
    second = takean("device", "add", "WL-01", "--keep-old").out.split()[1]
    assert lets_in(tmp_path, "WL-01", first, days=29)
    assert not lets_in(tmp_path, "WL-01", first, days=31)
    assert lets_in(tmp_path, "WL-01", second, days=31)
    assert "an older secret until" in takean("device", "list").out
    assert takean("device", "remove", "--old", "WL-01").code == 0
    assert not lets_in(tmp_path, "WL-01", first)
    takean("device", "add", "WL-01")
    assert not lets_in(tmp_path, "WL-01", second)
    assert takean("device", "remove", "WL-01").code == 0
    again = takean("device", "remove", "WL-01")
    assert (again.code, "has no secret" in again.err) == (2, True)


def test_a_device_may_be_let_in_before_its_station_is_written(tmp_path: Path, takean: Takean) -> None:
    refused = takean("device", "add", "WL-99")
    assert (refused.code, "--unregistered" in refused.err) == (2, True)
    name, secret = takean("device", "add", "WL-99", "--unregistered").out.split()
    assert lets_in(tmp_path, name, secret)
    told = takean("device", "list").out
    assert "WL-99  station, not registered" in told
    assert "WL-01  station, no secret" in told


def test_a_network_is_given_a_secret_and_its_bounds(tmp_path: Path, takean: Takean) -> None:
    name, secret = takean("network", "add", "river", "--via", "sparkplug", "--group", "กลุ่ม").out.split()
    assert lets_in(tmp_path, name, secret)
    takean("network", "add", "gw", "--via", "stations", "--station", "WL-01", "--station", "WL-02")
    assert held(tmp_path).networks == {
        "river": Network(via="sparkplug", group="กลุ่ม"),
        "gw": Network(via="stations", stations=("WL-01", "WL-02")),
    }
    assert "gw  network stations WL-01, WL-02" in takean("device", "list").out
    for words, expected in (
        (("WL-01", "--via", "chirpstack"), "is a station"),
        (("n", "--via", "sparkplug"), "group id is expected"),
    ):
        refused = takean("network", "add", *words)
        assert (refused.code, expected in refused.err) == (2, True), refused.err


def test_newcomers_are_told_and_adopted_without_obeying_what_they_write(
    tmp_path: Path, config: Path, takean: Takean
) -> None:
    assert "nobody" in takean("station", "unregistered").out
    readings = (Decoded("stage_m", 1.25, T0_US), Decoded("\x1b[31m[bold]red", None, T0_US))
    listed = Unregistered(tmp_path / "state" / "unregistered.exercise.sqlite")
    listed.put([Seen(via="own", id="WL-09", first_us=T0_US, last_us=T0_US, count=3, topic="t", client="c",
                     readings=readings)])  # fmt: skip
    listed.close()
    told = takean("station", "unregistered").out
    assert "WL-09  own, 13:50 น. 22 พ.ย. 2569, 3 times" in told
    assert "stage_m = 1.25" in told
    assert "\x1b" not in told
    assert "[31m[bold]red = -" in told
    (as_object,) = json.loads(takean("station", "unregistered", "--json").out)["unregistered"]
    assert as_object["readings"][0] == {"name": "stage_m", "value": 1.25, "time_us": T0_US}

    words = ("station", "adopt", "WL-09", "--name", "สะพานใหม่", "--like", "WL-01")
    assert "nothing was written" in takean(*words, "--dry-run").out
    done = takean(*words)
    assert (done.code, "taken at the next start" in done.out) == (0, True)
    assert stations.load(config / "stations.toml").stations["WL-09"].name == "สะพานใหม่"
    again = takean(*words)
    assert (again.code, "is in stations.toml already" in again.err) == (2, True)
    for option, expected in (("--read", "level=stage_m:cm"), ("--parameter", "NAME=NUMBER")):
        refused = takean(*words, option, "nonsense")
        assert (refused.code, expected in refused.err) == (2, True)


def test_what_asks_the_running_platform_says_that_none_runs(takean: Takean) -> None:
    for words in (("station", "silent"), ("reload",)):
        done = takean(*words)
        assert (done.code, bool(done.err)) == (1, True), words


def test_a_configuration_with_a_mistake_is_not_taken(
    config: Path, takean: Takean, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Path] = []

    def reload(folder: Path) -> bool:
        told.append(folder)
        return True

    monkeypatch.setattr(supervise, "reload", reload)
    assert takean("reload").code == 0
    (config / "rules.toml").write_text("broken")
    assert takean("reload").code == 2
    assert len(told) == 1


def test_the_broker_is_given_its_files(tmp_path: Path, takean: Takean) -> None:
    takean("device", "add", "WL-01")
    takean("network", "add", "ns", "--via", "chirpstack")
    done = takean("broker", "config", "--out", str(tmp_path / "out"), "--host", "gauge.example.org")
    assert done.code == 0, done.err
    assert 'host = "gauge.example.org"' in done.out
    assert 'topics = ["application/+/device/+/event/up"]' in done.out
    made = {path.name for path in (tmp_path / "out").iterdir()}
    assert made == {"takean.passwd", "takean.acl", "mosquitto.conf", "ca.crt", "server.crt", "server.key"}
    users = [line.split(":")[0] for line in (tmp_path / "out" / "takean.passwd").read_text().splitlines()]
    assert users == ["takean", "WL-01", "ns"]
    assert "topic write takean/drill/v1/WL-01/data" in (tmp_path / "out" / "takean.acl").read_text()
