#!/usr/bin/env bash
# xarray to netCDF: packed as int16 a gap becomes a reading of 0, and a reading beyond the range comes back with the
#   other sign.
# Guess: NaN without a _FillValue is refused (or gets the default fill value), a value that does not fit is refused or
#   clipped.
# Versions: xarray 2026.9.0, netCDF4 1.7.5.
# Seen: with dtype int16 and scale_factor 0.1, as archives are packed, NaN is cast to 0 and 4000.0 wraps around to
#   -2553.6. A RuntimeWarning at most, no error. With _FillValue the gap survives, the wrap does not go away.
# Source: xarray manual, "Scaling and type conversions" (encoding); NumPy's cast of float to int.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/v"
"$work/v/bin/pip" install -q --disable-pip-version-check netCDF4==1.7.5.1.post1 xarray==2026.9.0 numpy==2.4.6
cd "$work"
v/bin/python - <<'PY'
import sys, warnings
import numpy as np, xarray as xr
warnings.simplefilter("ignore")
data = xr.Dataset({"temperature": ("time", [21.5, np.nan, 3000.0, 4000.0])})
packed = {"dtype": "int16", "scale_factor": 0.1}
found = []
for number, encoding in enumerate((packed, packed | {"_FillValue": -9999})):
    data.to_netcdf(f"{number}.nc", encoding={"temperature": encoding})
    with xr.open_dataset(f"{number}.nc") as file:
        found.append(np.round(file["temperature"].values, 1))
print("expected: [21.5, nan, 3000, 4000], or an error")
print("seen:    ", found[0], "and with _FillValue", found[1])
same = np.array_equal(found[0], [21.5, 0.0, 3000.0, -2553.6])
same = same and np.array_equal(found[1], [21.5, np.nan, 3000.0, -2553.6], equal_nan=True)
sys.exit(0 if same else "The behaviour has changed.")
PY
