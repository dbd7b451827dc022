"""A running endpoint for the tests of the way in."""

from collections.abc import Callable, Iterator

import pytest

from ingest.endpoint import Limits
from tests.ingest.box import Box


@pytest.fixture
def make_box() -> Iterator[Callable[..., Box]]:
    """Make running endpoints with bounds of the test's own: `make_box(unacked_messages=10)`."""
    made: list[Box] = []

    def make(**limits: float) -> Box:
        made.append(Box(Limits(**limits)))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for box in made:
        box.close()


@pytest.fixture
def box(make_box: Callable[..., Box]) -> Box:
    """A running endpoint with the bounds of docs/wire.md."""
    return make_box()
