#!/usr/bin/env bash
# STUMPY: a sensor that died at 5.0 and one that died at 9.0 are the same pattern, at distance 0, closer than any two
#   healthy stretches.
# Guess: the distance of two flat stretches at different levels is large or undefined, so a dead sensor is a discord.
# Version: stumpy 1.14.1.
# Seen: windows without any variation are 0 apart whatever their levels, and sqrt(width) = 5.48 from everything else.
#   So the matrix profile of a sensor that dies twice is 0.0 there: the least anomalous windows of the series, and its
#   best motif.
# Source: stumpy issues 375 and 591 (z-normalised distance of two constant windows is set to 0).
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/v"
"$work/v/bin/pip" install -q --disable-pip-version-check stumpy==1.14.1 numpy==2.4.6
cd "$work"
v/bin/python - <<'PY'
import sys
import numpy as np, stumpy
step, width = np.arange(1000), 30
readings = np.sin(step / 10) + np.random.default_rng(0).normal(0, 0.1, step.size)
readings[300:360], readings[600:660] = 5.0, 9.0
def nearest(start):
    distances = stumpy.mass(readings[start:start + width], readings)
    distances[max(0, start - 2 * width):start + 2 * width] = np.inf  # itself and what overlaps it
    return float(distances.min()), int(distances.argmin())
dead, healthy = nearest(310), [nearest(start) for start in range(0, 240, 60)]
print("expected: the window that died at 5.0 is farther from its nearest neighbour than healthy windows")
print(f"seen:     dead {dead[0]:.3f} (the neighbour begins at {dead[1]}), healthy", [round(part[0], 3) for part in healthy])
same = dead[0] == 0 and 600 <= dead[1] <= 630 and min(part[0] for part in healthy) > 0.3
sys.exit(0 if same else "The behaviour has changed.")
PY
