"""What all tests share."""

import os
from pathlib import Path

import pytest

SOAK = bool(os.environ.get("TAKEAN_SOAK"))
"""`make soak`: the full counts."""


@pytest.fixture(scope="session")
def reference() -> Path:
    """The folder of recordings and published examples, which is not part of the project."""
    folder = Path(os.environ.get("TAKEAN_REFERENCE", Path(__file__).parents[2] / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no reference data at {folder}; set TAKEAN_REFERENCE to the folder")
    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave the long runs to `make soak`."""
    if not SOAK:
        items[:] = [item for item in items if item.get_closest_marker("soak") is None]


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """In CI everything is there: a skipped test is a failed run."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = len(reporter.stats.get("skipped", [])) if reporter is not None else 0
    if os.environ.get("CI") and skipped and exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        reporter.write_line(f"{skipped} tests were skipped, and in CI none may be", red=True)
