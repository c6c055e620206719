#!/usr/bin/env bash
# SciPy: the circular mean of directions that cancel is a direction in which none of them pointed, and north is 360.
# Guess: without a mean direction circmean gives NaN, as its formula is 0/0; and answers lie in [low, high).
# Version: SciPy 1.17.1.
# Seen: north and south give east, east and west give south, 10 and 190 give west: what is left of rounding is taken
#   for a direction. 350 and 10 give 360.0, which a bin [0, 360) does not hold.
# Source: SciPy's page of circmean, which names neither.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/v"
"$work/v/bin/pip" install -q --disable-pip-version-check scipy==1.17.1 numpy==2.4.6
cd "$work"
v/bin/python - <<'PY'
import sys
from scipy.stats import circmean
pairs = ([0, 180], [90, 270], [10, 190], [350, 10])
found = [round(float(circmean(pair, high=360)), 6) for pair in pairs]
print("expected: [nan, nan, nan, 0.0]")
print("seen:    ", found)
sys.exit(0 if found == [90.0, 180.0, 270.0, 360.0] else "The behaviour has changed.")
PY
