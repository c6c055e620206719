#!/usr/bin/env bash
# netCDF4: readings that equal an undeclared default fill value are masked; xarray reads the same file without a gap.
# Guess: with neither _FillValue nor missing_value in the file every number is a reading, and both libraries see the
#   same.
# Versions: netCDF4 1.7.5, xarray 2026.9.0.
# Seen: int16 -32767 and uint8 255 (what a saturated converter gives) are masked by netCDF4, mean() leaves them out;
#   so are values beyond valid_max, which xarray ignores: there 150 % counts.
# Source: netCDF4 manual, Variable.set_auto_mask; CF conventions, 2.5.1 "Missing data, valid and actual range".
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/v"
"$work/v/bin/pip" install -q --disable-pip-version-check netCDF4==1.7.5.1.post1 xarray==2026.9.0 numpy==2.4.6
cd "$work"
v/bin/python - <<'PY'
import sys
import netCDF4, numpy as np, xarray as xr
with netCDF4.Dataset("plant.nc", "w") as file:
    file.createDimension("time", 4)
    readings = {"counts": ("i2", [1, -32767, 3, 0]), "level": ("u1", [0, 255, 1, 2]), "share": ("f8", [1, 50, 150, 99])}
    for name, (kind, values) in readings.items():
        variable = file.createVariable(name, kind, ("time",))
        if name == "share":
            variable.valid_max = 100.0
        variable[:] = np.array(values, kind)
with netCDF4.Dataset("plant.nc") as file:
    masked = {name: np.ma.getmaskarray(file[name][:]).tolist() for name in ("counts", "level", "share")}
    means = {name: round(float(file[name][:].mean()), 1) for name in masked}
with xr.open_dataset("plant.nc") as file:
    others = {name: round(float(file[name].mean()), 1) for name in masked}
    attributes = {name: sorted(file[name].attrs) for name in masked}
print("expected: the same means from both libraries")
print("seen:     netCDF4", means, "xarray", others, "attributes", attributes)
wanted = {"counts": [False, True, False, False], "level": [False, True, False, False], "share": [False, False, True, False]}
unlike = all(means[name] != others[name] for name in masked)
sys.exit(0 if masked == wanted and unlike else "The behaviour has changed.")
PY
