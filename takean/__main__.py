"""`takean` and `python -m takean`: nothing heavy is imported before an interruption can be answered quietly."""

import os
import sys
from collections.abc import Sequence

INTERRUPTED = 130
PROCESSES = ("check", "worker", "dispatch", "web", "mirror")
RUN = (["run"], ["run", "--verbose"], ["run", "-v"])
"""Said so it needs no library of the command line."""


def main() -> None:
    """Run one command."""
    os.umask(0o077)  # readings, people and their addresses: for the user who runs it
    try:
        sys.exit(_done(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _done(words: Sequence[str]) -> int:
    """The exit code of a command; imports take seconds on a small box."""
    try:
        if words and words[0] in PROCESSES:
            from takean import processes  # noqa: PLC0415

            return processes.main(words)
        if words in RUN:
            from takean import run  # noqa: PLC0415

            return run.main(verbose=len(words) > 1)
    except Exception as error:
        from takean import cli  # noqa: PLC0415  (it has the words)

        return cli.told(error)
    from takean import cli  # noqa: PLC0415

    cli.main()
    return 0


if __name__ == "__main__":
    main()
