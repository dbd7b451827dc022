"""What the view tests share: the real templates."""

import pytest

from dashboards.pages import Pages


@pytest.fixture(scope="session")
def pages() -> Pages:
    return Pages(no_break=["สะพานบ้านโพนยาง", "บ้านโพนยาง", "ห้วยสำราญ"])
