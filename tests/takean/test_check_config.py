"""`takean check-config`: every mistake of every file at once, in words that say what to do."""

import json
import re
from pathlib import Path

import pytest

from takean import configuration
from takean.settings import SAMPLE, Settings
from takean.shapes import Mistake

SECRET = "the broker's own"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "config"
    made.mkdir()
    for path in SAMPLE.iterdir():
        (made / path.name).write_bytes(path.read_bytes())
    return made


def change(path: Path, *swaps: tuple[str, str]) -> None:
    text = path.read_text(encoding="utf-8")
    for old, new in swaps:
        assert old in text
        text = text.replace(old, new, 1)
    path.write_text(text, encoding="utf-8")


def mistakes(folder: Path, **environment: str) -> list[Mistake]:
    world, found = configuration.check(folder, folder.parent / "state", environment)
    assert (world is None) == bool(found)
    return list(found)


def texts(folder: Path) -> str:
    return "\n".join(m.text for m in mistakes(folder))


def test_the_sample_may_go_live(folder: Path) -> None:
    assert mistakes(folder) == []
    assert not (folder.parent / "state").exists(), "looking changes nothing"


def test_readings_that_would_leave_too_soon_are_refused(folder: Path) -> None:
    change(folder / "takean.toml", ("journal_days = 30", "journal_days = 3"), ("\ndays = 400", "\ndays = 2"))
    assert [(m.place, m.expected) for m in mistakes(folder)] == [
        ("store, journal_days", "7 or more"),
        ("store, days", "3 or more"),
    ]


def test_three_broken_stations_are_three_messages_each_with_its_place(folder: Path) -> None:
    change(
        folder / "stations.toml",
        ('name = "บ้านทุ่งสว่าง"', "name = 3"),
        ("lat = 14.92141", 'lat = "north"'),
        ("cadence_s = 300", "cadense_s = 300"),
    )
    found = mistakes(folder)
    assert [(m.place, m.expected) for m in found] == [
        ("station WL-03, name", "text in quotes"),
        ("station WL-01, lat", "a number"),
        ("station RF-01, cadense_s", found[2].expected),
        ("station RF-01, cadence_s", "the key cadence_s"),
    ]
    assert "Did you mean cadence_s?" in found[2].do
    assert all(m.file.endswith("stations.toml") and m.do for m in found)


def test_mistakes_of_shape_and_of_meaning_of_all_files_come_together(folder: Path) -> None:
    change(folder / "takean.toml", ("port = 1883", "prot = 1883"))
    change(folder / "stations.toml", ("lon = 104.186", "lon = true"), ("left_m = 4.60", "left_m = -4.60"))
    change(folder / "rules.toml", ("leave = 0.65", "leave = 0.75"), ("up_for_s = 120", "up_for_s = -1"))
    change(folder / "routes.toml", ('release = "one"', 'release = "noone"'), ("expires_s = 21600", "expires_s = -1"))
    said = texts(folder)
    for expected in (
        "takean.toml: mqtt, prot: is not a key",
        "station WL-03, lon: is True; expected a number",
        "station WL-01",
        "must be below enter",
        "up_for_s is -1",
        "release: is 'noone'; expected one of auto, one, two",
    ):
        assert expected in said
    assert "no station measures" not in said, "what follows from another mistake is none of its own"
    assert "no route" not in said


def test_a_rule_of_an_unknown_kind_says_which_there_are(folder: Path) -> None:
    change(folder / "rules.toml", ('kind = "level"', 'kind = "levle"'))
    (found,) = mistakes(folder)
    assert found.place == "rule flood.watch, kind"
    assert "level" in found.expected
    assert "absence" in found.expected


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("rules.toml", b"[[rule]\n", "is not TOML"),
        ("stations.toml", b"\xff\xfe", "is not UTF-8"),
        ("routes.toml", None, "no such file"),
        ("routes.toml", b"", "route: is missing"),
        ("stations.toml", b"place = 3\n", "place: is 3; expected a table"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_mistake_and_the_others_are_read(
    folder: Path, name: str, content: bytes | None, expected: str
) -> None:
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(content)
    change(folder / "takean.toml", ("port = 8080", "port = 80800"))
    said = texts(folder)
    assert expected in said
    assert "web, port: is 80800; expected a port" in said


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("[mqtt]\nenabled = false\n", "no reading could come in"),
        ("[mqtt]\nport = 8080\n", "as of [mqtt]"),
        ('[web]\npublic_url = "takean.example"\n', "http(s)://"),
        ('[web]\nmap = "nowhere.geojson"\n', "nowhere.geojson"),
        ('[broker]\nhost = "b"\nport = 0\n', "broker, port: is 0"),
        ('[broker]\nhost = "b"\npassword_file = "secret"\n', "cannot be read"),
        ('[broker]\nhost = "b"\nca_file = "ca.pem"\n', "ca.pem"),
        ('[broker]\nhost = "b"\nprotocol = "4"\n', "one of 5, 3.1.1"),
    ],
)
def test_settings_that_cannot_work_are_told(folder: Path, lines: str, expected: str) -> None:
    (folder / "takean.toml").write_text(lines + '[world]\nkind = "exercise"\n' if "[world]" not in lines else lines)
    assert expected in texts(folder)


