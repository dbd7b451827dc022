"""Our pages beside the pictures of the design: `python -m tests.look.side_by_side [folder of pictures]`.

Writes to the ignored `build/look/`: our screenshots, copies of the pictures, what differs, and an index of it all. The
pictures are not part of the project: without their folder ours stand alone.
"""

import html
import os
import shutil
import sys
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tests.look.check import Difference, overview
from tests.look.stand import settled, standing
from tests.look.tables import Table, tables

ROOT = Path(__file__).parents[2]
OUT = ROOT / "build" / "look"
PICTURES = Path(os.environ.get("TAKEAN_REFERENCE", ROOT.parent / "shared")) / "design"

STYLE = """body { margin: 16px; background: #e4e8eb; font: 15px/1.5 sans-serif }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 12px; align-items: start } img { width: 100% }"""


def main(pictures: Path = PICTURES) -> None:
    """Draw every page of a table and write the index."""
    OUT.mkdir(parents=True, exist_ok=True)
    sections, listed = [], []
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", chromium_sandbox=False, args=["--font-render-hinting=none"]
        )
        for name, table in tables().items():
            found = _draw(chromium, name, table)
            theirs = pictures / table.picture
            if theirs.is_file():
                shutil.copyfile(theirs, OUT / f"design-{table.picture}")
            sections.append(_section(name, table, found, pictured=theirs.is_file()))
            listed += [f"## {name} ({table.path}, scene {table.scene})", *(f"- {one}" for one in found), ""]
        chromium.close()
    (OUT / "differences.md").write_text("\n".join(listed), encoding="utf-8")
    page = f'<!doctype html><meta charset="utf-8"><title>Look</title><style>{STYLE}</style>{"".join(sections)}'
    (OUT / "index.html").write_text(page, encoding="utf-8")
    sys.stdout.write(f"{OUT / 'index.html'}\n")


def _draw(chromium: Browser, name: str, table: Table) -> list[Difference]:
    """Photograph the page at the size of its picture; what differs."""
    size = table.order[0]
    with (
        standing(table.scene) as at,
        at.page(chromium, size.width, size.height, signed_in=table.signed_in) as page,
    ):
        page.goto(at.url + table.path)
        settled(page)
        found = overview(page, table)
        page.screenshot(path=OUT / f"{name}.png", full_page=not table.signed_in)
    return found


def _section(name: str, table: Table, found: list[Difference], *, pictured: bool) -> str:
    differs = "".join(f"<li>{html.escape(str(one))}" for one in found)
    absent = "".join(f"<li>{html.escape(f'{r.name}: {r.holds}. {r.absent}')}" for r in table.missing)
    design = f'<img src="design-{table.picture}" alt="design">' if pictured else "<p>the picture is not here"
    return (
        f'<h2>{name} {html.escape(table.path)}</h2><div class="pair">{design}<img src="{name}.png" alt="ours"></div>'
        f"<h3>Differs</h3><ul>{differs}</ul><h3>Absent, and why</h3><ul>{absent}</ul>"
    )


if __name__ == "__main__":
    main(*(Path(word) for word in sys.argv[1:2]))
