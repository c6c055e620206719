#!/usr/bin/env bash
# NumPy: the mean of each float32 channel is wrong by 1.4 % after a million rows, while the mean of one channel alone
#   is exact.
# Guess: NumPy adds pairwise, so the error is some last digits, along whichever axis.
# Version: NumPy 2.4.6 (the same with xarray's mean, which calls it; not with pandas' or scikit-learn's).
# Seen: (1000000, 8) readings of 20.5 have mean(axis=0) 20.2046 and std(axis=0) 0.294 instead of 0. Pairwise sums are
#   taken along the contiguous axis only; rows are added one by one in float32, where 20.5 is rounded to 20 or 21 and
#   more.
# Source: NumPy manual, numpy.sum and numpy.mean, notes on precision.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/v"
"$work/v/bin/pip" install -q --disable-pip-version-check numpy==2.4.6
cd "$work"
v/bin/python - <<'PY'
import sys
import numpy as np
readings = np.full((1_000_000, 8), 20.5, np.float32)
by_channel, spread = readings.mean(axis=0), readings.std(axis=0)
alone = readings[:, 0].copy().mean()
print("expected: mean 20.5 and standard deviation 0 either way")
print(f"seen:     mean(axis=0) {by_channel[0]:.4f}, std(axis=0) {spread[0]:.4f}; one channel alone {alone:.4f}")
same = np.allclose(by_channel, 20.2046, atol=1e-3) and np.allclose(spread, 0.2941, atol=1e-3) and alone == np.float32(20.5)
sys.exit(0 if same else "The behaviour has changed.")
PY
