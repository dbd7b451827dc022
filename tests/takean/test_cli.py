"""The commands: clear words and exit codes for the person at the keyboard."""

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from takean import cli
from takean.settings import SAMPLE


class Done(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


Takean = Callable[..., Done]


@pytest.fixture
def takean(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Takean:
    """Runs one command as the shell would, in this process."""

    def run(*words: str, state: Path, config: Path | None = SAMPLE) -> Done:
        monkeypatch.setenv("TAKEAN_STATE", str(state))
        monkeypatch.delenv("TAKEAN_CONFIG", raising=False)
        if config is not None:
            monkeypatch.setenv("TAKEAN_CONFIG", str(config))
        monkeypatch.setattr(sys, "argv", ["takean", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        code = ended.value.code or 0
        assert isinstance(code, int)
        return Done(code, *capfd.readouterr())

    return run


def test_a_user_gets_a_one_time_link_and_a_new_one_on_request(tmp_path: Path, takean: Takean) -> None:
    first = takean("user", "add", "officer-1", "--role", "officer", state=tmp_path)
    again = takean("user", "add", "officer-1", state=tmp_path)
    assert (first.code, again.code) == (0, 0)
    assert first.out.startswith("/invite/")
    assert first.out != again.out
    other = takean("user", "add", "officer-1", "--role", "admin", state=tmp_path)
    assert other.code == 2
    assert "is there as officer" in other.err
    refused = takean("user", "add", "Not A Name", state=tmp_path)
    assert refused.code == 2
    assert "2" in refused.err


def test_a_device_secret_is_printed_once_and_kept_only_as_a_hash(tmp_path: Path, takean: Takean) -> None:
    done = takean("device", "add", "WL-01", state=tmp_path)
    station, secret = done.out.split()
    kept = tmp_path / "devices.exercise.json"
    assert station == "WL-01"
    assert secret not in kept.read_text()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    refused = takean("device", "add", "WL-99", state=tmp_path)
    assert refused.code == 2
    assert "WL-99" in refused.err


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("takean.toml", "port = 1883", "prot = 1883"), "prot"),
        (("rules.toml", "leave = 0.65", "leave = 0.75"), "must be below enter"),
        (("stations.toml", "cadence_s = 120", "cadence_s = -1"), "cadence_s"),
        (("routes.toml", "expires_s = 21600", "expires_s = -1"), "expires_s"),
        (("routes.toml", "level = 3", "level = 2"), "one route"),
    ],
)
def test_a_wrong_configuration_never_goes_live(
    tmp_path: Path, takean: Takean, change: tuple[str, str, str], expected: str
) -> None:
    config = tmp_path / "config"
    config.mkdir()
    for path in SAMPLE.iterdir():
        (config / path.name).write_bytes(path.read_bytes())
    name, old, new = change
    text = (config / name).read_text(encoding="utf-8")
    assert old in text
    (config / name).write_text(text.replace(old, new, 1), encoding="utf-8")
    done = takean("run", config=config, state=tmp_path / "state")
    assert done.code == 2
    assert expected in done.err
    assert name in done.err


def test_a_checked_configuration_is_told_in_words_or_as_one_object(tmp_path: Path, takean: Takean) -> None:
    told = takean("check-config", state=tmp_path)
    assert told.code == 0
    assert "exercise: 8 stations" in told.out
    as_object = takean("check-config", "--json", state=tmp_path)
    assert json.loads(as_object.out)["stations"] == 8
    nowhere = takean("check-config", "--json", state=tmp_path, config=tmp_path / "none")
    assert nowhere.code == 2
    assert [m["found"] for m in json.loads(nowhere.out)["mistakes"]] == ["no such file"] * 4


def test_without_a_configuration_it_says_how_to_begin(tmp_path: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TAKEAN_")}
    done = subprocess.run(
        [sys.executable, "-m", "takean", "run"],
        env=environment,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "TAKEAN_CONFIG" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--record", "nowhere.csv", "--threshold", "critical=4.5"), "no such file"),
        (("--record", "{csv}", "--threshold", "critical"), "critical=4.5"),
        (
            (
                "--record",
                "{csv}",
            ),
            "needs at least one --threshold",
        ),
        (("--record", "{csv}", "--threshold", "panic=4.5"), "watch, warning or critical"),
        (("--record", "{csv}", "--threshold", "critical=0.1"), "above the recording's median"),
        (("--record", "{csv}", "--value", "level_ft", "--threshold", "critical=4.5"), "stage_m"),
        (("--record", "{csv}", "--threshold", "critical=4.5", "--from", "2031-01-01"), "the recording holds"),
        (("--release", "perhaps"), "auto or people"),
    ],
)
def test_a_demonstration_that_cannot_be_given_says_why(
    tmp_path: Path, takean: Takean, words: tuple[str, ...], expected: str
) -> None:
    csv = tmp_path / "gauge.csv"
    csv.write_text("time_utc,stage_m\n2020-01-01T00:00:00Z,1.0\n2020-01-01T00:15:00Z,5.0\n2020-01-01T00:30:00Z,1.0\n")
    filled = [w.replace("{csv}", str(csv)) for w in words]
    done = takean("demo", "--web-port", "0", "--mqtt-port", "0", *filled, state=tmp_path)
    assert done.code == 2, done.err
    assert expected in " ".join(done.err.split())
