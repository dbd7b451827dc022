"""Mosquitto's files, made from the stations and their secrets: passwords, access list, certificates, configuration.

What belongs to the broker is written to one folder; what only this box may know (the key of its certificate authority,
the secret it reads with) stays in the state folder.
"""

import ipaddress
import json
import os
import re
import secrets
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ingest import credentials
from ingest.broker_terms import DROPS_TOPIC
from ingest.credentials import Credentials
from ingest.networks import Network, filters, heard
from ingest.topics import Topics
from sensors.stations import ConfigError

LIMITS = Path(__file__).parent.parent / "deploy" / "mosquitto.conf"
"""The settings that keep data, with their reasons; only its listener is replaced."""
USER = "takean"
"""Who reads everything at the broker."""
NETWORK_TOPICS = ("application/+/device/+/event/up", "v3/+/devices/+/up", "spBv1.0/#")
REBIRTH_TOPIC = "spBv1.0/+/NCMD/+"
SECRET, CA_KEY, CA = "broker.secret", "broker-ca.key", "broker-ca.crt"
YEARS = 20
"""A certificate that runs out in the field is a station that falls silent; the authority is this box's own."""
_BEGIN = "19700101000000Z"
"""A box without a battery wakes up in 1970, and its certificate must hold there too."""
_LISTENER = re.compile(r"(?ms)^# Devices on this machine.*?^# keyfile [^\n]*\n")
_OPENSSL = """
[ca]
default_ca = own
[own]
database = index.txt
new_certs_dir = .
rand_serial = yes
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
[authority]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = {names}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """Where the broker listens, by TLS."""

    address: str = "127.0.0.1"
    port: int = 8883
    names: Sequence[str] = ()
    """By which devices dial it, besides its address and this machine's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What was made."""

    files: Sequence[Path]
    settings: str
    """For `[broker]` of takean.toml."""


def write(
    folder: Path,
    *,
    state: Path,
    topics: Topics,
    held: Credentials,
    listener: Listener,
    now_us: int,
    renew: bool = False,
) -> Written:
    """Write all of it; a second time it keeps the certificate authority and, unless `renew`, the secret we read with.

    Raises
    ------
    ConfigError : a name or a secret stands in the way; nothing was written
    OSError : openssl is missing or refuses, or a file cannot be written
    """
    if USER in held.digests:
        raise ConfigError([f"{USER} is a station or a network, and the name of our own user at the broker: rename it"])
    unfit = [name for name in held.digests if name not in held.passwords]
    if unfit:
        raise ConfigError(
            [f"{name} has a secret of before brokers were kept in mind: make a new one" for name in unfit]
        )
    folder.mkdir(parents=True, exist_ok=True, mode=0o755)
    folder = folder.resolve()
    secret = _our_secret(state / SECRET, renew=renew)
    passwords = {USER: credentials.broker_hash(secret, secrets.token_bytes(credentials.BROKER_SALT_BYTES))}
    passwords |= {name: held.passwords[name] for name in sorted(held.digests)}
    certificates = _certificates(state, _alternatives(listener), now_us=now_us)
    made = {
        "takean.passwd": (0o600, "".join(f"{name}:{kept}\n" for name, kept in passwords.items()).encode()),
        "takean.acl": (0o600, access_list(held, topics).encode()),
        "mosquitto.conf": (0o644, configuration(folder, listener).encode()),
        "ca.crt": (0o644, (state / CA).read_bytes()),
        **certificates,
    }
    for name, (mode, content) in made.items():
        _put(folder / name, content, mode)
    host = listener.names[0] if listener.names else listener.address
    settings = (
        f'[broker]\nhost = "{host}"\nport = {listener.port}\nusername = "{USER}"\n'
        f'password_file = "{(state / SECRET).resolve()}"\nca_file = "{folder / "ca.crt"}"\n'
    )
    others = dict.fromkeys(t for n in held.networks.values() if n.via != "stations" for t in filters(n, topics))
    if others:
        settings += f"topics = [{', '.join(json.dumps(t, ensure_ascii=False) for t in others)}]\n"
    return Written(files=[folder / name for name in made], settings=settings)


def access_list(held: Credentials, topics: Topics) -> str:
    """Who may publish and read what: each only what it must."""

    def lines() -> Iterator[str]:
        yield "# Written by `takean broker config`: changes are lost when it runs again."
        yield f"\nuser {USER}"
        yield from (f"topic read {topic}" for topic in (f"{topics.prefix}/#", *NETWORK_TOPICS, DROPS_TOPIC))
        yield from (f"topic write {topic}" for topic in (topics.cmd("+"), REBIRTH_TOPIC))
        for name in sorted(held.digests):
            yield f"\nuser {name}"
            network = held.networks.get(name)
            network = Network(via="stations", stations=(name,)) if network is None else network
            yield from (f"topic write {topic}" for topic in filters(network, topics))
            yield from (f"topic read {topic}" for topic in heard(network, topics))

    return "\n".join(lines()) + "\n"


