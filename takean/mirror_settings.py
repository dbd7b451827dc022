"""`[[mirror]]` of takean.toml, checked."""

import re
import ssl
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from alerts.episode import Kind
from sensors.store.destination import Destination
from takean import secret_file
from takean.settings import Mirror, Settings
from takean.shapes import Mistake

TOKEN = "TAKEAN_MIRROR_TOKEN"  # noqa: S105  (its name)
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")


def destinations(
    path: Path, held: Settings, environment: Mapping[str, str]
) -> tuple[Sequence[Destination], list[Mistake]]:
    """Where the mirrors are, and every mistake of their settings.

    Parameters
    ----------
    path : of takean.toml
    """
    found, mistakes = [], list[Mistake]()
    for mirror in held.mirror:
        token = environment.get(TOKEN, "")
        if mirror.token_file:
            file = path.parent / mirror.token_file
            token, more = secret_file.read(file, what="the mirror's token", key="token_file")
            mistakes += more
        mistakes += _mistakes(path, mirror, token, twice=[m.name for m in held.mirror].count(mirror.name) > 1)
        found.append(
            Destination(
                name=mirror.name,
                kind=mirror.kind,
                url=mirror.url.rstrip("/"),
                bucket=mirror.bucket,
                org=mirror.org,
                token=token,
                ca_file=str(path.parent / mirror.ca_file) if mirror.ca_file else "",
            )
        )
    if found and held.world.kind is not Kind.ACTUAL:
        mistakes.append(
            Mistake(
                file=str(path),
                place="mirror",
                found=f"is there, and this world is of kind {held.world.kind}",
                expected="none: nothing of a drill leaves this box",
                do="Take every [[mirror]] out",
            )
        )
    return found, mistakes


def _mistakes(path: Path, mirror: Mirror, token: str, *, twice: bool) -> Iterator[Mistake]:
    def mistake(key: str, found: str, expected: str, do: str) -> Mistake:
        return Mistake(file=str(path), place=f"mirror {mirror.name}, {key}", found=found, expected=expected, do=do)

    if not NAME.fullmatch(mirror.name):
        yield mistake("name", f"is {mirror.name!r}", "1-32 of a-z 0-9 -, not - at first", "Its cursor's file bears it")
    if twice:
        yield mistake("name", "is there twice", "a name of its own", "Rename one of the two")
    try:
        url = urlsplit(mirror.url)
        sound = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        sound = False
    if not sound or url.username is not None or url.query or url.fragment:
        do = "A token belongs into token_file"
        yield mistake("url", f"is {re.sub('//.*@', '//…@', mirror.url)!r}", "http(s)://host:port", do)
    if not mirror.bucket:
        yield mistake("bucket", "is empty", "the bucket's name", "Name it as the server does")
    if not (token.isascii() and (token.isprintable() or not token)):
        yield mistake("token_file", "holds more than one line of ASCII", "a token", "Copy it again from the server")
    if mirror.ca_file:
        try:
            ssl.create_default_context(cafile=path.parent / mirror.ca_file)
        except OSError as error:
            found = f"is {path.parent / mirror.ca_file}, which cannot be used: {error.strerror or error}"
            yield mistake("ca_file", found, "a PEM file", "Put the certificates there")
