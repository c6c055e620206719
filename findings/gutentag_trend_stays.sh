#!/usr/bin/env bash
# GutenTAG: a trend anomaly ends in the labels and not in the series, and is made only of a multiple of five steps.
# Guess: a series that is asked to hold one anomaly of 50 steps is usual before and after it; any length will do.
# Version: timeeval-GutenTAG 1.5.0, NumPy 2.2.6.
# Seen: with a rising trend of 50 steps every later reading is 0.98 higher, to the end, and is labelled normal: a detector
#   that says so is counted wrong for the whole rest. With 48 steps: ValueError, shapes (48,) (47,).
# Source: anomalies/types/trend.py of that version, which adds the trend's last value to all that follows.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/v"
"$work/v/bin/pip" install -q --disable-pip-version-check timeeval-GutenTAG==1.5.0 numpy==2.2.6 pandas==3.0.3 "setuptools<81"
cd "$work"
v/bin/python - 2>errors <<'PY' || { tail -3 errors; exit 1; }
import sys
from gutenTAG import GutenTAG

def series(length, kinds):
    anomaly = {"exact-position": 400, "length": length, "channel": 0, "kinds": kinds}
    wave = {"kind": "sine", "frequency": 4.0, "variance": 0.0}
    of = {"name": "one", "length": 1000, "base-oscillations": [wave], "anomalies": [anomaly]}
    made = GutenTAG(seed=1).load_config_dict({"timeseries": [of]})
    frame = made.generate(return_timeseries=True)[0].timeseries
    return frame.iloc[:, 1 if frame.columns[0] == "timestamp" else 0], frame["is_anomaly"]

trend = [{"kind": "trend", "oscillation": {"kind": "polynomial", "polynomial": [0.0, 0.02]}}]
nothing = [{"kind": "mean", "offset": 0.0}]
risen, labels = series(50, trend)
usual, _ = series(50, nothing)
more = (risen - usual).round(2)
print("expected after the label: 0.0 more, 0 labelled; a trend of 48 steps")
print("seen:", sorted(set(more[450:])), "more in", int((more[450:] != 0).sum()), "of 550 readings,", int(labels[450:].sum()), "labelled")
try:
    series(48, trend)
    refused = ""
except ValueError as error:
    refused = str(error)
print("48 steps:", refused)
sys.exit(0 if set(more[450:]) == {0.98} and not labels[450:].any() and "(47,)" in refused else "The behaviour has changed.")
PY
