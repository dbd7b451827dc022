"""Render the pages: a Jinja2 environment that escapes everything and refuses undefined names."""

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from dataclasses import asdict, is_dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from dashboards.vendor_assets import SPRITE

WEB = Path(__file__).parent / "web"
STATIC_URL = "/static"

LEVEL_CLASSES = {-2: "none", -1: "fault", 0: "normal", 1: "watch", 2: "warning", 3: "critical"}
"""Level -> CSS word. -2 nothing ever heard, -1 fault; never one of the four danger levels."""

FALLBACK_ICON = "info"
"""Drawn for an id that is not in the sprite: a wrong icon must never take a warning off the screen."""

# Thai is written without spaces, so Chromium may break inside a name; and a number must not leave its unit.
_UNITS = "เซนติเมตร|เมตร|ชั่วโมง|นาที|ครัวเรือน|สถานี|ข้อความ|ซม.|มม.|กม.|ชม.|ม.|น.|คน|mm|cm|km|min|m|h|µg/m³|%"
_UNIT = f"(?:{_UNITS.replace('.', '[.]')})(?:/(?:ชม|ลบ[.]ม)[.])?"
_VILLAGES = r"หมู่ \d+(?:(?:, ?|–)\d+)*"
_AMOUNT = re.compile(rf"{_VILLAGES}|[(]?[A-Z]+-\d+[)]?|(?:เกณฑ์ )?[+−-]?\d[\d.,:–-]*\s?{_UNIT}|\d[\d.:,]+\d")


class Pages:
    """The templates of `web/templates`, and what they may call."""

    def __init__(self, *, no_break: Iterable[str] = ()) -> None:
        """Load the templates.

        Parameters
        ----------
        no_break : names that must not be broken over two lines: villages, streams, stations
        """
        self.static_dir = WEB / "static"
        self._hashes: dict[str, str] = {}
        self._icons = _read_sprite(self.static_dir / "vendor" / SPRITE)
        names = sorted({name for name in no_break if name}, key=len, reverse=True)
        self._names = re.compile("|".join(map(re.escape, names))) if names else None
        self._jinja = Environment(
            loader=FileSystemLoader(WEB / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._jinja.filters.update(nb=self.keep_together, json=to_json, level_class=level_class)
        self._jinja.globals.update(static=self.static, icon=self.icon)

    @property
    def icons(self) -> frozenset[str]:
        """Ids of the sprite, for whoever fills a view."""
        return frozenset(self._icons)

    def render(self, template: str, **values: Any) -> str:
        """Render one template, or one partial as a live fragment.

        Raises
        ------
        jinja2.TemplateNotFound : no such file under web/templates
        jinja2.UndefinedError : the template needs a value that was not given
        """
        return self._jinja.get_template(template).render(**values)

    def static(self, path: str) -> str:
        """Give the address of a static file, with a hash of its content so that it may be cached for ever.

        Raises
        ------
        FileNotFoundError : the file is not under web/static
        """
        if path not in self._hashes:
            self._hashes[path] = sha256((self.static_dir / path).read_bytes()).hexdigest()[:12]
        return f"{STATIC_URL}/{path}?v={self._hashes[path]}"

    def icon(self, name: str, css: str = "") -> Markup:
        """Draw one icon of the sprite in place: no further request, also without scripts. Hidden from readers aloud."""
        shapes = self._icons.get(name) or self._icons[FALLBACK_ICON]
        head = Markup('<svg class="{}" viewBox="0 0 24 24" aria-hidden="true">').format(f"icon {css}".strip())
        return head + shapes + Markup("</svg>")

    def keep_together(self, text: str) -> Markup:
        """Wrap names and amounts with their unit so that no line breaks inside them; escapes the rest."""
        spans = [m.span() for m in self._names.finditer(text)] if self._names else []
        spans += [
            m.span()
            for m in _AMOUNT.finditer(text)
            if not any(start < m.end() and m.start() < end for start, end in spans)
        ]
        out, at = Markup(), 0
        for start, end in sorted(spans):
            out += escape(text[at:start]) + Markup('<span class="nb">{}</span>').format(text[start:end])
            at = end
        return out + escape(text[at:])


def level_class(level: int) -> str:
    """Name the CSS class of a level, `level-warning`."""
    return f"level-{LEVEL_CLASSES[level]}"


def to_json(value: Any) -> str:
    """Encode view values for a data attribute; the template escapes it."""
    return json.dumps(value, ensure_ascii=False, default=_plain, separators=(",", ":"))


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"cannot write {type(value).__name__} to a page; give views and plain values only")


def _read_sprite(path: Path) -> dict[str, Markup]:
    """Read the shapes of every symbol of our own vendored sprite."""
    ET.register_namespace("", "http://www.w3.org/2000/svg")
    root = ET.parse(path).getroot()  # noqa: S314  (our file, listed with its hash in vendor.json)
    return {
        symbol.attrib["id"]: Markup(  # noqa: S704
            "".join(
                Markup("<{}{}/>").format(
                    shape.tag.rpartition("}")[2],
                    Markup("").join(Markup(' {}="{}"').format(*item) for item in shape.attrib.items()),
                )
                for shape in symbol
            )
        )
        for symbol in root
    }
