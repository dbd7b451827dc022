"""Each page of a picture of the design, compared with the picture's table by what Chromium computed."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from playwright.sync_api import Page

from tests.look.check import Difference, differences, disorder, intruders
from tests.look.tables import Order, Region, Table, tables

pytestmark = pytest.mark.browser

TABLES = tables()
REGIONS_FILE = Path(__file__).parents[2] / "dashboards" / "web" / "regions.toml"


PRESENT = [pytest.param(t, r, id=f"{name}-{r.name}") for name, t in TABLES.items() for r in t.present]
MISSING = [pytest.param(t, r, id=f"{name}-{r.name}") for name, t in TABLES.items() for r in t.missing]
ORDERS = [pytest.param(t, o, id=f"{name}-{o.width}") for name, t in TABLES.items() for o in t.order]


def expect_none(found: list[Difference]) -> None:
    assert not found, "\n".join(map(str, found))


@pytest.fixture(scope="module")
def shown(look: Callable[..., Page]) -> Callable[[Table, Order], Page]:
    """The page of a table at one of its sizes."""
    return lambda table, order: look(table.scene, table.path, order.width, order.height, signed_in=table.signed_in)


@pytest.mark.parametrize(("table", "region"), PRESENT)
def test_a_region_is_as_pictured(shown: Callable[[Table, Order], Page], table: Table, region: Region) -> None:
    expect_none(differences(shown(table, table.order[0]), region))


@pytest.mark.parametrize(("table", "region"), MISSING)
def test_what_has_nothing_real_behind_it_is_not_on_the_page(
    shown: Callable[[Table, Order], Page], table: Table, region: Region
) -> None:
    expect_none(intruders(shown(table, table.order[0]), region))


@pytest.mark.parametrize(("table", "order"), ORDERS)
def test_regions_follow_each_other_for_eyes_and_readers(
    shown: Callable[[Table, Order], Page], table: Table, order: Order
) -> None:
    expect_none(disorder(shown(table, order), order))


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_everything_is_set_in_the_typeface_of_the_design(shown: Callable[[Table, Order], Page], table: Table) -> None:
    page = shown(table, table.order[0])
    others = page.evaluate("""() => [...document.querySelectorAll('body *')]
        .filter((e) => [...e.childNodes].some((n) => n.nodeType === Node.TEXT_NODE && n.data.trim()))
        .filter((e) => e.getClientRects().length && !getComputedStyle(e).fontFamily.startsWith('Sarabun'))
        .map((e) => `${e.tagName}.${e.className}: ${getComputedStyle(e).fontFamily}`)""")
    assert others == []
    used = page.evaluate("[...document.fonts].filter((f) => f.status === 'loaded').map((f) => f.family)")
    assert set(used) == {"Sarabun"}, "it is served and was used"


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_the_table_and_the_page_name_the_same_regions(shown: Callable[[Table, Order], Page], table: Table) -> None:
    page = shown(table, table.order[0])
    marked = set(page.evaluate("[...document.querySelectorAll('[data-region]')].map((e) => e.dataset.region)"))
    listed = msgspec.toml.decode(REGIONS_FILE.read_bytes())
    for section in listed.values():
        if page.url.endswith(section["address"].replace("{id}", table.path.rpartition("/")[2])):
            known = {*section["order"], *(name for inside in section.get("inside", {}).values() for name in inside)}
            assert marked - {"blind-banner"} <= known, "on the page, and not in regions.toml"
            assert {region.name for region in table.present} <= known, "in the table, and not in regions.toml"
            return
    raise AssertionError(f"regions.toml has no page at {table.path}")
