"""What all tests share."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def reference() -> Path:
    """The folder of recordings and published examples, which is not part of the project."""
    folder = Path(os.environ.get("TAKEAN_REFERENCE", Path(__file__).parents[2] / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no reference data at {folder}; set TAKEAN_REFERENCE to the folder")
    return folder
