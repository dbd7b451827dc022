"""`[mqtt]` of takean.toml, as far as it is TLS: the certificate devices are shown, and what is wrong with it."""

import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from ingest import certificates
from ingest.certificates import TlsOptions
from takean.settings import Mqtt
from takean.shapes import Mistake


def options(folder: Path, mqtt: Mqtt) -> TlsOptions | None:
    """Where devices connect with TLS; None where they do not."""
    if not mqtt.enabled or not mqtt.certificate_file or not mqtt.key_file:
        return None
    return TlsOptions(
        host=mqtt.host,
        port=mqtt.tls_port,
        certificate=folder / mqtt.certificate_file,
        key=folder / mqtt.key_file,
    )


def mistakes(path: Path, mqtt: Mqtt) -> Iterator[Mistake]:
    """What must be mended before anything may start; that a certificate has run out is not among it: see `out_of_date`.

    Parameters
    ----------
    path : of takean.toml
    """
    if not mqtt.enabled:
        return
    if not mqtt.plain and not mqtt.certificate_file:
        found = "is false, and there is no certificate_file: no device could connect"
        yield _mistake(path, "mqtt, plain", found, "one way for devices", "Name a certificate, or set enabled = false")
    if mqtt.plain and mqtt.certificate_file and mqtt.port == mqtt.tls_port != 0:
        yield _mistake(path, "mqtt, tls_port", f"is {mqtt.tls_port}, as port", "another port", "Choose another one")
    for name, other in (("certificate_file", "key_file"), ("key_file", "certificate_file")):
        if getattr(mqtt, name) and not getattr(mqtt, other):
            yield _mistake(path, f"mqtt, {other}", f"is empty, but {name} is not", "both or neither", "Name it")
    chosen = options(path.parent, mqtt)
    if chosen is None:
        return
    broken = False
    for what, file in (("certificate_file", chosen.certificate), ("key_file", chosen.key)):
        if not file.is_file() or not os.access(file, os.R_OK):
            broken = True
            do = f"Put it there, or correct {what} in {path.name}"
            yield _mistake(file, "", "is missing or cannot be read", f"a PEM file, the {what} of [mqtt]", do)
    if broken:
        return
    if chosen.key.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        yield _mistake(chosen.key, "", "can be read by others", "mode 0600", f"chmod 600 {chosen.key}")
    try:
        certificates.validity_s(chosen.certificate, chosen.key)
    except OSError as error:
        found = f"cannot be used with {chosen.key.name}: {error.strerror or error}"
        expected = "a PEM certificate of a server with those that signed it, and its own key without a password"
        yield _mistake(chosen.certificate, "", found, expected, "Make them again, both at once")


def out_of_date(chosen: TlsOptions, now_us: int) -> Iterator[Mistake]:
    """Whether the certificate holds now. A box must start without, as its own clock may be what is wrong."""
    begin_s, end_s = certificates.validity_s(chosen.certificate, chosen.key)
    if not begin_s <= now_us / 1e6 <= end_s:
        is_over = now_us / 1e6 > end_s
        when = datetime.fromtimestamp(end_s if is_over else begin_s, UTC)
        found = f"{'ended' if is_over else 'begins only'} {when:%Y-%m-%d %H:%M} UTC: devices that look refuse it"
        yield _mistake(chosen.certificate, "", found, "a certificate that holds now", "Renew it; no restart is needed")


def _mistake(path: Path, place: str, found: str, expected: str, do: str) -> Mistake:
    return Mistake(file=str(path), place=place, found=found, expected=expected, do=do)
