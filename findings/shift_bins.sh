#!/usr/bin/env bash
# pandas: in which shift a reading falls depends on the day on which the frame begins.
# Guess: resample("6h") of local times gives the shifts 00, 06, 12 and 18 o'clock, whatever else is in the frame.
# Version: pandas 3.1.1.
# Seen: bins are counted in hours that pass from midnight of the frame's first row. After the clocks are set back they
#   begin at 05, 11, 17 and 23; in a frame that begins a day later at 00, 06, 12 and 18. The reading of 05:30 is in
#   another shift in the live run than in a backfill.
# Source: pandas manual, resample, origin="start_day".
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/v"
"$work/v/bin/pip" install -q --disable-pip-version-check pandas==3.1.1
cd "$work"
v/bin/python - <<'PY'
import sys
import pandas as pd
times = pd.date_range("2026-10-24", "2026-10-27", freq="30min", tz="Europe/Berlin", inclusive="left")
readings = pd.Series(1.0, times)
at = pd.Timestamp("2026-10-26 05:30", tz="Europe/Berlin")
seen = {}
for first in ("2026-10-24", "2026-10-26"):
    starts = readings[first:].resample("6h").sum().index
    seen[first] = starts[starts <= at][-1].strftime("%H:%M")
print("expected: 05:30 of 26 October belongs to the shift that begins at 00:00")
print("seen:    ", ", ".join(f"{start} in a frame from {first}" for first, start in seen.items()))
sys.exit(0 if list(seen.values()) == ["05:00", "00:00"] else "The behaviour has changed.")
PY
