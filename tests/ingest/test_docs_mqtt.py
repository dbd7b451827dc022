"""docs/mqtt.md names tests that are there, and every normative statement of MQTT 3.1.1 and 5."""

import re
from collections.abc import Iterator
from pathlib import Path

from ingest.packets.properties import PROPERTY_BYTES_MAX, USER_PROPERTIES_MAX

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "mqtt.md").read_text(encoding="utf-8")

STATEMENTS_OF_3 = {
    "1.5.3": 3, "2.2.2": 2, "2.3.1": 7, "3.1.0": 2, "3.1.2": 24, "3.1.3": 11, "3.1.4": 5, "3.2.0": 1, "3.2.2": 6,
    "3.3.1": 12, "3.3.2": 3, "3.3.4": 1, "3.3.5": 2, "3.6.1": 1, "3.8.1": 1, "3.8.3": 4, "3.8.4": 6, "3.9.3": 2,
    "3.10.1": 1, "3.10.3": 2, "3.10.4": 6, "3.12.4": 1, "3.14.1": 1, "3.14.4": 3, "4.1.0": 2, "4.2.0": 1, "4.3.1": 1,
    "4.3.2": 2, "4.3.3": 2, "4.4.0": 1, "4.5.0": 2, "4.6.0": 6, "4.7.1": 3, "4.7.2": 1, "4.7.3": 4, "4.8.0": 2,
    "6.0.0": 4,
}  # fmt: skip
"""The same of MQTT Version 3.1.1, OASIS Standard, 29 October 2014, without its section 7 (conformance)."""
STATEMENTS_OF_5 = {
    "1.5.4": 3, "1.5.5": 1, "1.5.7": 1, "2.1.3": 1, "2.2.1": 6, "2.2.2": 1,
    "3.1.0": 2, "3.1.2": 30, "3.1.3": 12, "3.1.4": 6, "3.2.0": 2, "3.2.2": 22, "3.3.1": 13, "3.3.2": 20, "3.3.4": 10,
    "3.4.2": 3, "3.5.2": 3, "3.6.1": 1, "3.6.2": 3, "3.7.2": 3, "3.8.1": 1, "3.8.3": 5, "3.8.4": 8,
    "3.9.2": 2, "3.9.3": 2, "3.10.1": 1, "3.10.3": 2, "3.10.4": 6, "3.11.2": 2, "3.11.3": 2, "3.12.4": 1,
    "3.14.0": 1, "3.14.1": 1, "3.14.2": 4, "3.14.4": 3, "3.15.1": 1, "3.15.2": 3,
    "4.1.0": 2, "4.2": 1, "4.3.1": 1, "4.3.2": 5, "4.3.3": 13, "4.4.0": 2, "4.5.0": 2, "4.6.0": 6,
    "4.7.0": 1, "4.7.1": 2, "4.7.2": 1, "4.7.3": 4, "4.8.2": 6, "4.9.0": 3, "4.12.0": 7, "4.12.1": 2,
    "4.13.1": 1, "4.13.2": 1, "6.0.0": 4,
}  # fmt: skip
"""Section -> number of its last statement; MQTT Version 5.0, OASIS Standard, 7 March 2019, appendix B."""
NO_STATEMENT = {"2.2.1-1"}
"""The standard counts from 2 there."""


def mentioned(text: str) -> Iterator[str]:
    """Statements in the first column of the tables: `3.1.2-8, -10 to -12` are four."""
    for cell in re.findall(r"^\| ([^|]*) \|", text, re.MULTILINE):
        section = ""
        for named, first, last in re.findall(r"(\d+(?:\.\d+)+)?-(\d+)(?: to -(\d+))?", cell):
            section = named or section
            if section:
                yield from (f"{section}-{number}" for number in range(int(first), int(last or first) + 1))


def test_every_test_named_on_the_page_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    written = {
        name
        for file in (ROOT / "tests" / "ingest").glob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", file.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert len(named) > 90
    assert named - written == set()


def test_every_statement_of_mqtt_3_1_1_is_on_the_page() -> None:
    found = set(mentioned(PAGE[: PAGE.index("\n# MQTT 5\n")]))
    wanted = {f"{section}-{number}" for section, last in STATEMENTS_OF_3.items() for number in range(1, last + 1)}
    assert sorted(wanted - found) == []
    assert sorted(found - wanted) == []


def test_every_statement_of_mqtt_5_is_on_the_page_once() -> None:
    found = list(mentioned(PAGE[PAGE.index("\n# MQTT 5\n") : PAGE.index("\n# Both versions\n")]))
    wanted = {
        f"{section}-{number}" for section, last in STATEMENTS_OF_5.items() for number in range(1, last + 1)
    } - NO_STATEMENT
    assert sorted(wanted - set(found)) == []
    assert sorted(set(found) - wanted) == []
    assert sorted(statement for statement in set(found) if found.count(statement) > 1) == []


def test_every_statement_that_the_code_cites_of_mqtt_5_is_one() -> None:
    code = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "ingest").rglob("*.py"))
    cited = re.findall(r"MQTT5-([\d.]+)-(\d+)", code)
    assert len(cited) > 15
    assert [(section, number) for section, number in cited if int(number) > STATEMENTS_OF_5.get(section, 0)] == []


def test_the_bounds_of_properties_are_those_of_the_page() -> None:
    wire = (ROOT / "docs" / "wire.md").read_text(encoding="utf-8")
    assert f"| properties of one packet (MQTT 5) | {PROPERTY_BYTES_MAX // 1024} KiB |" in wire
    assert f"| user properties of one packet (MQTT 5) | {USER_PROPERTIES_MAX} |" in wire
    assert f"more than {USER_PROPERTIES_MAX} user properties" in PAGE
