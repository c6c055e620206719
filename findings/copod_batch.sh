#!/usr/bin/env bash
# PyOD: a fitted COPOD (ECOD, ROD) scores the same reading differently by what else is in the call; an alarm by itself
#   is none in company.
# Guess: after fit() decision_function() is a function of the row: live scores, one by one, equal those of a backfill.
# Version: PyOD 3.6.7.
# Seen: the rows of the call are put beside the training rows and all tails are ranked anew. Alone the reading scores
#   6.39 (above the threshold 5.74), with 50 wilder ones in the call 3.51 (below). KNN and IForest are the same either
#   way.
# Source: PyOD issues 400, 401 and 604; the maintainers call it expected.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/v"
"$work/v/bin/pip" install -q --disable-pip-version-check pyod==3.6.7 numpy==2.4.6 scikit-learn==1.9.1
cd "$work"
v/bin/python - <<'PY'
import sys
import numpy as np
from pyod.models.copod import COPOD
from pyod.models.iforest import IForest
from pyod.models.knn import KNN
rng = np.random.default_rng(0)
training, reading, others = rng.normal(size=(300, 3)), np.array([[3.0, 0.0, 0.0]]), rng.normal(size=(50, 3)) * 5
seen = {}
for model in (COPOD(), KNN(), IForest(random_state=0)):
    model.fit(training)
    calls = (reading, np.vstack([reading, others]))
    found = [(float(model.decision_function(call)[0]), int(model.predict(call)[0])) for call in calls]
    seen[type(model).__name__] = [(round(score, 3), label) for score, label in found]
print("expected: the same (score, label) of the reading alone and in company")
print("seen:    ", seen)
alone, company = seen["COPOD"]
steady = all(seen[name][0] == seen[name][1] for name in ("KNN", "IForest"))
same = alone[1] == 1 and company[1] == 0 and alone[0] - company[0] > 2 and steady
sys.exit(0 if same else "The behaviour has changed.")
PY
