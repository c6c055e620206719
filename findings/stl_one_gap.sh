#!/usr/bin/env bash
# statsmodels: one missing reading takes the whole decomposition of a series with it, without a word.
# Guess: STL leaves the gap out (it is built on loess), or raises as other models of statsmodels do.
# Version: statsmodels 0.15.0.
# Seen: 240 hours with one NaN: trend, seasonal part and residual are NaN in all 240 rows, in STL, robust STL and MSTL;
#   no error, no warning. A limit on residuals flags nothing, for ever: NaN exceeds no limit.
# Source: statsmodels' pages of STL and MSTL, which say nothing of missing values.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/v"
"$work/v/bin/pip" install -q --disable-pip-version-check statsmodels==0.15.0 pandas==3.1.1 numpy==2.4.6
cd "$work"
v/bin/python - <<'PY'
import sys, warnings
import numpy as np
from statsmodels.tsa.seasonal import MSTL, STL
warnings.simplefilter("error")
load = np.sin(np.arange(240) / 24 * 2 * np.pi) + np.random.default_rng(1).normal(0, 0.1, 240)
load[100] = np.nan
fitted = (STL(load, period=24), STL(load, period=24, robust=True), MSTL(load, periods=(24, 48)))
found = [int(np.isnan(one.fit().resid).sum()) for one in fitted]
print("expected: 1 unknown residual each, or an error")
print("seen:    ", found, "of 240")
sys.exit(0 if found == [240, 240, 240] else "The behaviour has changed.")
PY
