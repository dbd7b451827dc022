"""Worlds for the tests of the web."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from alerts.episode import Kind
from tests.api.browser import Browser
from tests.api.world import World, open_world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """An exercise in which nothing has happened yet."""
    with open_world(tmp_path) as made:
        yield made


@pytest.fixture
def real(tmp_path: Path) -> Iterator[World]:
    """The actual world, its record on disk."""
    with open_world(tmp_path, kind=Kind.ACTUAL, sql=True) as made:
        yield made


@pytest.fixture
def client(world: World) -> Iterator[Browser]:
    """A browser on the exercise."""
    with world.client() as made:
        yield made
