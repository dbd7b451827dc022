"""Files of rule tests: read, run, and every unmet expectation told with its line."""

import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from alerts import rule_tests, rules
from alerts.rule_tests import RuleTestFile, Unmet
from sensors import stations
from sensors.stations import ConfigError, Place, Registry

_TEST = re.compile(r"^\s*\[\[\s*test\s*\]\]")
_EXPECT = re.compile(r"^\s*\[\[\s*test\s*\.\s*expect\s*\]\]")
_NOWHERE = Place(name="", long="", english="", phone="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one file says."""

    tests: int
    unmet: Sequence[str]
    """A line each: `FILE:LINE: TEST: what: expected …, found …`."""


def files(paths: Sequence[Path]) -> list[Path]:
    """The files, and all TOML files of the folders.

    Raises
    ------
    ConfigError : one that is neither
    """
    found: list[Path] = []
    for path in paths:
        inside = sorted(path.glob("*.toml")) if path.is_dir() else [path]
        if not inside or not path.exists():
            raise ConfigError([f"{path}: expected a file of rule tests, or a folder of them"])
        found += inside
    return found


def run(path: Path) -> Outcome:
    """Run the tests of a file.

    Raises
    ------
    ConfigError : the file, its rules or its stations cannot be read
    """
    text = _text(path)
    try:
        held = msgspec.convert(tomllib.loads(text), RuleTestFile)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ConfigError([f"{path}: {error}"]) from error
    registry = _registry(path, held)
    ruled = path.parent / held.rules
    compiled = rules.compile_rules(rules.read(ruled), registry, where=str(ruled))
    lines = text.splitlines()
    unmet = rule_tests.run(held.test, compiled, registry)
    return Outcome(tests=len(held.test), unmet=[_told(path, lines, held, one) for one in unmet])


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: {error}"]) from error


def _registry(path: Path, held: RuleTestFile) -> Registry:
    if held.stations and (held.station or held.area):
        raise ConfigError([f"{path}: stations names a file, but stations stand here too; expected one of both"])
    if held.stations:
        return stations.load(path.parent / held.stations)
    return stations.build(place=_NOWHERE, areas=held.area, stations=held.station, where=str(path))


def _told(path: Path, lines: Sequence[str], held: RuleTestFile, unmet: Unmet) -> str:
    compared = f": expected {unmet.expected}, found {unmet.found}" if unmet.expected else ""
    return f"{path}:{_line(lines, unmet)}: {held.test[unmet.test].name}: {unmet.what}{compared}"


def _line(lines: Sequence[str], unmet: Unmet) -> int:
    """Where the test, or its expectation, begins."""
    tests = list(_matches(lines, _TEST))
    if unmet.test >= len(tests):
        return 1  # written as an inline table
    begin = tests[unmet.test]
    end = tests[unmet.test + 1] if unmet.test + 1 < len(tests) else len(lines) + 1
    inside = [line for line in _matches(lines, _EXPECT) if begin < line < end]
    return inside[unmet.expect] if unmet.expect is not None and unmet.expect < len(inside) else begin


def _matches(lines: Sequence[str], pattern: re.Pattern[str]) -> Iterator[int]:
    return (number for number, line in enumerate(lines, start=1) if pattern.match(line))
