"""The house: who may import whom, who may touch the world, and what must not stand anywhere."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("sensors", "ingest", "alerts", "api", "dashboards", "firmware_sim", "takean")

MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "sensors": ("sensors",),
    "ingest": ("ingest", "sensors"),
    "alerts": ("alerts", "sensors"),
    "api": ("api", "alerts", "sensors"),
    "dashboards": ("dashboards", "sensors"),
    "firmware_sim": ("firmware_sim",),
    "takean": PACKAGES,
}
"""Design section 2."""

API_MAY_NOT_SEE = ("alerts.dispatch", "alerts.channels", "alerts.judge", "alerts.snapshot", "alerts.ledger.")
"""An HTTP request cannot send anything or judge: it can only record that something is due."""

SHELL = {
    "takean": "all",
    "sensors": (
        "stations.py",
        "store/answers.py",
        "store/archive.py",
        "store/asking.py",
        "store/cursor.py",
        "store/days.py",
        "store/duck.py",
        "store/memory.py",
        "store/mirror.py",
        "store/newest.py",
        "store/repeats.py",
        "store/retention.py",
        "store/retention_rows.py",
        "store/reviews.py",
        "store/rollup.py",
        "store/split.py",
        "store/writer.py",
    ),
    "ingest": (
        "pump.py",
        "endpoint.py",
        "connection.py",
        "link.py",
        "broker.py",
        "broker_connection.py",
        "broker_link.py",
        "broker_terms.py",
        "buffered.py",
        "quarantine.py",
        "births.py",
        "credentials.py",
        "unregistered.py",
        "tls.py",
        "turns.py",
        "certificates.py",
        "serial/door.py",
        "serial/line.py",
    ),
    "alerts": (
        "rules.py",
        "route.py",
        "judge.py",
        "recorder.py",
        "alarms.py",
        "snapshot.py",
        "dispatch.py",
        "ledger/memory.py",
        "ledger/accounts.py",
    ),
    "api": "all",
    "dashboards": ("pages.py", "vendor_assets.py", "draw_map.py"),
    "firmware_sim": ("recording.py", "mqtt_link.py", "run.py", "serial/line.py"),
}
"""Files that may touch the world: socket, disk, clock, thread, random. Everything else is pure."""

WORLD = frozenset(
    {
        "asyncio", "duckdb", "http", "httpx", "influxdb_client", "logging", "os", "paho", "pathlib", "random",
        "secrets", "shutil", "signal", "socket", "sqlalchemy", "sqlite3", "subprocess", "tempfile", "threading", "time",
        "urllib", "urllib3", "uvicorn",
    }
)  # fmt: skip


def modules(package: str) -> list[Path]:
    return sorted(p for p in (ROOT / package).rglob("*.py") if "node_modules" not in p.parts)


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).is_file()]


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_import_only_what_they_may(package: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in modules(package)
        for name in imported(path)
        if name.split(".")[0] in (*PACKAGES, "tests", "bench") and name.split(".")[0] not in MAY_IMPORT[package]
    ]
    assert not wrong


def test_a_request_can_neither_send_nor_judge() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in modules("api")
        for name in imported(path)
        if name.startswith(API_MAY_NOT_SEE)
        and not any(name == f"alerts.ledger.{public}" for public in _public_names("alerts/ledger/__init__.py"))
    ]
    assert not wrong


def _public_names(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    assigned = {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    return assigned | {node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)}


@pytest.mark.parametrize("package", PACKAGES)
def test_only_shell_files_touch_the_world(package: str) -> None:
    shell = SHELL[package]
    if shell == "all":
        return
    wrong = [
        f"{name}: {path.relative_to(ROOT / package)}"
        for path in modules(package)
        for name in sorted({n.split(".")[0] for n in imported(path)} & WORLD)
        if not _is_shell(path, package)
    ]
    assert not wrong


def _is_shell(path: Path, package: str) -> bool:
    inside = path.relative_to(ROOT / package).as_posix()
    return inside in SHELL[package] or inside.startswith(("ledger/sql", "ledger/migrations", "ledger/tables"))


@pytest.mark.parametrize("package", [p for p in PACKAGES if SHELL[p] != "all"])
def test_the_list_of_shell_files_names_only_shells(package: str) -> None:
    for name in SHELL[package]:
        path = ROOT / package / name
        assert {n.split(".")[0] for n in imported(path)} & WORLD, f"{package}/{name} is pure: take it off the list"


def test_no_module_hides_one_of_the_standard_library() -> None:
    hiding = [
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in modules(package)
        if path.stem in sys.stdlib_module_names and path.parent == ROOT / package
    ]
    assert not hiding


def test_nothing_names_a_machine_or_a_registry() -> None:
    forbidden = re.compile(
        rb"(?<![\w.])/(?:wor"
        + rb"k|roo"
        + rb"t|hom"
        + rb"e)/\w|file"
        + rb"s\.pythonhosted|pyp"
        + rb"i\.org|registr"
        + rb"y\.npmjs"
    )
    named = [
        f"{path.relative_to(ROOT)}: {found.group().decode()}"
        for path in tracked()
        if (found := forbidden.search(path.read_bytes()))
    ]
    assert not named


def test_locks_pin_every_package_with_its_hash() -> None:
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert "://" not in text
        pins = re.findall(r"^([a-z0-9][\w.\-\[\]]*)==", text, re.MULTILINE)
        assert len(pins) > 20
        blocks = re.split(r"\n(?=[a-z0-9])", text)
        assert all("--hash=sha256:" in block for block in blocks if "==" in block)


def test_every_package_is_listed_for_the_build() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert all(f'"{package}*"' in text for package in PACKAGES)


def test_nothing_is_left_open() -> None:
    marks = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X|NotImplemented" + r"Error)\b")
    found = [
        f"{path.relative_to(ROOT)}: {m.group()}"
        for path in tracked("*.py", "*.js", "*.html")
        if "vendor" not in path.parts and (m := marks.search(path.read_text(encoding="utf-8")))
    ]
    assert not found
