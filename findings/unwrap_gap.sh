#!/usr/bin/env bash
# NumPy: in unwrap one missing reading is the end of the series.
# Guess: a gap stays a gap, and what follows is unwrapped from the last angle that is known (or from itself).
# Version: NumPy 2.4.6.
# Seen: 350, NaN, 10, 20 degrees become 350, NaN, NaN, NaN: corrections are added up, and NaN stays in the sum. The same
#   for a counter that is unwrapped with period=65536. np.diff before it has a gap of two readings.
# Source: NumPy's page of unwrap, which does not name missing values.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/v"
"$work/v/bin/pip" install -q --disable-pip-version-check numpy==2.4.6
cd "$work"
v/bin/python - <<'PY'
import sys
import numpy as np
vane = np.array([350, np.nan, 10, 20.0])
counter = np.array([65530, np.nan, 4, 10.0])
found = [np.unwrap(vane, period=360), np.unwrap(counter, period=65536)]
print("expected: [350, nan, 370, 380] and [65530, nan, 65540, 65546]")
print("seen:    ", *found)
same = [np.array_equal(one, [first, np.nan, np.nan, np.nan], equal_nan=True) for one, first in zip(found, (350, 65530))]
sys.exit(0 if all(same) else "The behaviour has changed.")
PY
