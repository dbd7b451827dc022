"""TLS under a connection: what the socket gives is opened, what the connection writes is sealed.

Our own few lines over the standard library's `SSLObject`: asyncio's keep 256 KiB of memory for each connection, and a
handshake that is under way is known to nobody. Here it is one of those who were not let in yet, and counted so.
"""

import asyncio
import ssl
from contextlib import suppress
from typing import Any, Protocol, cast

from ingest.turns import Turns

RECORD_BYTES = 16_384
"""A record of TLS holds no more."""
SLICE_BYTES = 8_192
"""Opened at a time. Records without a message in them cost 60 us for 27 bytes (new keys, which a peer may ask for as
often as it likes): what the event loop reads at once could hold it for half a second.
"""
KNOCKING_BYTES = 32_768
"""Of a peer that has not been let in: a handshake, one record that begins with a CONNECT, and what is in its slice."""
HANDSHAKE = 22
"""First byte of what a client of TLS says."""


class Above(Protocol):
    """The connection that TLS carries."""

    is_let_in: bool
    """Whether it has said who it is."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol, as the others."""

    def data_received(self, data: bytes) -> None: ...
    def connection_lost(self, exc: Exception | None) -> None: ...
    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...
    def turn_away(self, cause: str, why: str) -> None:
        """Close, with a reason for the log."""


class TlsLayer(asyncio.Protocol):
    """Protocol of the socket, transport of the connection. What was received is opened in the turns of all of them: a
    handshake costs milliseconds with some keys, and after a power cut everybody wants one.
    """

    _transport: asyncio.Transport

    def __init__(self, above: Above, context: ssl.SSLContext, turns: Turns) -> None:
        self._above = above
        self._turns = turns
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._ssl = context.wrap_bio(self._in, self._out, server_side=True)
        self._has_spoken = False
        self._is_open = False
        """Hands were shaken, and nothing has gone wrong since."""
        self._unopened = bytearray()
        self._knocked_bytes = 0
        self._is_due = False
        """A turn was asked for."""
        self._is_held = False
        """The connection wants nothing just now."""
        self._is_ended = False
        """Nothing will follow what was received."""

    # Called by the event loop, from below.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._above.connection_made(cast("asyncio.BaseTransport", self))

    def data_received(self, data: bytes) -> None:
        if self._transport.is_closing():
            return
        if not self._has_spoken:
            self._has_spoken = True
            if data[0] != HANDSHAKE:
                self._above.turn_away("not_tls", "it does not speak TLS, and this port is for TLS only")
                return
        self._unopened += data
        self._ask_turn()
        if len(self._unopened) > SLICE_BYTES:
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """Stay open for what is still to be opened."""
        self._is_ended = True
        return bool(self._unopened)

    def connection_lost(self, exc: Exception | None) -> None:
        self._unopened.clear()
        self._above.connection_lost(exc)

    def pause_writing(self) -> None:
        self._above.pause_writing()

    def resume_writing(self) -> None:
        self._above.resume_writing()

    def _ask_turn(self) -> None:
        if not self._is_due and not self._is_held:
            self._is_due = True
            self._turns.ask(self._turn)

    def _turn(self) -> None:
        """Open a slice of what was received."""
        self._is_due = False
        if self._is_held or not self._unopened or self._transport.is_closing():
            return
        if not self._above.is_let_in:
            self._knocked_bytes += min(len(self._unopened), SLICE_BYTES)
            if self._knocked_bytes > KNOCKING_BYTES:
                self._above.turn_away("tls_failed", f"over {KNOCKING_BYTES} bytes, and it has not said who it is")
                return
        self._in.write(self._unopened[:SLICE_BYTES])
        del self._unopened[:SLICE_BYTES]
        opened, is_over, fault = self._open()
        self._flush()
        if opened:
            self._above.data_received(opened)
        if fault is not None:
            self._is_open = False
            self._above.turn_away("tls_failed", f"TLS failed: {fault.reason or fault}")
        elif is_over:
            self._transport.close()
        else:
            self._go_on()

    def _go_on(self) -> None:
        if self._unopened:
            self._ask_turn()
        elif self._is_ended:
            self._transport.close()
        elif not self._is_held and not self._transport.is_closing():
            self._transport.resume_reading()

    def _open(self) -> tuple[bytes, bool, ssl.SSLError | None]:
        """All that can be read, whether the peer has said good bye, and what is wrong behind it."""
        pieces: list[bytes] = []
        try:
            if not self._is_open:
                self._ssl.do_handshake()
                self._is_open = True
            while piece := self._ssl.read(RECORD_BYTES):
                pieces.append(piece)
        except ssl.SSLWantReadError:
            return b"".join(pieces), False, None
        except ssl.SSLError as error:
            return b"".join(pieces), True, error
        return b"".join(pieces), True, None

    def _flush(self) -> None:
        if self._out.pending:
            self._transport.write(self._out.read())

    # Called by the connection, from above: a transport.

    def write(self, data: bytes) -> None:
        """Seal and send; nothing before hands were shaken, or after something has gone wrong."""
        if self._is_open:
            with suppress(ssl.SSLError):  # the next reading says what it is
                self._ssl.write(data)
            self._flush()

    def close(self) -> None:
        """Say good bye, and close when all is out."""
        if self._is_open:
            with suppress(ssl.SSLError):  # the peer's own good bye is not waited for
                self._ssl.unwrap()
            self._flush()
        self._transport.close()

    def abort(self) -> None:
        """See asyncio.Transport, as the others."""
        self._transport.abort()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def pause_reading(self) -> None:
        self._is_held = True
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._is_held = False
        self._go_on()

    def get_extra_info(self, name: str) -> Any:
        return self._transport.get_extra_info(name)
