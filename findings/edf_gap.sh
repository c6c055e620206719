#!/usr/bin/env bash
# pyEDFlib: a gap, and an infinite reading, are stored in an EDF file as the lowest value of the sensor's range.
# Guess: a format without NaN makes its writer refuse one, or +inf at least ends at the upper end.
# Version: pyedflib 0.1.42.
# Seen: with a range of -20 to 100 both NaN and +inf come back as -20.0, a perfectly normal reading; 500 is clipped to
#   100 without a word.
# Source: seen; EDF's specification (samples are 16-bit integers, no value for "missing").
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/v"
"$work/v/bin/pip" install -q --disable-pip-version-check pyedflib==0.1.42 numpy==2.4.6
cd "$work"
v/bin/python - <<'PY'
import sys
import numpy as np, pyedflib
header = {"label": "T", "dimension": "C", "sample_frequency": 6, "physical_max": 100.0, "physical_min": -20.0,
          "digital_max": 32767, "digital_min": -32768, "transducer": "", "prefilter": ""}
with pyedflib.EdfWriter("t.edf", 1, file_type=pyedflib.FILETYPE_EDFPLUS) as writer:
    writer.setSignalHeaders([header])
    writer.writeSamples([np.array([21.5, np.nan, np.inf, -np.inf, 500.0, 21.5])])
with pyedflib.EdfReader("t.edf") as reader:
    seen = [round(float(value), 1) for value in reader.readSignal(0)]
print("expected: an error, or [21.5, nan, 100, -20, 100, 21.5]")
print("seen:    ", seen)
sys.exit(0 if seen == [21.5, -20.0, -20.0, -20.0, 100.0, 21.5] else "The behaviour has changed.")
PY
