"""Scenes served once for a module, and their pages opened once for all tests that only look."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache

import pytest
from playwright.sync_api import Browser, Page

from tests.look.stand import Stand, settled, standing

Look = Callable[..., Page]


@pytest.fixture(scope="module")
def stand() -> Iterator[Callable[[str], Stand]]:
    """A scene by name; tests that change it take one of their own from `standing`."""
    with ExitStack() as stack:
        yield cache(lambda scene: stack.enter_context(standing(scene)))


@pytest.fixture(scope="module")
def look(browser: Browser, stand: Callable[[str], Stand]) -> Iterator[Look]:
    """A settled page of a scene that tests only look at: (scene, path, width, height, signed_in) -> page."""
    with ExitStack() as stack:

        @cache
        def opened(scene: str, path: str, width: int, height: int, signed_in: bool = False) -> Page:
            at = stand(scene)
            page = stack.enter_context(at.page(browser, width, height, signed_in=signed_in))
            page.goto(at.url + path)
            settled(page)
            return page

        yield opened
