"""Whole columns out of Parquet: what the reader by rows reads, in blocks that lose and repeat nothing."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from takean import exchange_files
from takean.parquet_blocks import Unfit, read
from tests.builders import MINUTE_US, T0_US, registry, thorough

REGISTRY = registry()
ROWS = [(station, T0_US + k * MINUTE_US, 0.5 + k) for station in ("A", "B") for k in range(7)]


def written(path: Path, rows: Sequence[tuple[str, int, float | None]], **changed: object) -> Path:
    station, time_us, value = (list(column) for column in zip(*rows, strict=True))
    columns = {
        "station": station,
        "reading": ["stage_m"] * len(rows),
        "time_utc": pa.array(time_us, pa.timestamp("us", "UTC")),
        "value": value,
        "unit": ["m"] * len(rows),
    }
    parquet.write_table(pa.table({**columns, **changed}), path, row_group_size=4)
    return path


def test_it_reads_what_is_read_row_by_row(tmp_path: Path) -> None:
    path = written(tmp_path / "a.parquet", [*ROWS, ("B", T0_US - MINUTE_US, None)])
    (chunk,) = exchange_files.chunks(path, REGISTRY, lambda _, why: pytest.fail(why))
    order = np.lexsort((chunk.time_us, chunk.series))
    found = read(path, REGISTRY)
    assert found.time_us.tolist() == chunk.time_us[order].tolist()
    np.testing.assert_array_equal(found.value, chunk.value[order])
    assert np.repeat(found.series, np.diff(found.edges)).tolist() == chunk.series[order].tolist()


@given(rows=st.integers(1, 20), shuffled=st.permutations(ROWS))
@thorough(20)
def test_blocks_of_any_size_hold_every_reading_once_and_in_order(
    tmp_path_factory: pytest.TempPathFactory, rows: int, shuffled: list[tuple[str, int, float | None]]
) -> None:
    found = read(written(tmp_path_factory.mktemp("any") / "a.parquet", shuffled), REGISTRY)
    blocks = list(found.blocks(rows))
    seen = [one for block in blocks for one in zip(block.series.tolist(), block.time_us.tolist(), strict=True)]
    assert sorted(seen) == [(("A", "B").index(station), time_us) for station, time_us, _ in ROWS]
    edges_us = [(int(block.time_us.min()), int(block.time_us.max())) for block in blocks]
    assert all(before[1] < after[0] for before, after in pairwise(edges_us))
    assert all((np.diff(block.series) >= 0).all() for block in blocks)


def test_a_file_without_a_reading_has_no_block(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    parquet.write_table(parquet.read_table(written(path, ROWS)).slice(0, 0), path)
    assert list(read(path, REGISTRY).blocks()) == []


@pytest.mark.parametrize(
    "changed",
    [
        {"reading": ["rain_mm"] * len(ROWS)},
        {"station": ["A"] * 13 + [None]},
        {"unit": ["cm"] * len(ROWS)},
        {"value": [float("inf")] * len(ROWS)},
        {"time_utc": pa.array([None] * len(ROWS), pa.timestamp("us", "UTC"))},
        {"time_utc": pa.array([T0_US] * len(ROWS), pa.timestamp("us", "UTC"))},
        {"time_utc": pa.array([T0_US] * len(ROWS), pa.timestamp("us"))},
    ],
)
def test_what_must_be_looked_at_row_by_row_is_not_read_as_columns(tmp_path: Path, changed: dict[str, object]) -> None:
    with pytest.raises(Unfit):
        read(written(tmp_path / "a.parquet", ROWS, **changed), REGISTRY)


def test_what_is_no_parquet_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(Unfit):
        read(tmp_path / "a.parquet", REGISTRY)
