#!/usr/bin/env bash
# pandas: every third hourly reading of a spreadsheet or MATLAB time axis is counted to the hour before.
# Guess: to_datetime(unit="D") gives whole hours for days and 24ths of days, or at least rounds to the microsecond
#   that a float can tell.
# Version: pandas 3.1.1.
# Seen: 02:00 as a double (20454.083333333332 days) becomes 01:59:59.999999893; floor("h"), resample and a database's
#   date_trunc count it to 01. 2920 of the 8760 hours of a year. xarray, which decodes the same numbers from a netCDF
#   file ("days since 1970-01-01"), rounds: none.
# Source: seen; pandas manual, to_datetime (warns that floats may be rounded).
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/v"
"$work/v/bin/pip" install -q --disable-pip-version-check pandas==3.1.1 numpy==2.4.6 xarray==2026.9.0 netCDF4==1.7.5.1.post1
cd "$work"
v/bin/python - <<'PY'
import sys
import numpy as np, pandas as pd, xarray as xr
hours = pd.date_range("2026-01-01", periods=8760, freq="h")
days = np.asarray((hours - pd.Timestamp("1970-01-01")) / pd.Timedelta(days=1))
times = pd.to_datetime(days, unit="D")
xr.Dataset(coords={"time": ("time", days, {"units": "days since 1970-01-01"})}).to_netcdf("t.nc")
decoded = xr.open_dataset("t.nc")["time"].to_index()
wrong, wrong_xarray = int((times.floor("h") != hours).sum()), int((decoded.floor("h") != hours).sum())
print("expected: 0 readings in a wrong hour")
print(f"seen:     {wrong} of {hours.size} with pandas, such as {times[2]} for 02:00; {wrong_xarray} with xarray")
sys.exit(0 if wrong == 2920 and times[2].hour == 1 and wrong_xarray == 0 else "The behaviour has changed.")
PY