def configuration(folder: Path, listener: Listener) -> str:
    """`mosquitto.conf` with the limits of ours and one listener, by TLS, where nobody is anonymous."""
    block = (
        f"listener {listener.port} {listener.address}\nallow_anonymous false\n"
        f"password_file {folder}/takean.passwd\nacl_file {folder}/takean.acl\n"
        f"certfile {folder}/server.crt\nkeyfile {folder}/server.key\ntls_version tlsv1.2\n"
    )
    limits = LIMITS.read_text(encoding="utf-8")
    limits = limits[limits.index("# ---- Never drop") :]
    text, listeners = _LISTENER.subn(lambda _: block, limits)
    if listeners != 1:
        raise ConfigError([f"{LIMITS}: has {listeners} blocks of listeners where one is expected; restore it"])
    return f"# Written by `takean broker config`; why each line is there: docs/broker.md.\n\n{text}"


def _alternatives(listener: Listener) -> str:
    """The names a certificate must bear."""
    wildcard = listener.address in ("0.0.0.0", "::")  # noqa: S104  (compared, not listened to)
    names = dict.fromkeys(["localhost", "127.0.0.1", *([] if wildcard else [listener.address]), *listener.names])
    if wrong := [name for name in names if not re.fullmatch(r"[A-Za-z0-9.:_-]{1,253}", name)]:
        raise ConfigError([f"{name!r} is no host name and no address" for name in wrong])
    return ",".join(f"{'IP' if _is_address(name) else 'DNS'}:{name}" for name in names)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _our_secret(path: Path, *, renew: bool) -> str:
    if not renew and path.exists():
        return path.read_text(encoding="ascii").strip()
    secret = credentials.generate()
    _put(path, f"{secret}\n".encode(), 0o600)
    return secret


def _certificates(state: Path, names: str, *, now_us: int) -> dict[str, tuple[int, bytes]]:
    """A new certificate of the server, signed by the authority of this box, which is made where it is missing."""
    end = datetime.fromtimestamp(now_us / 1e6, UTC)
    until = f"{max(end.year, 2026) + YEARS}0101000000Z"
    with tempfile.TemporaryDirectory() as made:
        there = Path(made)
        (there / "openssl.cnf").write_text(_OPENSSL.replace("{names}", names), encoding="ascii")
        (there / "index.txt").touch()
        if not (state / CA_KEY).exists() or not (state / CA).exists():
            _request(there, "authority", "Takean broker authority")
            _sign(there, "authority", "-selfsign", "-keyfile", "authority.key", until=until)
            _put(state / CA_KEY, (there / "authority.key").read_bytes(), 0o600)
            _put(state / CA, (there / "authority.crt").read_bytes(), 0o644)
        _request(there, "server", "Takean broker")
        authority = ("-keyfile", str((state / CA_KEY).resolve()), "-cert", str((state / CA).resolve()))
        _sign(there, "server", *authority, until=until)
        return {
            "server.crt": (0o644, (there / "server.crt").read_bytes()),
            "server.key": (0o600, (there / "server.key").read_bytes()),
        }


def _request(there: Path, what: str, name: str) -> None:
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    _openssl(there, "req", "-new", *curve, "-keyout", f"{what}.key", "-out", f"{what}.csr", "-subj", f"/CN={name}")


def _sign(there: Path, what: str, *by: str, until: str) -> None:
    when = ("-startdate", _BEGIN, "-enddate", until)
    files = ("-in", f"{what}.csr", "-out", f"{what}.crt")
    _openssl(there, "ca", "-batch", "-notext", "-config", "openssl.cnf", "-extensions", what, *when, *files, *by)


def _openssl(there: Path, *words: str) -> None:
    try:
        done = subprocess.run(["openssl", *words], cwd=there, capture_output=True, text=True, check=False)  # noqa: S603, S607
    except FileNotFoundError:
        raise OSError("openssl is not installed: sudo apt-get install -y openssl") from None
    if done.returncode:
        raise OSError(f"openssl {words[0]} failed: {done.stderr.strip()}")


def _put(path: Path, content: bytes, mode: int) -> None:
    """Write a file whole, never readable by more than `mode` says."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.chmod(mode)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
