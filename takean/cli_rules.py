"""`takean rules`: what rules make of readings that somebody wrote down."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

# Each command imports what it needs, as in takean.cli.

rules = typer.Typer(no_args_is_help=True, help="Rules: their tests.")
out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


@rules.callback()
def _group() -> None:
    """Rules: their tests."""


@rules.command("test")
def rules_test(
    paths: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Files of tests, or folders of them.")],
) -> None:
    """Run tests of rules: series as text, and what must hold when. Exit 1 when something is not as expected."""
    from takean import rule_tests  # noqa: PLC0415

    tests = failed = 0
    for path in rule_tests.files(paths):
        outcome = rule_tests.run(path)
        tests += outcome.tests
        failed += len(outcome.unmet)
        for line in outcome.unmet:
            err.print(line, soft_wrap=True, markup=False)
    out.print(f"{tests} tests, {failed} not as expected")
    if failed:
        raise typer.Exit(1)