def test_a_broker_takes_its_password_from_the_environment_or_a_file_of_ours_alone(folder: Path) -> None:
    (folder / "takean.toml").write_text(
        '[mqtt]\nenabled = false\n[broker]\nhost = "b"\nusername = "takean"\npassword_file = "secret"\n'
        '[world]\nkind = "exercise"\n'
    )
    world, _ = configuration.check(folder, folder, {"TAKEAN_BROKER_PASSWORD": SECRET})
    assert world is not None
    assert world.broker is not None
    assert (world.mqtt, world.broker.password) == (None, SECRET)
    (folder / "secret").write_text("other\n")
    (folder / "secret").chmod(0o644)
    assert "chmod 600" in texts(folder)
    (folder / "secret").chmod(0o600)
    world, _ = configuration.check(folder, folder, {})
    assert world is not None
    assert world.broker is not None
    assert world.broker.password == "other"
    assert SECRET not in repr(world.broker)


def test_every_setting_is_commented_in_the_sample_and_documented() -> None:
    sample = (SAMPLE / "takean.toml").read_text(encoding="utf-8")
    manual = (SAMPLE.parents[1] / "docs" / "operate.md").read_text(encoding="utf-8")
    assert "`[[serial]]`" in manual
    assert "`[[mirror]]`" in manual
    for table in set(Settings.__struct_fields__) - {"serial", "mirror"}:
        for key in type(getattr(Settings(), table)).__struct_fields__:
            assert re.search(rf"^#? ?{key} = ", sample, re.MULTILINE), f"{table}.{key} is not in the sample"
            assert f"`{table}.{key}`" in manual or f"`{key}`" in manual, f"{table}.{key} is not in operate.md"


def test_the_summary_is_one_object(folder: Path) -> None:
    import msgspec

    world, found = configuration.check(folder, folder, {})
    told = json.loads(msgspec.json.encode(configuration.summary(world, found)))
    assert told["ok"] is True
    assert told["kind"] == "exercise"
    assert told["stations"] == 8
    assert told["ways_in"] == ["mqtt 127.0.0.1:1883"]


def test_a_lorawan_device_that_could_not_be_understood_does_not_go_live(folder: Path) -> None:
    device = '\n[station.device]\nvia = "chirpstack"\nid = "0011223344556677"\nmodel = "DL-TBRG"\n'
    path = folder / "stations.toml"
    path.write_text(path.read_text(encoding="utf-8") + device, encoding="utf-8")
    (mistake,) = mistakes(folder)
    assert "parameters.resolution_mm is missing" in mistake.text
    path.write_text(path.read_text(encoding="utf-8") + "parameters = { resolution_mm = 0.2 }\n", encoding="utf-8")
    assert mistakes(folder) == []
    change(path, ('"DL-TBRG"', '"EM300-TH"'))
    (mistake,) = mistakes(folder)
    assert "no decoder for model 'EM300-TH'" in mistake.text
    assert "EM500-UDL" in mistake.text


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        ('{ reading = "stage_m@nowhere" }', "is none of its sensors"),
        ('{ reading = "stage_m", unit = "ug/m3" }', "does not convert"),
        ('{ reading = "stage_m", unit = "feet" }', "does not convert"),
        ('{ reading = "stage_m", unit = "cm" }', ""),
    ],
)
def test_a_name_of_a_device_that_would_lose_its_readings_does_not_go_live(folder: Path, metric: str, said: str) -> None:
    path = folder / "stations.toml"
    start, end = path.read_text(encoding="utf-8").split("[[station]]", 1)
    device = '\n[station.device]\nvia = "chirpstack"\nid = "0011223344556677"\n[station.device.names]\n'
    device += f'"h.value" = {metric}\n'
    first, *rest = end.split("[[station]]")
    path.write_text("[[station]]".join([start, first + device, *rest]), encoding="utf-8")
    found = [mistake.text for mistake in mistakes(folder)]
    assert len(found) == bool(said)
    assert all(said in text and "h.value" in text for text in found)
