"""What stations.toml says is kept to be read at once: of this very text, whole, or not at all."""

import stat
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from takean import configuration, kept, places, shapes
from takean.configuration import StationsFile
from takean.settings import SAMPLE
from takean.shapes import Read
from tests.builders import thorough

TEXT = (SAMPLE / "stations.toml").read_text(encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "stations.toml").write_text(TEXT, encoding="utf-8")
    return tmp_path


def read(folder: Path) -> Read[StationsFile]:
    return shapes.read(
        folder / "stations.toml", StationsFile, sample=SAMPLE / "stations.toml", kept_at=folder / "stations.kept"
    )


def no_toml(_: str) -> dict[str, object]:
    pytest.fail("the file was read as TOML")


def test_what_was_read_once_is_there_at_once_and_the_same(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = read(folder)
    assert stat.S_IMODE((folder / "stations.kept").stat().st_mode) == 0o600
    monkeypatch.setattr("tomllib.loads", no_toml)
    assert read(folder) == first
    assert first.value is not None
    assert len(first.value.station) == 8
    assert sorted(p.name for p in folder.iterdir()) == ["stations.kept", "stations.toml"]


def test_a_file_that_was_changed_is_read(folder: Path) -> None:
    read(folder)
    changed = TEXT.replace("cadence_s = 300", "cadence_s = 301", 1)
    (folder / "stations.toml").write_text(changed, encoding="utf-8")
    again = read(folder)
    assert again.value is not None
    assert 301.0 in [s.cadence_s for s in again.value.station]
    assert again == read(folder)


def test_of_a_file_with_mistakes_nothing_is_kept(folder: Path) -> None:
    (folder / "stations.toml").write_text(TEXT.replace("cadence_s", "cadense_s", 1), encoding="utf-8")
    assert len(read(folder).mistakes) == 2
    assert not (folder / "stations.kept").exists()


@given(data=st.data())
@thorough(100)
def test_a_form_with_any_damage_is_not_believed(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.kept"
    kept.keep(path, TEXT, msgspec.toml.decode(TEXT))
    held = path.read_bytes()
    assert kept.find(path, TEXT, StationsFile) is not None
    at = data.draw(st.integers(0, len(held) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda b: b != held[at]))
    cut = data.draw(st.sampled_from((held[:at], held[:at] + bytes([byte]) + held[at + 1 :], held + bytes([byte]))))
    path.write_bytes(cut)
    assert kept.find(path, TEXT, StationsFile) is None


def test_a_form_of_another_text_or_for_another_type_is_not_believed(tmp_path: Path) -> None:
    class Other(msgspec.Struct, forbid_unknown_fields=True):
        place: str

    path = tmp_path / "stations.kept"
    kept.keep(path, TEXT, msgspec.toml.decode(TEXT))
    assert kept.find(path, TEXT + " ", StationsFile) is None
    assert kept.find(path, TEXT, Other) is None


def test_where_nothing_can_be_kept_the_file_is_read_all_the_same(folder: Path) -> None:
    (folder / "stations.kept").mkdir()
    assert read(folder).mistakes == []
    assert sorted(p.name for p in folder.iterdir()) == ["stations.kept", "stations.toml"]
    kept.keep(folder / "nowhere" / "stations.kept", TEXT, {})
    kept.keep(folder / "large.kept", TEXT, {"number": 1 << 64})
    assert not list(folder.glob("large*"))


def test_a_world_is_the_same_from_both(tmp_path: Path) -> None:
    first = configuration.load(SAMPLE, tmp_path, {})
    assert places.stations_kept(tmp_path).exists()
    again = configuration.load(SAMPLE, tmp_path, {})
    assert again.registry.stations == first.registry.stations
    assert again.registry.series == first.registry.series
