"""Questions to a server over HTTP: in time or not at all."""

import time
from collections.abc import Iterable, Mapping
from ssl import create_default_context

import httpx

from sensors.store import Away, TooSlow
from sensors.store.destination import Destination

ANSWER_S_MAX = 5.0
ANSWER_BYTES_MAX = 64 << 20
TEXT_MAX = 300


class Asking:
    """One server; any number of threads may ask."""

    def __init__(
        self, destination: Destination, *, answer_s_max: float = ANSWER_S_MAX, answer_bytes_max: int = ANSWER_BYTES_MAX
    ) -> None:
        self._name = destination.name
        self._answer_s_max = answer_s_max
        self._answer_bytes_max = answer_bytes_max
        self._http = client(destination, timeout_s=answer_s_max)

    def get(self, path: str, values: Mapping[str, str]) -> bytes:
        """The body of an answer.

        Raises
        ------
        Away : nobody answers, or with an error
        TooSlow : it took too long, or is too large
        """
        status, body = self.answer(path, values)
        if status != 200:
            raise Away(f"mirror {self._name} answered {status}: {in_words(body)}")
        return body

    def answer(self, path: str, values: Mapping[str, str]) -> tuple[int, bytes]:
        """Status and body of whatever is answered.

        Raises
        ------
        Away : nobody answers
        TooSlow : as above
        """
        try:
            with self._http.stream("GET", path, params=dict(values)) as answer:
                return answer.status_code, whole(answer.iter_bytes(), self._answer_s_max, self._answer_bytes_max)
        except httpx.ReadTimeout:
            raise TooSlow(f"mirror {self._name} did not answer within {self._answer_s_max:g} s: ask for less") from None
        except httpx.HTTPError as error:
            raise Away(f"mirror {self._name} cannot be reached: {error}") from None

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()


def whole(pieces: Iterable[bytes], s_max: float, bytes_max: int) -> bytes:
    """An answer that comes in pieces.

    Raises
    ------
    TooSlow : it took too long, or is too large
    """
    deadline_s = time.monotonic() + s_max
    body = bytearray()
    for piece in pieces:
        body += piece
        if time.monotonic() > deadline_s or len(body) > bytes_max:
            raise TooSlow(f"the answer takes over {s_max:g} s or {bytes_max:,} bytes: ask for less")
    return bytes(body)


def in_words(said: bytes | str) -> str:
    """What a server says, as one short line that no log or terminal takes for anything else."""
    text = said if isinstance(said, str) else said[: 4 * TEXT_MAX].decode(errors="replace")
    return "".join(c if c.isprintable() else " " for c in " ".join(text.split()))[:TEXT_MAX]


def client(destination: Destination, *, timeout_s: float) -> httpx.Client:
    """Plain HTTP to a server; no proxy of the environment, no redirect."""
    return httpx.Client(
        base_url=destination.url,
        timeout=timeout_s,
        trust_env=False,
        headers={"Authorization": f"Token {destination.token}"} if destination.token else {},
        verify=create_default_context(cafile=destination.ca_file or None),
    )
