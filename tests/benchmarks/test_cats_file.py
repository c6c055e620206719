"""Files in the format of the CATS data set are read whole, and what is no such file is answered
with what it lacks.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from document_figures.cats_file import read_cats
from simulators.simulate_cats import CHANNELS, cats_plant
from simulators.simulate_documents import anomalous_steps

from tsad_tasks.base.errors import BadInput

START_AT = datetime(2023, 1, 1, tzinfo=UTC)
PLANT = cats_plant(2_000, start_at=START_AT, seed=7)


def _table() -> pd.DataFrame:
    rows = pd.DataFrame(PLANT.values[0], columns=list(CHANNELS))
    rows.insert(0, "timestamp", pd.to_datetime(PLANT.times_s, unit="s"))
    labels = anomalous_steps(PLANT)[0]
    return rows.assign(y=labels.astype(float), category=np.where(labels, 3.0, 0.0))


def _write(rows: pd.DataFrame, path: Path) -> Path:
    if path.suffix == ".parquet":
        rows.to_parquet(path, index=False)
    else:
        rows.to_csv(path, index=False)
    return path


@pytest.mark.parametrize("name", ["data.csv", "data.csv.gz", "data.parquet"])
def test_what_was_written_comes_back(tmp_path: Path, name: str) -> None:
    found = read_cats(_write(_table(), tmp_path / name))
    labels = anomalous_steps(PLANT)[0]
    assert np.array_equal(found.times_s, PLANT.times_s)
    assert np.array_equal(found.values, PLANT.values[0])
    assert np.array_equal(found.labels, labels)
    assert np.array_equal(found.categories, 3 * labels)


@pytest.mark.parametrize("name", ["data.csv", "data.parquet"])
def test_a_part_of_the_rows_can_be_read(tmp_path: Path, name: str) -> None:
    found = read_cats(_write(_table(), tmp_path / name), start=500, n_rows=100)
    assert np.array_equal(found.values, PLANT.values[0, 500:600])


def test_duplicates_and_empty_rows_are_left_out_and_counted(tmp_path: Path) -> None:
    rows = _table()
    rows.loc[10, list(CHANNELS)] = np.nan
    path = _write(pd.concat([rows, rows.iloc[[20, 21]]]), tmp_path / "data.csv")
    found = read_cats(path)
    assert (found.n_duplicates, found.n_missing, len(found.times_s)) == (2, 1, 1_999)


def test_a_missing_value_is_unknown(tmp_path: Path) -> None:
    rows = _table()
    rows.loc[10, "bed1"] = np.nan
    found = read_cats(_write(rows, tmp_path / "data.csv"))
    assert np.isnan(found.values[10, CHANNELS.index("bed1")])
    assert np.isfinite(found.values).sum() == found.values.size - 1


def test_rows_in_any_order_come_back_by_time(tmp_path: Path) -> None:
    found = read_cats(_write(_table().sample(frac=1, random_state=7), tmp_path / "data.csv"))
    assert np.array_equal(found.values, PLANT.values[0])


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    path = _write(_table().drop(columns=["bso3", "y"]), tmp_path / "data.csv")
    with pytest.raises(BadInput, match=r"Missing: bso3, y\."):
        read_cats(path)


def test_a_label_that_is_neither_0_nor_1_is_refused(tmp_path: Path) -> None:
    path = _write(_table().assign(y=2), tmp_path / "data.csv")
    with pytest.raises(BadInput, match=r"Expected 0 or 1 in column y\. Received: 2"):
        read_cats(path)


def test_text_in_a_channel_is_refused(tmp_path: Path) -> None:
    path = _write(_table().assign(bed1="cold"), tmp_path / "data.csv")
    with pytest.raises(BadInput, match="Expected numbers in column bed1"):
        read_cats(path)


def test_what_is_no_file_or_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data.xlsx").write_text("x")
    (tmp_path / "data.parquet").write_text("x")
    for name, said in (
        ("none.csv", "does not exist"),
        ("data.xlsx", r"\.parquet"),
        ("data.parquet", "which is none"),
    ):
        with pytest.raises(BadInput, match=said):
            read_cats(tmp_path / name)
