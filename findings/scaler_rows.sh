#!/usr/bin/env bash
# scikit-learn: whether StandardScaler takes a channel for constant depends on how many rows it is fitted on.
# Guess: a channel is constant where its spread is beyond what float64 can tell, whatever the number of rows.
# Version: scikit-learn 1.9.1.
# Seen: 1e9 ± 0.01 (a total in Wh, a pressure in nPa; float64 tells 1e-7 there) has scale 0.01 with 43,200 rows and scale
#   1 with 432,000: scores fall to a hundredth when a month at one reading a minute becomes one every six seconds.
# Source: sklearn.preprocessing's bound for rounding errors of a variance, which grows with rows times mean, squared.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/v"
"$work/v/bin/pip" install -q --disable-pip-version-check scikit-learn==1.9.1 numpy==2.4.6
cd "$work"
v/bin/python - <<'PY'
import sys
import numpy as np
from sklearn.preprocessing import StandardScaler
total = 1e9 + np.random.default_rng(1).normal(0, 0.01, 432_000)
found = {n: round(float(StandardScaler().fit(total[:n, None]).scale_[0]), 3) for n in (1440, 43_200, 432_000)}
print("expected: 0.01 of any number of rows")
print("seen:    ", found, "; standard deviation of all:", round(float(total.std()), 4))
sys.exit(0 if found == {1440: 0.01, 43_200: 0.01, 432_000: 1.0} else "The behaviour has changed.")
PY
