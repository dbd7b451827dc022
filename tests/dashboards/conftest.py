"""What the view tests share: the real templates, and one Chromium."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from dashboards.pages import Pages


@pytest.fixture(scope="session")
def pages() -> Pages:
    return Pages(no_break=["สะพานบ้านโพนยาง", "บ้านโพนยาง", "ห้วยสำราญ"])


# One for the module, not the session: while Playwright is open its event loop counts as running in this thread, and
# no other test could start one.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", chromium_sandbox=False, args=["--font-render-hinting=none"]
        )
        yield chromium
        chromium.close()
