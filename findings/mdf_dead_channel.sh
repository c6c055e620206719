#!/usr/bin/env bash
# asammdf: MDF.to_dataframe() keeps a dead channel alive, and gives a late one readings before its first.
# Guess: where a channel has no sample the frame has NaN, as in pandas' outer join.
# Version: asammdf 8.8.28.
# Seen: on the union of all time stamps a channel that stopped at 3 s reads 23.0 until the end; one with samples at 2
#   s and 6 s only reads 10.0 from the start, a line between them, 30.0 ever after. No NaN, nothing says which values
#   were measured.
# Source: asammdf issue 281 (hence to_dataframe(interpolate_outwards_with_nan=True), False by default), manual,
#   MDF.to_dataframe.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/v"
"$work/v/bin/pip" install -q --disable-pip-version-check asammdf==8.8.28 numpy==2.4.6 pandas==3.1.1
cd "$work"
v/bin/python - <<'PY'
import sys
import numpy as np
from asammdf import MDF, Signal
with MDF(version="4.10") as file:
    file.append([Signal(np.arange(10.0), np.arange(10.0), name="alive")])
    file.append([Signal(np.array([20.0, 21.0, 22.0, 23.0]), np.arange(4.0), name="dies")])
    file.append([Signal(np.array([10.0, 30.0]), np.array([2.0, 6.0]), name="sparse")])
    file.save("run.mf4", overwrite=True)
with MDF("run.mf4") as file:
    frame = file.to_dataframe()
seen = {name: frame[name].tolist() for name in ("dies", "sparse")}
print("expected: 6 gaps in dies, 8 in sparse")
print("seen:    ", {name: int(frame[name].isna().sum()) for name in seen}, seen)
wanted = {"dies": [20.0, 21.0, 22.0] + [23.0] * 7, "sparse": [10.0] * 3 + [15.0, 20.0, 25.0] + [30.0] * 4}
sys.exit(0 if seen == wanted else "The behaviour has changed.")
PY
