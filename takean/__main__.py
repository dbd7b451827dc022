"""`takean` and `python -m takean`: nothing heavy is imported before an interruption can be answered quietly."""

import os
import sys

INTERRUPTED = 130
PROCESSES = ("worker", "dispatch", "web", "mirror")


def main() -> None:
    """Run one command."""
    os.umask(0o077)  # readings, people and their addresses: for the user who runs it
    try:
        if sys.argv[1:2] and sys.argv[1] in PROCESSES:
            from takean import processes  # noqa: PLC0415

            processes.main(sys.argv[1:])
        from takean import cli  # noqa: PLC0415  (imports take seconds on a small box)

        cli.main()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
