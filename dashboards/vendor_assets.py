"""Fetch the pinned browser parts and copy the few files we serve: `python -m dashboards.vendor_assets`.

The copies in `web/static/vendor` are committed, so neither node nor a registry is needed to run Takean.
"""

import json
import shutil
import subprocess
import xml.etree.ElementTree as ET
from hashlib import sha256
from pathlib import Path

WEB = Path(__file__).parent / "web"

FILES: dict[str, dict[str, str]] = {
    "@fontsource/sarabun": {
        "LICENSE": "sarabun/LICENSE",
        **{
            f"files/sarabun-{script}-{weight}-normal.woff2": f"sarabun/sarabun-{script}-{weight}.woff2"
            for script in ("thai", "latin")
            for weight in (400, 600, 700)
        },
    },
    "htmx.org": {"LICENSE": "htmx/LICENSE", "dist/htmx.min.js": "htmx/htmx.min.js"},
    "htmx-ext-sse": {"LICENSE": "htmx-ext-sse/LICENSE", "dist/sse.min.js": "htmx-ext-sse/sse.min.js"},
    "leaflet": {
        "LICENSE": "leaflet/LICENSE",
        "dist/leaflet.js": "leaflet/leaflet.js",
        "dist/leaflet.css": "leaflet/leaflet.css",
    },
    "lucide-static": {"LICENSE": "lucide/LICENSE"},
}
"""Package -> {path in the package: path under static/vendor}. Each takes its licence text along."""

LICENCE_NOT_IN_PACKAGE = {"htmx-ext-sse": "0BSD"}
"""SPDX names read from the LICENSE file of packages whose package.json has none."""

SPRITE = "lucide/sprite.svg"

ICON_MEANINGS: dict[str, str] = {
    "water": "waves",
    "flood": "waves",
    "rain": "cloud-rain-wind",
    "air": "wind",
    "smoke": "wind",
    "station": "radio-tower",
    "lost": "wifi-off",
}
"""Sprite id -> lucide icon, for things that have a meaning of their own; other ids are lucide's names."""

ICON_NAMES = """
a-large-small activity arrow-down arrow-right arrow-up backpack ban battery-warning bell bell-ring car
check chevron-down chevron-up circle-check circle-question-mark clock cloud-rain droplets eye flame footprints
globe heart-pulse history house info key-round languages layers link-2-off locate-fixed log-out map
map-pin megaphone message-square minus octagon-alert package phone plus radio-tower refresh-cw school
send shield-alert siren smartphone tent triangle-alert unplug user users waves wifi-off wind x zap-off
"""
ICONS = tuple(ICON_NAMES.split())


def sprite(icons_dir: Path) -> str:
    """Join the icons we use into one SVG of symbols; stroke and fill come from the page's `.icon` class."""
    symbols = []
    for name, lucide in sorted({**{icon: icon for icon in ICONS}, **ICON_MEANINGS}.items()):
        # The files are lucide's, pinned by an integrity hash in package-lock.json.
        svg = ET.fromstring((icons_dir / f"{lucide}.svg").read_text(encoding="utf-8"))  # noqa: S314
        shapes = "".join(
            f"<{shape.tag.rpartition('}')[2]} "
            + " ".join(f'{key}="{value}"' for key, value in shape.attrib.items())
            + "/>"
            for shape in svg
        )
        symbols.append(f'<symbol id="{name}" viewBox="0 0 24 24">{shapes}</symbol>')
    return '<svg xmlns="http://www.w3.org/2000/svg">\n' + "\n".join(symbols) + "\n</svg>\n"


def copy_parts(web: Path = WEB) -> None:
    """Replace `static/vendor` by the listed files of `node_modules`, the sprite, and `vendor.json`.

    Raises
    ------
    FileNotFoundError : a listed file or icon is not in the installed package; correct FILES or ICONS
    """
    modules, vendor = web / "node_modules", web / "static" / "vendor"
    shutil.rmtree(vendor, ignore_errors=True)
    parts = []
    for package, files in FILES.items():
        about = json.loads((modules / package / "package.json").read_text(encoding="utf-8"))
        for source, target in files.items():
            (vendor / target).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(modules / package / source, vendor / target)
        if package == "lucide-static":
            (vendor / SPRITE).write_text(sprite(modules / package / "icons"), encoding="utf-8")
        targets = [*files.values(), *([SPRITE] if package == "lucide-static" else [])]
        parts.append(
            {
                "name": package,
                "version": about["version"],
                "licence": about.get("license") or LICENCE_NOT_IN_PACKAGE[package],
                "files": {target: sha256((vendor / target).read_bytes()).hexdigest() for target in targets},
            }
        )
    (vendor / "vendor.json").write_text(json.dumps(parts, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def main() -> None:
    """Install exactly what package-lock.json pins, running none of its scripts, and copy."""
    npm = shutil.which("npm")
    if npm is None:
        raise SystemExit("vendor_assets needs npm (apt-get install npm) to fetch what package-lock.json pins")
    subprocess.run([npm, "ci", "--ignore-scripts"], cwd=WEB, check=True)  # noqa: S603  (fixed words)
    copy_parts()


if __name__ == "__main__":
    main()
