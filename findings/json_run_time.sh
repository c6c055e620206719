#!/usr/bin/env bash
# pandas: read_json turns a counter of seconds named run_time into dates, once all machines have run for a year.
# Guess: a JSON number stays a number.
# Version: pandas 3.1.1.
# Seen: columns whose names end in _time or _at (also timestamp..., modified, date) become datetimes when every value
#   is above 31536000, the number of seconds in 365 days; a single younger machine keeps them numbers. flow_at in Pa
#   behaves alike. And to_json writes ten decimals: a leakage current of 3e-12 A is 0.0 in the file.
# Source: pandas manual, read_json (keep_default_dates) and to_json (double_precision=10); the limit is _MIN_STAMPS in
#   its code.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/v"
"$work/v/bin/pip" install -q --disable-pip-version-check pandas==3.1.1
cd "$work"
v/bin/python - <<'PY'
import io, sys
import pandas as pd
def through_json(**columns):
    return pd.read_json(io.StringIO(pd.DataFrame(columns).to_json(orient="records")))
young, old = (through_json(run_time=[first, 40_000_000.5])["run_time"] for first in (31_000_000.5, 31_600_000.5))
kinds, date = [str(young.dtype), str(old.dtype)], old[0]
current = through_json(amps=[3e-12])["amps"][0]
print("expected: float64, float64; 3e-12")
print(f"seen:     {kinds[0]}, {kinds[1]} ({date} instead of 31600000.5); {current}")
same = kinds[0] == "float64" and kinds[1].startswith("datetime64") and date.year == 1971 and current == 0
sys.exit(0 if same else "The behaviour has changed.")
PY
