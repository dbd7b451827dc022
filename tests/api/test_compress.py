"""What is made smaller on its way, and what never is."""

import pytest

from tests.api.browser import Browser

TAKES = {"Accept-Encoding": "gzip"}


@pytest.mark.parametrize("path", ["/", "/static/css/base.css", "/map.geojson"])
def test_what_everybody_may_see_travels_small(client: Browser, path: str) -> None:
    answer = client.get(path, headers=TAKES)
    assert answer.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in answer.headers["Vary"]


@pytest.mark.parametrize("path", ["/", "/static/css/base.css"])
def test_a_browser_that_does_not_ask_gets_it_plain(client: Browser, path: str) -> None:
    answer = client.get(path, headers={"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in answer.headers


@pytest.mark.parametrize("path", ["/signin", "/preview", "/readyz"])
def test_a_page_that_may_hold_a_secret_is_never_compressed(client: Browser, path: str) -> None:
    """The length of a compressed page tells what it holds to who may add to it."""
    answer = client.get(path, headers=TAKES)
    assert "Content-Encoding" not in answer.headers
    assert answer.content
