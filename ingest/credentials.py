"""Secrets of stations: generated here, shown once, kept only as a keyed hash.

The secrets are random and long, so a fast keyed hash is enough; slow hashes are for the passwords people choose.
"""

import hashlib
import hmac
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import msgspec

from ingest.topics import is_station_name

KEY_BYTES = 32
SECRET_BYTES = 24
"""192 bits, 32 characters."""

_NOBODY = b"\0" * hashlib.sha256().digest_size


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who may speak for which station, in one world."""

    key: bytes = field(repr=False)
    """Key of the hash; belongs to this installation."""
    digests: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    """Station -> HMAC-SHA256(key, secret)."""


def create() -> Credentials:
    """Begin with a fresh key and no station."""
    return Credentials(secrets.token_bytes(KEY_BYTES))


def generate() -> str:
    """Make a secret: 192 random bits, 32 characters that are safe in URLs and shells."""
    return secrets.token_urlsafe(SECRET_BYTES)


def digest(key: bytes, secret: str) -> bytes:
    """Hash a secret: HMAC-SHA256, 32 bytes."""
    return hmac.digest(key, secret.encode("utf-8", "surrogatepass"), "sha256")


def with_station(credentials: Credentials, station: str, secret: str) -> Credentials:
    """Let a station in by this secret; an older secret of the station is void.

    Raises
    ------
    ValueError : the name cannot be a station's
    """
    if not is_station_name(station):
        raise ValueError(f"station {station!r}: a name is 1 to 32 of A-Z a-z 0-9 _ -")
    digests = {**credentials.digests, station: digest(credentials.key, secret)}
    return Credentials(credentials.key, MappingProxyType(digests))


def without_station(credentials: Credentials, station: str) -> Credentials:
    """Shut a station out. One that was never in is no error."""
    digests = {name: kept for name, kept in credentials.digests.items() if name != station}
    return Credentials(credentials.key, MappingProxyType(digests))


def verify(credentials: Credentials, station: str, secret: str) -> bool:
    """Whether this secret is the station's. Takes the same time for a wrong secret and for an unknown station."""
    known = credentials.digests.get(station)
    same = hmac.compare_digest(digest(credentials.key, secret), known if known is not None else _NOBODY)
    return same and known is not None


class _File(msgspec.Struct, forbid_unknown_fields=True):
    """The file: bytes in base64, as msgspec writes them."""

    key: bytes
    digests: dict[str, bytes]


def load(path: Path) -> Credentials:
    """Read the credentials of an installation.

    Raises
    ------
    FileNotFoundError : there are none yet; begin with `create`
    ValueError : the file is not what `save` wrote
    """
    try:
        read = msgspec.json.decode(path.read_bytes(), type=_File)
    except msgspec.MsgspecError as error:
        raise ValueError(f"{path}: not a file of station credentials ({error}); restore it") from error
    if len(read.key) != KEY_BYTES or any(len(kept) != len(_NOBODY) for kept in read.digests.values()):
        raise ValueError(f"{path}: a key or a digest has the wrong length; restore the file")
    return Credentials(read.key, MappingProxyType(read.digests))


def save(path: Path, credentials: Credentials) -> None:
    """Write the credentials, readable by the owner only (0600). A reader sees the old file or the new one, no piece."""
    content = msgspec.json.encode(_File(credentials.key, dict(sorted(credentials.digests.items()))))
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        # Mode at creation, not after: at no moment may another user open it.
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
