"""docs/wire.md and the code say the same of bounds and reasons."""

import re
from pathlib import Path

from ingest.limits import Limits
from ingest.message import Reason

PAGE = (Path(__file__).parents[2] / "docs" / "wire.md").read_text()


def test_every_reason_of_a_refusal_is_on_the_page_and_no_other() -> None:
    table = PAGE[PAGE.index("| reason | when |") :]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == [*Reason]


def test_the_bounds_on_the_page_are_those_of_the_code() -> None:
    rows = dict(re.findall(r"^\| ([^|]+) \| ([^|]+) \| [^|]+ \|$", PAGE, re.MULTILINE))
    limits = Limits()
    said = {
        "packet": f"{limits.packet_bytes // 1024} KiB remaining length",
        "before CONNECT": f"{limits.connect_s:g} s, {limits.connect_bytes // 1024} KiB",
        "connections": f"{limits.connections:,}; {limits.unconnected_per_address} from one address before CONNECT",
        "connections before CONNECT, all addresses": f"{limits.unconnected:,}",
        "connections of one station": f"{limits.connections_per_station}",
        "connections of one network": f"{limits.connections_per_network:,}",
        "unacknowledged messages of one connection": (
            f"{limits.unacked_messages:,}, or {limits.unacked_bytes // 1024**2} MiB"
        ),
        "unacknowledged messages of all connections": (
            f"{limits.inbox_bytes // 1024**2} MiB, and one packet of each connection"
        ),
        "answers not taken by the device": f"{limits.answers_s:g} s after reading from the socket paused for it",
        "refused packets of one station that wait for their row": f"{limits.refusals_per_station}",
    }
    assert {name: rows.get(name) for name in said} == said
    assert f"1-{limits.client_id_chars} characters, or empty with a clean session" in PAGE
