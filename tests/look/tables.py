"""What each picture of the design asks of a running page, as data: `tables/*.toml`, one for each picture."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

FOLDER = Path(__file__).parent
TABLES = FOLDER / "tables"

How = Literal["above", "left of", "inside"]


class Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something in a region, by CSS selector; what is asked of it holds for every visible one."""

    select: str
    style: dict[str, str] = {}
    """CSS property -> computed value; `$name` is a token of `tokens.toml`, `~60px` allows 3 px either way."""
    tap_px: float = 0
    """Least width and height, CSS px."""
    words: list[str] = []
    """Stand in the first one."""


class Region(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One region of a picture: present with what it must be like, or absent with the reason."""

    name: str
    """As in `data-region`."""
    holds: str
    """What the picture shows there."""
    absent: str = ""
    """Why it must not stand on the page: nothing real is behind it."""
    never: list[str] = []
    """Words of an absent region: they stand nowhere on the page, seen or hidden."""
    words: list[str] = []
    style: dict[str, str] = {}
    at: dict[Literal["x", "y", "width", "height", "right", "bottom"], float] = {}
    """Edges in CSS px as pictured, to within 3."""
    part: list[Part] = []


class Order(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which regions follow each other at one width: by the eye, and for those who read or tab through the page."""

    width: int
    height: int
    read: list[str]
    """Regions in the order of the document."""
    place: list[tuple[str, How, str]]
    """(first, how, second)."""


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One picture, and the page that is compared with it."""

    picture: str
    path: str
    """Address of the page."""
    scene: str
    """Of `tests/look/scenes.py`."""
    signed_in: bool
    order: list[Order]
    """The first is the size of the picture; regions are measured at it."""
    region: list[Region]

    @property
    def present(self) -> list[Region]:
        """Regions that stand on the page."""
        return [region for region in self.region if not region.absent]

    @property
    def missing(self) -> list[Region]:
        """Regions that must not."""
        return [region for region in self.region if region.absent]


def tables() -> dict[str, Table]:
    """Every table by the name of its picture.

    Raises
    ------
    msgspec.ValidationError : a table holds what it should not
    """
    return {path.stem: msgspec.toml.decode(path.read_bytes(), type=Table) for path in sorted(TABLES.glob("[!_]*.toml"))}


def tokens() -> Mapping[str, str]:
    """Colours, sizes and the typeface of the design by name."""
    return msgspec.toml.decode((FOLDER / "tokens.toml").read_bytes(), type=dict[str, str])


def computed(value: str, known: Mapping[str, str]) -> str:
    """A value of a table as a browser computes it: tokens filled in, colours as `rgb(r, g, b)`."""
    plain = re.sub(r"\$([\w-]+)", lambda found: known[found[1]], value)
    return re.sub(r"#([0-9a-f]{6})", lambda found: _rgb(found[1]), plain)


def agrees(seen: str, wanted: str) -> bool:
    """Whether a computed value is the wanted one; a leading `~` allows 3 px."""
    if not wanted.startswith("~"):
        return seen == wanted
    try:
        return abs(float(seen.removesuffix("px")) - float(wanted[1:].removesuffix("px"))) <= 3
    except ValueError:
        return False


def _rgb(digits: str) -> str:
    return f"rgb({', '.join(str(int(digits[at : at + 2], 16)) for at in (0, 2, 4))})"
