"""What a long TOML file says, kept to be read at once: ten thousand stations take a second as TOML, and 20 ms so.

It is the file's own data and nothing made of it, with a sum over the file's text and itself. So it is believed of this
very text only, whoever changed what; its types are checked as those of the file are; and whatever is wrong with it, the
file is read.
"""

import os
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import msgspec

S = TypeVar("S", bound=msgspec.Struct)
FORMAT = b"1"
"""Another one is not believed."""
_SUM_BYTES = sha256().digest_size


def find(path: Path, text: str, kind: type[S]) -> S | None:
    """What was kept of a text; None where that is not there, of another text, damaged or of another type."""
    try:
        held = path.read_bytes()
        if held[:_SUM_BYTES] != _sum(text, held[_SUM_BYTES:]):
            return None
        return msgspec.msgpack.decode(held[_SUM_BYTES:], type=kind)
    except (OSError, msgspec.MsgspecError):
        return None


def keep(path: Path, text: str, data: Any) -> None:
    """Keep what a text says, instead of what was kept before; where that cannot be, nothing is lost but time."""
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        form = msgspec.msgpack.encode(data)
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(_sum(text, form) + form)
        new.replace(path)
    except (OSError, OverflowError):  # no folder, no disk; a whole number of more than 64 bits
        with suppress(OSError):
            new.unlink()


def _sum(text: str, form: bytes) -> bytes:
    said = text.encode()
    return sha256(b"%s %d\n" % (FORMAT, len(said)) + said + form).digest()
