"""`takean` and `python -m takean`: nothing heavy is imported before an interruption can be answered quietly."""

import sys

INTERRUPTED = 130


def main() -> None:
    """Run one command."""
    try:
        from takean import cli  # noqa: PLC0415  (imports take seconds on a small box)

        cli.main()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
