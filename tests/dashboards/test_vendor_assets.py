"""The vendored parts are the ones that were pinned, all of them and nothing else; nothing is fetched from elsewhere."""

import json
import re
from hashlib import sha256
from pathlib import Path

import pytest

from dashboards.pages import FALLBACK_ICON, Pages
from dashboards.vendor_assets import FILES, ICON_MEANINGS, ICONS, WEB, copy_parts, sprite

VENDOR = WEB / "static" / "vendor"
OURS = [
    path
    for folder in (WEB / "templates", WEB / "static" / "css", WEB / "static" / "js")
    for path in sorted(folder.rglob("*"))
    if path.is_file()
]


def listed() -> dict[str, str]:
    parts = json.loads((VENDOR / "vendor.json").read_text(encoding="utf-8"))
    return {name: digest for part in parts for name, digest in part["files"].items()}


def test_every_vendored_file_is_listed_with_its_hash_and_every_listed_file_is_there() -> None:
    there = {
        path.relative_to(VENDOR).as_posix(): sha256(path.read_bytes()).hexdigest()
        for path in VENDOR.rglob("*")
        if path.is_file() and path.name != "vendor.json"
    }
    assert there == listed()


def test_every_part_is_at_its_pinned_version_and_brings_its_licence() -> None:
    pins = json.loads((WEB / "package.json").read_text(encoding="utf-8"))["dependencies"]
    lock = json.loads((WEB / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    parts = {part["name"]: part for part in json.loads((VENDOR / "vendor.json").read_text(encoding="utf-8"))}
    assert parts.keys() == pins.keys() == FILES.keys()
    for name, part in parts.items():
        assert part["version"] == pins[name] == lock[f"node_modules/{name}"]["version"]
        assert part["licence"]
        assert any(file.endswith("LICENSE") for file in part["files"])


def test_the_lock_names_no_host() -> None:
    assert "://" not in (WEB / "package-lock.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.name)
def test_nothing_of_ours_is_fetched_from_another_host(path: Path) -> None:
    text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"\b(https?|wss?):|(src|href|url)\s*[=(]\s*[\"']?//", text)


def test_the_sprite_has_every_icon_we_name(pages: Pages) -> None:
    assert pages.icons == {*ICONS, *ICON_MEANINGS}
    named = {
        name
        for path in (WEB / "templates").rglob("*.html")
        for name in re.findall(r'icon\("([a-z0-9-]+)"', path.read_text(encoding="utf-8"))
    }
    assert named
    assert named <= pages.icons
    assert FALLBACK_ICON in pages.icons


def test_a_sprite_is_cut_from_single_icons(tmp_path: Path) -> None:
    drawing = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><path d="{}" /></svg>'
    for lucide in {*ICONS, *ICON_MEANINGS.values()}:
        (tmp_path / f"{lucide}.svg").write_text(drawing.format(lucide), encoding="utf-8")
    cut = sprite(tmp_path)
    assert '<symbol id="water" viewBox="0 0 24 24"><path d="waves"/></symbol>' in cut
    assert cut.count("<symbol") == len({*ICONS, *ICON_MEANINGS})


def test_a_part_that_lost_a_file_is_refused_by_name(tmp_path: Path) -> None:
    package = tmp_path / "node_modules" / "@fontsource" / "sarabun"
    package.mkdir(parents=True)
    (package / "package.json").write_text('{"version": "1.0.0", "license": "OFL-1.1"}', encoding="utf-8")
    with pytest.raises(FileNotFoundError, match="LICENSE"):
        copy_parts(tmp_path)
