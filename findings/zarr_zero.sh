#!/usr/bin/env bash
# zarr and xarray: readings of exactly 0 come back as NaN, or gaps come back as 0, by the version of the format.
# Guess: what one writes is what the other reads; a gap is NaN.
# Versions: zarr 3.1.6, xarray 2026.9.0, defaults throughout.
# Seen: zarr's default fill value for floats is 0. In format 2 xarray takes it for CF's _FillValue, so every true 0
#   (off, no flow) is NaN. In format 3 it does not: the 0 stays, and hours that nobody wrote are 0 as well.
# Source: xarray issues 5475 and 4930; xarray manual, open_zarr, use_zarr_fill_value_as_mask.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/v"
"$work/v/bin/pip" install -q --disable-pip-version-check zarr==3.1.6 xarray==2026.9.0 numpy==2.4.6
cd "$work"
v/bin/python - <<'PY'
import sys
import numpy as np, xarray as xr, zarr
seen = {}
for form in (2, 3):
    names = {"dimension_names": ["time"]} if form == 3 else {}
    flow = zarr.create_array(f"plant{form}.zarr", name="flow", shape=(6,), chunks=(3,), dtype="f8", zarr_format=form, **names)
    if form == 2:
        flow.attrs["_ARRAY_DIMENSIONS"] = ["time"]
    flow[:3] = [21.0, 0.0, -1.0]  # the second chunk is never written
    seen[form] = xr.open_zarr(f"plant{form}.zarr", consolidated=False)["flow"].values
print("expected: [21, 0, -1, nan, nan, nan] of both formats")
print("seen:     format 2:", seen[2], " format 3:", seen[3])
same = np.array_equal(seen[2], [21] + [np.nan, -1] + 3 * [np.nan], equal_nan=True)
sys.exit(0 if same and np.array_equal(seen[3], [21, 0, -1, 0, 0, 0]) else "The behaviour has changed.")
PY
