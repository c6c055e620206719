"""Series of every kind that GutenTAG makes, and what two others make of them.

`gutentag.py` runs this file with an interpreter of its own, which has GutenTAG, PyOD and stumpy and
nothing of this project: `gutentag_series.py FOLDER SEED ...` writes one file of arrays per kind and
seed. Thirty waves of 96 steps are normal; thirty more hold six anomalies.
"""

from __future__ import annotations

import contextlib
import io
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np

WAVE, N_WAVES, N_ANOMALIES = 96, 30, 6
# The rivals' windows, in steps.
WINDOW = 48
# A trend wants a multiple of five.
LENGTHS = {"extremum": 1, "trend": 50}
PERIODIC = ("sine", "cosine", "square", "sawtooth", "dirichlet")
OSCILLATIONS: dict[str, dict[str, Any]] = {
    "cylinder-bell-funnel": {"avg-pattern-length": 48, "variance-pattern-length": 0.1},
    # A whole number of beats a minute is all it can do: a wave of 100 steps.
    "ecg": {"frequency": 1.0},
    "random-mode-jump": {"frequency": 30, "channel-diff": 1.0, "random-seed": 3},
    "polynomial": {"polynomial": [1, 1e-4]},
    "formula": {"formula": {"base": 0, "operation": {"kind": "*", "operand": -0.5}}},
}
ANOMALIES: dict[str, dict[str, Any]] = {
    "amplitude": {"amplitude_factor": 1.5},
    "extremum": {"min": False, "local": False},
    "frequency": {"frequency_factor": 2.0},
    "mean": {"offset": 0.5},
    "pattern": {
        "sinusoid_k": 8.0,
        "cbf_pattern_factor": 2.0,
        "square_duty": 0.2,
        "sawtooth_width": 0.1,
    },
    "pattern-shift": {"shift_by": 10, "transition_window": 12},
    "platform": {"value": 0.5},
    # Half a wave: where it ends, all that follows stays.
    "trend": {"oscillation": {"kind": "sine", "frequency": 1.0, "amplitude": 0.5}},
    "variance": {"variance": 0.3},
    "mode-correlation": {},
}


def kinds() -> list[tuple[str, str]]:
    """Every anomaly with every oscillation that it can be put into."""
    from gutenTAG.utils.compatibility import Compatibility

    table = Compatibility.combinations
    pairs = [(anomaly, base) for anomaly in table.index for base in table.columns]
    return [one for one in pairs if table.loc[one] and one[1] != "custom-input"]


def oscillation(kind: str) -> dict[str, Any]:
    """One channel's part of the configuration."""
    wave = {"frequency": 100 / WAVE} if kind in PERIODIC else {}
    return {"kind": kind, "variance": 0.05} | wave | OSCILLATIONS.get(kind, {})


def made(anomaly: str, kind: str, seed: int) -> dict[str, Any]:
    """Normal and test readings (n, n_channels), and which steps of the test are anomalous."""
    from gutenTAG import GutenTAG

    rng, length = np.random.default_rng([seed, 5]), WAVE * N_WAVES
    apart = length // N_ANOMALIES
    channels = {"random-mode-jump": [kind, kind], "formula": ["sine", kind]}.get(kind, [kind])
    spans = [
        {
            "exact-position": int(number * apart + rng.integers(WAVE, apart - 2 * WAVE)),
            "length": LENGTHS.get(anomaly, WAVE // 2),
            "channel": int(kind == "formula"),
            "kinds": [{"kind": anomaly, **ANOMALIES[anomaly]}],
        }
        for number in range(N_ANOMALIES)
    ]
    of_series = {"name": "one", "length": length, "semi-supervised": True, "anomalies": spans}
    of_series["base-oscillations"] = [oscillation(one) for one in channels]
    generator = GutenTAG(seed=seed)
    with contextlib.redirect_stderr(io.StringIO()):
        generator.load_config_dict({"timeseries": [of_series]})
        parts = generator.generate(return_timeseries=True)
    frames = {part.training_type.value: part.timeseries for part in parts}
    columns = [name for name in frames["test"].columns if name not in ("timestamp", "is_anomaly")]
    return {
        "normal": frames["train-no-anomaly"][columns].to_numpy(float),
        "test": frames["test"][columns].to_numpy(float),
        "anomalous": frames["test"]["is_anomaly"].to_numpy(bool),
    }


def isolation_forest(normal: Any, test: Any, seed: int) -> Any:
    """PyOD's scores of the windows that end at each step, (n,); NaN before the first."""
    from pyod.models.iforest import IForest

    def windows(values: Any) -> Any:
        parts = np.lib.stride_tricks.sliding_window_view(values, WINDOW, axis=0)
        return parts.reshape(len(parts), -1)

    model = IForest(random_state=seed).fit(windows(normal))
    return _at_ends(model.decision_function(windows(test)), len(test))


def matrix_profile(normal: Any, test: Any, *, normalize: bool) -> Any:
    """Distance of each window to the nearest normal one, the highest channel's, at its end (n,)."""
    import stumpy

    found = [
        stumpy.stump(
            test[:, channel],
            WINDOW,
            normal[:, channel],
            ignore_trivial=False,
            normalize=normalize,
        )[:, 0].astype(float)
        for channel in range(test.shape[1])
    ]
    return _at_ends(np.max(found, axis=0), len(test))


def _at_ends(scores: Any, n: int) -> Any:
    return np.concatenate([np.full(n - len(scores), np.nan), scores])


def main() -> None:
    warnings.filterwarnings("ignore")
    folder, seeds = Path(sys.argv[1]), [int(one) for one in sys.argv[2:]]
    for seed in seeds:
        for anomaly, kind in kinds():
            path = folder / f"{anomaly} in {kind} {seed}.npz"
            if path.exists():
                continue
            arrays = made(anomaly, kind, seed)
            of_both = arrays["normal"], arrays["test"]
            arrays["isolation forest"] = isolation_forest(*of_both, seed)
            arrays["matrix profile"] = matrix_profile(*of_both, normalize=True)
            arrays["matrix profile, plain"] = matrix_profile(*of_both, normalize=False)
            part = path.with_suffix(".part.npz")
            np.savez_compressed(part, **arrays)
            part.rename(path)
        print(f"seed {seed}: {len(kinds())} kinds", flush=True)


if __name__ == "__main__":
    main()
