"""A secret in a file of its own: one line, readable by its owner only."""

import stat
from pathlib import Path

from takean.shapes import Mistake


def read(file: Path, *, what: str, key: str) -> tuple[str, list[Mistake]]:
    """The secret, and what is wrong with its file.

    Parameters
    ----------
    what : for people: what the file should hold
    key : of takean.toml, which names it
    """

    def mistake(found: str, expected: str, do: str) -> list[Mistake]:
        return [Mistake(file=str(file), place="", found=found, expected=expected, do=do)]

    try:
        secret = file.read_text(encoding="utf-8").strip()
        mode = file.stat().st_mode
    except (OSError, UnicodeDecodeError) as error:
        return "", mistake(f"cannot be read: {error}", what, f"Make the file, or correct {key} in takean.toml")
    if not secret:
        return "", mistake("is empty", f"{what} in one line", "Write it there")
    if mode & (stat.S_IRGRP | stat.S_IROTH):
        return secret, mistake("can be read by others", "mode 0600", f"chmod 600 {file}")
    return secret, []
