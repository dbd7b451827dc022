"""What all tests share."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.builders import SOAK


@pytest.fixture(scope="session")
def reference() -> Path:
    """The folder of recordings and published examples, which is not part of the project."""
    folder = Path(os.environ.get("TAKEAN_REFERENCE", Path(__file__).parents[2] / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no reference data at {folder}; set TAKEAN_REFERENCE to the folder")
    return folder


# One for the module, not the session: while Playwright is open its event loop counts as running in this thread, and no
# other test could start one.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", chromium_sandbox=False, args=["--font-render-hinting=none"]
        )
        yield chromium
        chromium.close()


def pytest_report_header() -> str:
    """The commit under test: with a seed, all that is needed to see a failure again."""
    head = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True, check=False
    )
    return f"commit {head.stdout.strip() or 'unknown'}{', the full counts' if SOAK else ''}"


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """In CI everything is there: a skipped test is a failed run."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = len(reporter.stats.get("skipped", [])) if reporter is not None else 0
    if os.environ.get("CI") and reporter is not None and skipped and exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        reporter.write_line(f"{skipped} tests were skipped, and in CI none may be", red=True)
