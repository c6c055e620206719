"""Reads the files of the CATS data set (Controlled Anomalies Time Series, Zenodo 8338435): CSV or
parquet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from simulators.simulate_cats import CHANNELS

from tsad_tasks.base.errors import BadInput

if TYPE_CHECKING:
    import pandas as pd

TIME, LABEL, CATEGORY = "timestamp", "y", "category"
COLUMNS = (TIME, *CHANNELS, LABEL, CATEGORY)


@dataclass(frozen=True)
class CatsReadings:
    """Rows of a CATS file, by time.

    Attributes
    ----------
    times_s : int64 (n_rows,)
        Unix seconds.
    values : float64 (n_rows, 17)
        In the order of `CHANNELS`; NaN where nothing was read.
    labels : bool (n_rows,)
        Whether the row is anomalous.
    categories : int64 (n_rows,)
        Category of the anomaly, 0 where there is none.
    n_duplicates, n_missing : int
        Rows left out because their time came twice, or because no channel had a value.
    """

    times_s: NDArray[np.int64]
    values: NDArray[np.float64]
    labels: NDArray[np.bool_]
    categories: NDArray[np.int64]
    n_duplicates: int
    n_missing: int


def read_cats(path: Path, *, start: int = 0, n_rows: int | None = None) -> CatsReadings:
    """Readings, labels and categories of a file, without duplicates and empty rows.

    Parameters
    ----------
    start, n_rows : int
        Which rows of the file; by default all (5 million take about 1.5 GB).

    Raises
    ------
    BadInput
        When there is no such file, it is neither CSV nor parquet, a column is missing or holds
        something else.
    """
    if not path.is_file():
        raise BadInput(f"Expected a CATS file. Received: {path}, which does not exist.")
    rows = _rows(path, start, n_rows)
    times_s = _times_s(path, rows[TIME])
    values = np.column_stack([_numbers(path, rows, name) for name in CHANNELS])
    labels = _numbers(path, rows, LABEL)
    if not np.isin(labels, (0.0, 1.0)).all():
        raise BadInput(
            f"{path}: Expected 0 or 1 in column {LABEL}. Received: "
            f"{labels[~np.isin(labels, (0, 1))][0]:g}."
        )
    categories = np.nan_to_num(_numbers(path, rows, CATEGORY)).astype(np.int64)
    return _cleaned(times_s, values, labels > 0, categories)


def _rows(path: Path, start: int, n_rows: int | None) -> pd.DataFrame:
    import pandas as pd

    kind = path.suffix.lower()
    if kind == ".parquet":
        _check_columns(path, _parquet_columns(path))
        rows = pd.read_parquet(path, columns=list(COLUMNS))
        return rows.iloc[start : None if n_rows is None else start + n_rows]
    if kind not in (".csv", ".gz"):
        raise BadInput(
            f"Expected a file that ends in .csv, .csv.gz or .parquet. Received: {path.name}."
        )
    _check_columns(path, pd.read_csv(path, nrows=0).columns.tolist())
    return pd.read_csv(path, usecols=list(COLUMNS), skiprows=range(1, start + 1), nrows=n_rows)


def _parquet_columns(path: Path) -> list[str]:
    import pyarrow.parquet

    try:
        names: list[str] = pyarrow.parquet.read_schema(path).names
    except pyarrow.ArrowInvalid as error:
        raise BadInput(
            f"Expected a parquet file. Received: {path}, which is none ({error})."
        ) from error
    return names


def _check_columns(path: Path, found: Sequence[str]) -> None:
    missing = [name for name in COLUMNS if name not in found]
    if missing:
        raise BadInput(
            f"{path}: Expected the columns {', '.join(COLUMNS)}. Missing: {', '.join(missing)}. "
            "The files with all channels are those of Zenodo 8338435."
        )


def _times_s(path: Path, times: pd.Series) -> NDArray[np.int64]:
    import pandas as pd

    try:
        parsed = pd.to_datetime(times, utc=True)
    except (ValueError, TypeError) as error:
        raise BadInput(f"{path}: Expected times in column {TIME}. Received: {error}.") from error
    if parsed.isna().any():
        raise BadInput(
            f"{path}: Expected a time in every row. Received: {int(parsed.isna().sum())} rows "
            "without."
        )
    return np.asarray(parsed.dt.tz_localize(None).to_numpy("datetime64[s]").astype(np.int64))


def _numbers(path: Path, rows: pd.DataFrame, name: str) -> NDArray[np.float64]:
    try:
        return np.asarray(rows[name].to_numpy(dtype=np.float64, na_value=np.nan))
    except (ValueError, TypeError) as error:
        raise BadInput(f"{path}: Expected numbers in column {name}. Received: {error}.") from error


def _cleaned(
    times_s: NDArray[np.int64],
    values: NDArray[np.float64],
    labels: NDArray[np.bool_],
    categories: NDArray[np.int64],
) -> CatsReadings:
    """By time; of rows with the same time the last one stays, and rows without any value go."""
    order = np.argsort(times_s, kind="stable")
    ascending = times_s[order]
    last = (
        np.append(ascending[1:] != ascending[:-1], True)
        if ascending.size
        else np.empty(0, np.bool_)
    )
    kept = order[last]
    read = np.isfinite(values[kept]).any(axis=1)
    n_duplicates, n_missing = int(order.size - kept.size), int((~read).sum())
    kept = kept[read]
    return CatsReadings(
        times_s[kept], values[kept], labels[kept], categories[kept], n_duplicates, n_missing
    )
