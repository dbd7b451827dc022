"""Secrets of stations and networks: generated here, shown once, kept only as hashes.

The secrets are random and long, so a fast keyed hash is enough; slow hashes are for the passwords people choose.
"""

import hashlib
import hmac
import logging
import os
import secrets
from base64 import b64encode
from collections.abc import Mapping, Set
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

import msgspec

from ingest.networks import Network, mistakes
from ingest.topics import is_station_name

log = logging.getLogger(__name__)

KEY_BYTES = 32
SECRET_BYTES = 24
"""192 bits, 32 characters."""

BROKER_ITERATIONS = 101
"""Of Mosquitto's own PBKDF2, as mosquitto_passwd writes it: the secret is long, and a broker has one thread."""
BROKER_SALT_BYTES = 12
BROKER_HASH_BYTES = 64

_NOBODY = b"\0" * hashlib.sha256().digest_size


class Older(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A secret that still lets in beside the newer one."""

    digest: bytes
    until_us: int
    """Judgement clock, microseconds UTC."""


_NONE: Mapping[str, "Older"] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who may speak for which stations, in one world. A name is a station's id or a network's."""

    key: bytes = field(repr=False)
    """Key of the hash; belongs to this installation."""
    digests: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    """Name -> HMAC-SHA256(key, secret)."""
    older: Mapping[str, Older] = field(default_factory=lambda: _NONE, repr=False)
    """Name -> the secret before this one, while it still lets in."""
    networks: Mapping[str, Network] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    """Names that are not a station's."""
    passwords: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    """Name -> hash of the secret as Mosquitto keeps it: `takean broker config` needs no secret for its file."""


def create() -> Credentials:
    """Begin with a fresh key and no station."""
    return Credentials(secrets.token_bytes(KEY_BYTES))


def generate() -> str:
    """Make a secret: 192 random bits, 32 characters that are safe in URLs and shells."""
    return secrets.token_urlsafe(SECRET_BYTES)


def digest(key: bytes, secret: str) -> bytes:
    """Hash a secret: HMAC-SHA256, 32 bytes."""
    return hmac.digest(key, secret.encode("utf-8", "surrogatepass"), "sha256")


def broker_hash(secret: str, salt: bytes) -> str:
    """Hash a secret as Mosquitto 2 does for its password file: PBKDF2-HMAC-SHA512, `$7$iterations$salt$hash`."""
    made = hashlib.pbkdf2_hmac("sha512", secret.encode(), salt, BROKER_ITERATIONS, BROKER_HASH_BYTES)
    return f"$7${BROKER_ITERATIONS}${b64encode(salt).decode()}${b64encode(made).decode()}"


def with_station(
    credentials: Credentials, station: str, secret: str, *, keep_old_until_us: int | None = None
) -> Credentials:
    """Let a station in by this secret.

    Parameters
    ----------
    keep_old_until_us : judgement clock until which the secret before lets in too; None: it ends now

    Raises
    ------
    ValueError : the name cannot be a station's, or is a network's
    """
    if not is_station_name(station):
        raise ValueError(f"station {station!r}: a name is 1 to 32 of A-Z a-z 0-9 _ -")
    if station in credentials.networks:
        raise ValueError(f"{station} is a network; a station needs a name of its own")
    return _with(credentials, station, secret, keep_old_until_us)


def with_network(
    credentials: Credentials, name: str, network: Network, secret: str, *, keep_old_until_us: int | None = None
) -> Credentials:
    """Let a network in by this secret; see `with_station`.

    Raises
    ------
    ValueError : the name cannot be a network's, or is a station's; or the network says too much or too little
    """
    wrong = list(mistakes(name, network))
    if name in credentials.digests and name not in credentials.networks:
        wrong.append(f"{name} is a station; a network needs a name of its own")
    if wrong:
        raise ValueError("; ".join(wrong))
    made = _with(credentials, name, secret, keep_old_until_us)
    return replace(made, networks=MappingProxyType({**made.networks, name: network}))


def _with(credentials: Credentials, name: str, secret: str, keep_old_until_us: int | None) -> Credentials:
    older = dict(without_old(credentials, name).older)
    if keep_old_until_us is not None and name in credentials.digests:
        older[name] = Older(digest=credentials.digests[name], until_us=keep_old_until_us)
    password = broker_hash(secret, secrets.token_bytes(BROKER_SALT_BYTES))
    return replace(
        credentials,
        digests=MappingProxyType({**credentials.digests, name: digest(credentials.key, secret)}),
        older=MappingProxyType(older),
        passwords=MappingProxyType({**credentials.passwords, name: password}),
    )


def without(credentials: Credentials, name: str) -> Credentials:
    """Shut a station or a network out. One that was never in is no error."""
    return Credentials(
        credentials.key,
        digests=MappingProxyType({n: v for n, v in credentials.digests.items() if n != name}),
        older=MappingProxyType({n: v for n, v in credentials.older.items() if n != name}),
        networks=MappingProxyType({n: v for n, v in credentials.networks.items() if n != name}),
        passwords=MappingProxyType({n: v for n, v in credentials.passwords.items() if n != name}),
    )


def without_old(credentials: Credentials, name: str) -> Credentials:
    """Let in by the newest secret of a name only."""
    return replace(credentials, older=MappingProxyType({n: v for n, v in credentials.older.items() if n != name}))


def verify(credentials: Credentials, name: str, secret: str, *, now_us: int) -> bool:
    """Whether this secret is that name's now. Takes the same time for a wrong secret and for an unknown name.

    Parameters
    ----------
    now_us : judgement clock, microseconds UTC
    """
    given = digest(credentials.key, secret)
    known, older = credentials.digests.get(name), credentials.older.get(name)
    is_new = hmac.compare_digest(given, known if known is not None else _NOBODY)
    is_old = hmac.compare_digest(given, older.digest if older is not None else _NOBODY)
    return (is_new and known is not None) or (is_old and older is not None and now_us < older.until_us)


def revoked(before: Credentials, after: Credentials) -> Set[str]:
    """Names of which somebody may be in by a secret that lets in no more, or with rights that have changed."""

    def secrets_of(credentials: Credentials, name: str) -> set[bytes]:
        older = credentials.older.get(name)
        return {credentials.digests[name], *([older.digest] if older is not None else [])}

    return {
        name
        for name in before.digests
        if name not in after.digests
        or not secrets_of(before, name) <= secrets_of(after, name)
        or before.networks.get(name) != after.networks.get(name)
    }


class _File(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """The file: bytes in base64, as msgspec writes them. What is not used is not written."""

    key: bytes
    digests: dict[str, bytes]
    older: dict[str, Older] = {}
    networks: dict[str, Network] = {}
    passwords: dict[str, str] = {}


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
        wanted = "restore it" if "unknown field" not in str(error) else "a newer Takean wrote it, use that one"
        raise ValueError(f"{path}: not a file of station credentials ({error}); {wanted}") from error
    kept = [*read.digests.values(), *(older.digest for older in read.older.values())]
    if len(read.key) != KEY_BYTES or any(len(each) != len(_NOBODY) for each in kept):
        raise ValueError(f"{path}: a key or a digest has the wrong length; restore the file")
    return Credentials(
        read.key,
        digests=MappingProxyType(read.digests),
        older=MappingProxyType(read.older),
        networks=MappingProxyType(read.networks),
        passwords=MappingProxyType(read.passwords),
    )


def save(path: Path, credentials: Credentials) -> None:
    """Write the credentials, readable by the owner only (0600). A reader sees the old file or the new one, no piece."""
    content = msgspec.json.encode(
        _File(
            credentials.key,
            dict(sorted(credentials.digests.items())),
            dict(sorted(credentials.older.items())),
            dict(sorted(credentials.networks.items())),
            dict(sorted(credentials.passwords.items())),
        )
    )
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


class Keys:
    """The credentials of a running platform: those of a file, read again when it has changed."""

    def __init__(self, credentials: Credentials, path: Path | None = None) -> None:
        self.now = credentials
        """As they stand."""
        self._path = path
        self._seen: tuple[int, int] | None = None

    def refresh(self) -> Set[str]:
        """Look at the file once; returns whose connections must end. A file that cannot be read changes nothing."""
        if self._path is None:
            return frozenset()
        try:
            found = self._path.stat()
            seen = (found.st_mtime_ns, found.st_ino)
            if seen == self._seen:
                return frozenset()
            self._seen = seen
            before, self.now = self.now, load(self._path)
        except FileNotFoundError:
            return frozenset()
        except (OSError, ValueError) as error:
            log.warning("ingest: the secrets stay as they were: %s", error)
            return frozenset()
        return revoked(before, self.now)
