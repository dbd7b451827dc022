"""axe-core in a page: what it found wrong, and what it could not decide."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from playwright.sync_api import Page

SOURCE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
"""Fetched by `make test` from the registry as package-lock.json pins it; no part of the project."""
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
"""WCAG 2.0 to 2.2, A and AA, and axe's own best practice (design note, R48)."""

_RUN = """async (tags) => {
  const found = await axe.run(document, {runOnly: tags, resultTypes: ['violations', 'incomplete']});
  const STATES = /^(is-|level-|tinted$|open$|abnormal$|hollow$)/;
  const sign = (e) => {
    const region = e.closest('[data-region]')?.dataset.region ?? '';
    const css = [...e.classList].filter((c) => !STATES.test(c)).map((c) => `.${c}`).join('');
    const own = css ? '' : e.parentElement?.classList[0] ?? '';
    return [region, `${own ? `.${own} > ` : ''}${e.tagName.toLowerCase()}${css}`];
  };
  const list = (results) => results.flatMap((result) => result.nodes.map((node) => {
    const element = document.querySelector(node.target[0]);
    const [region, what] = element ? sign(element) : ['', node.target.join(' ')];
    return [result.id, region, what, node.target.join(' '), node.failureSummary ?? ''];
  }));
  return {violations: list(found.violations), incomplete: list(found.incomplete), passes: found.passes.length};
}"""


@dataclass(frozen=True, slots=True, order=True)
class Undecided:
    """Something axe leaves to a person, for all elements of a kind."""

    region: str
    """`data-region`; empty outside any."""
    element: str
    rule: str


@dataclass(frozen=True, slots=True)
class Found:
    """What one page gave."""

    violations: tuple[str, ...]
    undecided: frozenset[Undecided]


def check(page: Page) -> Found:
    """Run axe over a page as it stands.

    Raises
    ------
    FileNotFoundError : axe-core is not there; `make test` fetches it
    """
    page.evaluate(_source())
    seen = page.evaluate(_RUN, TAGS)
    assert seen["passes"] > 0, "axe looked at nothing"
    return Found(
        violations=tuple(
            f"{rule} in {region or 'the page'}: {at}\n{summary}" for rule, region, _, at, summary in seen["violations"]
        ),
        undecided=frozenset(
            Undecided(region=region, element=what, rule=rule) for rule, region, what, _, _ in seen["incomplete"]
        ),
    )


@cache
def _source() -> str:
    return SOURCE.read_text(encoding="utf-8")
