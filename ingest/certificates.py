"""The certificate that devices are shown: read, replaced while we run, and looked at."""

import logging
import ssl
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast

log = logging.getLogger(__name__)

NO_CHECK_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME of OpenSSL, which Python does not name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsOptions:
    """Where devices connect with TLS, and who we say we are."""

    host: str
    port: int
    certificate: Path
    """PEM, with those that signed it behind it."""
    key: Path


class Certificates:
    """Our certificate as it lies on the disk now, for each new connection.

    Raises
    ------
    OSError : the files cannot be read, or do not belong together
    """

    def __init__(self, options: TlsOptions) -> None:
        self._options = options
        self._stamp = self._look()
        self._context = server_context(options.certificate, options.key)

    def context(self) -> ssl.SSLContext:
        """What a new connection is met with; where new files are not sound, the old ones go on."""
        stamp = self._look()
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._context = server_context(self._options.certificate, self._options.key)
                log.info("ingest: %s is new, and shown from now on", self._options.certificate)
            except OSError as error:
                log.error("ingest: %s cannot be used, the one before goes on: %s", self._options.certificate, error)
        return self._context

    def _look(self) -> tuple[tuple[int, int, int], ...]:
        """What changes when the files do; nothing of one that is away just now."""
        found = []
        for path in (self._options.certificate, self._options.key):
            try:
                there = path.stat()
                found.append((there.st_mtime_ns, there.st_ino, there.st_size))
            except OSError:
                found.append((0, 0, 0))
        return tuple(found)


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """TLS 1.2 or later, without compression or renegotiation.

    Raises
    ------
    OSError : a file cannot be read, is not PEM, or the key is another certificate's or has a password
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.load_cert_chain(certificate, key, password=lambda: "")  # else a terminal is asked for it
    return context


def validity_s(certificate: Path, key: Path) -> tuple[float, float]:
    """First and last moment of the certificate, seconds since 1970; found by shaking hands with ourselves.

    Raises
    ------
    OSError : as above, or it is no certificate of a server
    """
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname = False
    trusting.load_verify_locations(certificate)
    trusting.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | cast("ssl.VerifyFlags", NO_CHECK_TIME)
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trusting.wrap_bio(back, there)
    server = server_context(certificate, key).wrap_bio(there, back, server_side=True)
    for end in (client, server, client):  # who has nothing to read yet goes on at the next turn
        with suppress(ssl.SSLWantReadError):
            end.do_handshake()
    shown = cast("dict[str, str]", client.getpeercert())
    return ssl.cert_time_to_seconds(shown["notBefore"]), ssl.cert_time_to_seconds(shown["notAfter"])
