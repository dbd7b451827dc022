"""Compare a running page with the table of its picture, by what the browser computed."""

from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Page

from tests.look.tables import How, Order, Region, Table, agrees, computed, tokens

NEAR_PX = 3.0
"""Edges may differ by so much: borders and rounding, nothing an eye would see."""

_LOOK = """([name, styles, parts]) => {
  const seen = (e) => { const r = e.getBoundingClientRect(); return r.width > 1 && r.height > 1; };
  const about = (e, names) => {
    const r = e.getBoundingClientRect(), css = getComputedStyle(e);
    return {
      box: {x: r.x, y: r.y, width: r.width, height: r.height, right: r.right, bottom: r.bottom},
      style: Object.fromEntries(names.map((n) => [n, css.getPropertyValue(n)])),
      text: e.innerText ?? e.textContent,
    };
  };
  const root = [...document.querySelectorAll(`[data-region="${name}"]`)].find(seen);
  if (!root) return null;
  return {
    ...about(root, styles),
    parts: parts.map(([select, names]) => [...root.querySelectorAll(select)].filter(seen).map((e) => about(e, names))),
  };
}"""

_READ = """(names) => {
  const found = names.map((name) => document.querySelector(`[data-region="${name}"]`));
  return found.map((e, i) => {
    const next = found[i + 1];
    return !e || !next || Boolean(e.compareDocumentPosition(next) & Node.DOCUMENT_POSITION_FOLLOWING);
  });
}"""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as pictured."""

    where: str
    seen: str
    expected: str

    def __str__(self) -> str:
        return f"{self.where}: {self.seen}, expected {self.expected}"


def differences(page: Page, region: Region) -> list[Difference]:
    """Everything about one present region that is not as its table says; empty when it is as pictured."""
    seen = page.evaluate(_LOOK, [region.name, list(region.style), [[p.select, list(p.style)] for p in region.part]])
    where = f'[data-region="{region.name}"]'
    if seen is None:
        return [Difference(where, "not on the page", region.holds)]
    found = [
        Difference(f"{where} {edge}", f"{seen['box'][edge]:.1f} px", f"{wanted:g} px")
        for edge, wanted in region.at.items()
        if abs(seen["box"][edge] - wanted) > NEAR_PX
    ]
    found += _words(where, seen["text"], region.words)
    found += _style(where, seen["style"], region.style)
    for part, there in zip(region.part, seen["parts"], strict=True):
        inside = f"{where} {part.select}"
        if not there:
            found.append(Difference(inside, "not on the page", "one at least"))
            continue
        found += _words(inside, there[0]["text"], part.words)
        for one in there:
            found += _style(inside, one["style"], part.style)
            found += _tap(inside, one, part.tap_px)
    return list(dict.fromkeys(found))


def intruders(page: Page, region: Region) -> list[Difference]:
    """What stands on the page of a region that must be absent."""
    where = f'[data-region="{region.name}"]'
    there = page.locator(where).count()
    found = [Difference(where, f"{there} on the page", f"none: {region.absent}")] if there else []
    text = page.evaluate("document.body.textContent")
    found += [
        Difference(where, f"the words {words!r}", f"none: {region.absent}") for words in region.never if words in text
    ]
    return found


def disorder(page: Page, order: Order) -> list[Difference]:
    """Regions that do not follow each other as they should at this size."""
    in_order = page.evaluate(_READ, order.read)
    found = [
        Difference(f"reading order at {order.width} px", f"{later} comes before {first}", f"{first}, then {later}")
        for first, later, right in zip(order.read, order.read[1:], in_order, strict=False)
        if not right
    ]
    for first, how, second in order.place:
        one, other = _box(page, first), _box(page, second)
        if one is None or other is None:
            found.append(Difference(f"{first} {how} {second}", "not both on the page", "both"))
        elif not _stands(one, how, other):
            found.append(Difference(f"{first} {how} {second} at {order.width} px", f"{one} and {other}", how))
    return found


def overview(page: Page, table: Table) -> list[Difference]:
    """Everything that differs at the size of the picture."""
    found = [one for region in table.present for one in differences(page, region)]
    found += [one for region in table.missing for one in intruders(page, region)]
    return found + disorder(page, table.order[0])


def _words(where: str, text: str, wanted: list[str]) -> list[Difference]:
    plain = " ".join(text.split())
    return [Difference(where, f"{plain[:80]!r}", f"the words {words!r}") for words in wanted if words not in plain]


def _style(where: str, seen: dict[str, str], wanted: dict[str, str]) -> list[Difference]:
    known = tokens()
    return [
        Difference(f"{where} {name}", seen[name], computed(value, known))
        for name, value in wanted.items()
        if not agrees(seen[name], computed(value, known))
    ]


def _tap(where: str, one: dict[str, Any], least_px: float) -> list[Difference]:
    width, height = one["box"]["width"], one["box"]["height"]
    if min(width, height) >= least_px - 0.01:
        return []
    name = " ".join(one["text"].split())[:30]
    return [Difference(f"{where} {name!r}", f"{width:.0f} x {height:.0f} px", f"at least {least_px:g} px each way")]


def _box(page: Page, name: str) -> dict[str, float] | None:
    seen = page.evaluate(_LOOK, [name, [], []])
    return None if seen is None else {edge: round(px, 1) for edge, px in seen["box"].items()}


def _stands(one: dict[str, float], how: How, other: dict[str, float]) -> bool:
    if how == "above":
        return one["bottom"] <= other["y"] + NEAR_PX
    if how == "left of":
        return one["right"] <= other["x"] + NEAR_PX
    return (
        one["x"] >= other["x"] - NEAR_PX
        and one["right"] <= other["right"] + NEAR_PX
        and one["y"] >= other["y"] - NEAR_PX
        and one["bottom"] <= other["bottom"] + NEAR_PX
    )
