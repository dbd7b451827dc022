"""Who loads what at a start: each process must be back at once."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from takean.settings import SAMPLE

ROOT = Path(__file__).parents[2]
OPENS = """
import sys
from pathlib import Path
from alerts.ledger.sql import open_ledger
sys.stdin.readline()
open_ledger(Path(sys.argv[1]) / "ledger.sqlite").close()
print("alembic" in sys.modules)
"""


@pytest.mark.parametrize(
    ("imported", "spared"),
    [
        ("takean.run", ("typer", "rich", "numpy", "sqlalchemy")),
        ("takean.processes, takean.configuration", ("typer", "rich", "sqlalchemy", "duckdb", "google.protobuf")),
        ("takean.processes, takean.dispatch_part", ("typer", "rich", "numpy", "duckdb", "pydantic", "alembic")),
        ("takean.processes, takean.worker_part", ("typer", "rich", "pydantic", "alembic", "ingest.broker")),
        ("takean.processes, takean.web_part", ("typer", "rich", "alembic", "google.protobuf", "takean.worker")),
    ],
)
def test_a_process_loads_only_its_own(imported: str, spared: tuple[str, ...]) -> None:
    code = f"import sys, {imported}\nprint(*set({spared!r}) & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == ""


def test_of_processes_that_find_a_new_ledger_one_loads_what_makes_it(tmp_path: Path) -> None:
    opening = [
        subprocess.Popen(
            [sys.executable, "-c", OPENS, str(tmp_path)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for process in opening:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    said = [process.communicate(timeout=60)[0].strip() for process in opening]
    assert sorted(said) == ["False", "False", "True"]


def test_the_look_before_a_start_names_mistakes_and_changes_nothing(tmp_path: Path) -> None:
    def check(*more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "takean", "check", *more],
            env={**os.environ, "TAKEAN_CONFIG": str(SAMPLE), "TAKEAN_STATE": str(tmp_path / "state")},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )

    right, other = check("--kind", "exercise"), check("--kind", "actual")
    assert (right.returncode, right.stdout, right.stderr) == (0, "", "")
    assert other.returncode == 2
    assert "the platform runs as actual; put it back" in " ".join(other.stderr.split())
    assert list(tmp_path.iterdir()) == []
