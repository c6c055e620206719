#!/usr/bin/env bash
# Differences of an unsigned column where a total falls (a meter that restarts, a register that wraps).
# Guess: pandas' diff, which answers in float64 here, gives -2; so does every library whose answer is signed or float.
# Versions: NumPy 2.4.6, pandas 3.1.1, pyarrow 26.0.1, polars 2.1.0, DuckDB 2.0.1.
# Seen for 5, 3 as uint16: pandas 65534.0, a float that has wrapped before it became one (uint64: 1.8e19); with pandas'
#   own UInt16 65534; with its pyarrow type an error; pyarrow itself 65534; polars -2; DuckDB an error.
# Source: NumPy's and pyarrow's manuals tell of wrapping; pandas' page of Series.diff says that integers give float64.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/v"
"$work/v/bin/pip" install -q --disable-pip-version-check numpy==2.4.6 pandas==3.1.1 pyarrow==26.0.1 polars==2.1.0 \
  duckdb==2.0.1
cd "$work"
v/bin/python - <<'PY'
import sys
import duckdb, numpy as np, pandas as pd, polars as pl, pyarrow as pa, pyarrow.compute as pc

def seen(difference):
    try:
        return difference()
    except Exception as error:
        return type(error).__name__

found = {
    f"pandas {dtype}": seen(lambda: pd.Series([5, 3], dtype=dtype).diff().tolist()[1])
    for dtype in ("uint16", "uint64", "UInt16", "uint16[pyarrow]")
}
found["pyarrow"] = pc.pairwise_diff(pa.array([5, 3], pa.uint16())).to_pylist()[1]
found["polars"] = pl.Series([5, 3], dtype=pl.UInt16).diff().to_list()[1]
rows = "(VALUES (1, 5::USMALLINT), (2, 3::USMALLINT)) r(i, v)"
statement = f"SELECT v - lag(v) OVER (ORDER BY i) FROM {rows} ORDER BY i"
found["duckdb"] = seen(lambda: duckdb.sql(statement).fetchall()[1][0])
print("expected: -2 wherever the answer is float or signed")
print("seen:    ", found)
wanted = [65534.0, 2.0**64, 65534, "ArrowInvalid", 65534, -2, "OutOfRangeException"]
sys.exit(0 if [*found.values()] == wanted else "The behaviour has changed.")
PY
